package sqlite

import (
	"fmt"
	"sync"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// held is what the writer shows to everybody else: the cluster table, as it is on
// disk, and whether the store still stands.
type held struct {
	mu sync.RWMutex
	// table, closed and fatal are under mu, for all but the writer, which alone
	// changes the table and so reads it freely.
	table  *cluster.Table
	closed bool
	fatal  error

	failed chan struct{}
}

// read shows the table to somebody, while the store stands.
func (h *held) read(read func(*cluster.Table)) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if err := h.down(); err != nil {
		return err
	}
	read(h.table)
	return nil
}

// peek shows the table also when the store has ended.
func (h *held) peek(read func(*cluster.Table)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	read(h.table)
}

// standing says why the store cannot serve, or nil.
func (h *held) standing() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.down()
}

func (h *held) down() error {
	if h.closed {
		return store.ErrClosed
	}
	if h.fatal == nil && h.table.Cluster.ID == "" {
		return store.ErrUnfinished
	}
	return h.fatal
}

// broken says why nothing can be written, or nil.
func (h *held) broken() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return store.ErrClosed
	}
	return h.fatal
}

// show replaces the table; only the writer calls it.
func (h *held) show(table *cluster.Table) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.table = table
}

// count moves the counter by one; only the writer calls it.
func (h *held) count() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.table.Cluster.Counter++
}

// fail ends the service for good and returns why.
func (h *held) fail(cause error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fatal == nil {
		h.fatal = fmt.Errorf("%w: %w", store.ErrFatal, cause)
		close(h.failed)
	}
	return h.fatal
}

// close ends the service because its owner wants so.
func (h *held) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}
