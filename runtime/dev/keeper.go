package dev

import (
	"context"
	"fmt"
	"time"

	"github.com/francis-actors/francis/internal/deadline"
)

const (
	firstPause = 500 * time.Millisecond
	longPause  = 10 * time.Second
	// steady is how long a worker runs before its crash counts as the first one.
	steady = 10 * time.Second
)

// keeper keeps one worker running.
type keeper struct {
	command []string
	env     []string
	grace   time.Duration
	out     *lines
	pause   time.Duration
}

func newKeeper(cfg Config, worker Worker, out *lines) *keeper {
	return &keeper{command: cfg.Command, env: worker.env, grace: cfg.Grace, out: out, pause: firstPause}
}

// keep runs the worker, again whenever it ends, until stop ends and it is gone. It
// is killed when the grace or kill ends.
func (k *keeper) keep(stop, kill context.Context) {
	for {
		began := time.Now()
		err := k.once(stop, kill)
		if stop.Err() != nil {
			return
		}
		if time.Since(began) >= steady {
			k.pause = firstPause
		}
		k.out.say("the worker ended (%v); it starts again in %v", reason(err), k.pause)
		if !deadline.Sleep(stop, k.pause) {
			return
		}
		k.pause = min(2*k.pause, longPause)
	}
}

func reason(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// once runs the worker until it or stop ends.
func (k *keeper) once(stop, kill context.Context) error {
	p, err := start(k.command, k.env, k.out)
	if err != nil {
		return fmt.Errorf("it cannot be started: %w", err)
	}
	select {
	case <-p.exited:
	case <-stop.Done():
	}
	grace, cancel := context.WithTimeout(kill, k.grace)
	defer cancel()
	p.end(grace)
	k.out.flush()
	<-p.exited
	return p.err
}
