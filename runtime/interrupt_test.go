//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"
)

func TestSignalsStopAndThenKill(t *testing.T) {
	stop, kill, release := interrupts(t.Context())
	defer release()
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGTERM)
	select {
	case <-stop.Done():
	case <-time.After(patience):
		t.Fatal("the first signal does not stop")
	}
	if kill.Err() != nil {
		t.Fatal("the first signal kills")
	}
	signal(syscall.SIGINT)
	select {
	case <-kill.Done():
	case <-time.After(patience):
		t.Fatal("the second signal does not kill")
	}
}

func TestReleaseEndsBoth(t *testing.T) {
	stop, kill, release := interrupts(t.Context())
	release()
	if stop.Err() == nil || kill.Err() == nil {
		t.Error("a released context goes on")
	}
}
