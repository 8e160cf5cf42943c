package host

import (
	"context"
	"math"
)

// Empty prepares a shard for another worker: calls from outside wait from now on,
// the calls that are here come to their end, and every activation ends. The caller
// releases the shard then and calls Resume, which lets those that wait look where
// the actor lives now. Empty fails when ctx ends first; the shard may be released
// all the same, since the next epoch refuses what comes late.
func (h *Host) Empty(ctx context.Context, typ string, number uint32) error {
	table, err := h.types.of(typ)
	if err != nil {
		return nil //nolint:nilerr // a type that was never registered has no actors here
	}
	s := &table.shards[number]
	s.park()
	dismissAll(s.list())
	for slots := s.list(); len(slots) > 0; slots = s.list() {
		if err := endEvery(ctx, slots); err != nil {
			return err
		}
	}
	return nil
}

// dismissAll lets go of the deliveries that wait in the queues of slots.
func dismissAll(slots []*slot) {
	for _, s := range slots {
		s.dismiss()
	}
}

// Resume ends what Empty began.
func (h *Host) Resume(typ string, number uint32) {
	if table, err := h.types.of(typ); err == nil {
		table.shards[number].resume()
	}
}

// Revoke ends the activations of a shard at once, because this worker has lost it:
// turns that run are cancelled and nothing of them is kept.
func (h *Host) Revoke(typ string, number uint32) {
	table, err := h.types.of(typ)
	if err != nil {
		return
	}
	for _, s := range table.shards[number].list() {
		s.revoke()
	}
}

func (s *shard) park() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parked == nil {
		s.parked = make(chan struct{})
	}
}

func (s *shard) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parked != nil {
		close(s.parked)
		s.parked = nil
	}
}

// endEvery ends the activations of slots after the calls that are there already.
func endEvery(ctx context.Context, slots []*slot) error {
	var pending []chan struct{}
	for _, s := range slots {
		done, _ := s.endSoon(math.MaxInt)
		pending = append(pending, done)
	}
	for _, done := range pending {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
