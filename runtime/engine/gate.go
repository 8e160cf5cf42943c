package engine

import (
	"context"
	"sync"

	"github.com/francis-actors/francis/internal/fault"
)

// gate counts the requests that run, and refuses new ones once it is closed.
type gate struct {
	closing chan struct{}

	mu      sync.RWMutex
	running sync.WaitGroup
}

func newGate() *gate { return &gate{closing: make(chan struct{})} }

// enter lets a request in. Who is let in must leave.
func (g *gate) enter() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed() {
		return fault.RuntimeStopping()
	}
	g.running.Add(1)
	return nil
}

func (g *gate) leave() { g.running.Done() }

// close refuses all who come from now on.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed() {
		close(g.closing)
	}
}

// wait returns when the last request has left.
func (g *gate) wait() { g.running.Wait() }

func (g *gate) closed() bool {
	select {
	case <-g.closing:
		return true
	default:
		return false
	}
}

// slot is held by one goroutine at a time, also while it waits for the store: unlike
// a mutex, it is given up on when a context ends.
type slot chan struct{}

func newSlot() slot { return make(slot, 1) }

func (s slot) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slot) give() { <-s }
