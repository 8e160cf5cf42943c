package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interrupts returns two contexts: stop ends with the first signal to end, kill with
// the second one. Release gives the signals back.
func interrupts(parent context.Context) (stop, kill context.Context, release func()) {
	stop, cancelStop := context.WithCancel(parent)
	kill, cancelKill := context.WithCancel(context.WithoutCancel(parent))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	released := make(chan struct{})
	go func() {
		for _, cancel := range []func(){cancelStop, cancelKill} {
			select {
			case <-signals:
				cancel()
			case <-released:
				return
			}
		}
	}()
	return stop, kill, func() {
		signal.Stop(signals)
		close(released)
		cancelStop()
		cancelKill()
	}
}
