package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
)

// abortWait is how long a shutdown waits for turns whose context it has cancelled.
const abortWait = time.Second

// Run serves until ctx ends, and then drains: calls from outside are refused, the
// turns that run or wait come to their end, and every activation ends through its
// hooks. After the shutdown grace what still runs is cancelled; Run fails if that
// does not end it either.
func (h *Host) Run(ctx context.Context) error {
	if !h.started.CompareAndSwap(false, true) {
		return errors.New("host: Run was called twice; a stopped host does not start again")
	}
	<-ctx.Done()
	return h.Drain(h.cfg.ShutdownGrace)
}

// Drain ends the host as Run does, within the given grace. It is called once.
func (h *Host) Drain(grace time.Duration) error {
	h.closing.Store(true)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		h.endAll()
	}()
	if !within(drained, grace) {
		h.abort()
		if !within(drained, abortWait) {
			h.pool.release()
			return fmt.Errorf("host: stopped while actors still run that do not obey their context: %s", strings.Join(h.busy(), ", "))
		}
	}
	h.stop()
	h.pool.release()
	h.pool.wait()
	return nil
}

// within reports whether done was closed within the time limit.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// endAll ends every activation, those too that the last turns still wake.
func (h *Host) endAll() {
	dismissAll(h.slots())
	for slots := h.slots(); len(slots) > 0; slots = h.slots() {
		_ = endEvery(context.Background(), slots)
	}
}

// abort cancels all turns and dismisses all waiting calls. Once the host has stopped, an
// activation whose records are not answered ends all the same, and those who wait for them
// have to be told by then.
func (h *Host) abort() {
	slots := h.slots()
	h.stop()
	for _, s := range append(slots, h.slots()...) {
		s.abort()
	}
}

// pass waits while the worker's lease has lapsed, until ctx ends or the host does.
func (h *Host) pass(ctx context.Context) error {
	ctx, cancel := deadline.Within(ctx, h.ctx)
	defer cancel()
	err := h.cfg.Cluster.Pass(ctx)
	if err != nil && h.ctx.Err() != nil {
		return fault.ShuttingDown()
	}
	return err
}

func (h *Host) slots() []*slot {
	var slots []*slot
	for _, t := range h.types.all() {
		slots = append(slots, t.every()...)
	}
	return slots
}

// busy names the actors that are still in memory.
func (h *Host) busy() []string {
	var names []string
	for _, s := range h.slots() {
		names = append(names, s.table.typ.Type+"/"+s.id)
	}
	return names
}

// endSoon ends the activation after those who wait already, if fewer than most do. The
// channel is closed when it has ended.
func (s *slot) endSoon(most int) (done chan struct{}, ok bool) {
	done = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead:
		close(done)
	case s.queue.Waiting() >= most:
		return nil, false
	default:
		s.end(done)
	}
	return done, true
}
