package host

import (
	"context"
	"sync"
	"sync/atomic"
)

// budgetBytes is how much the records of a host that are not durable yet may hold
// together, in bytes; a turn that would come on top of it waits.
const budgetBytes = 64 << 20

// budget counts what the pending records of a host hold.
type budget struct {
	used atomic.Int64
	// waiting is how many wait for room.
	waiting atomic.Int32

	mu sync.Mutex
	// freed is closed, and replaced, when there is room again; nil before anybody waited.
	freed chan struct{}
}

// add takes bytes, or gives them back.
func (b *budget) add(bytes int) {
	if b.used.Add(int64(bytes)) >= budgetBytes || b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// free reports whether there is room.
func (b *budget) free() bool { return b.used.Load() < budgetBytes }

// wait waits for room, or until ctx ends.
func (b *budget) wait(ctx context.Context) error {
	if b.free() {
		return nil
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	for {
		freed := b.next()
		if b.free() { // read after waiting was raised: whoever gives back sees it
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next returns what is closed when bytes are given back.
func (b *budget) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed
}
