package engine

import (
	"sync"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
)

// board is the journal, shared: requests and loops merge what the store answered,
// watchers read and wait.
type board struct {
	mu sync.Mutex
	// journal is under mu, and so is changed, which is closed and replaced whenever
	// the journal changes.
	journal *placement.Journal
	changed chan struct{}
}

func newBoard(id string) *board {
	return &board{journal: placement.NewJournal(id), changed: make(chan struct{})}
}

// merge takes a change over and reports whether anything is different now.
func (b *board) merge(change placement.Change) bool {
	return b.update(func(j *placement.Journal) bool { return j.Merge(change) })
}

// members takes over all living members, as read from the store when the counter was
// the given one.
func (b *board) members(counter uint64, living []*runtimev1.Worker) bool {
	return b.update(func(j *placement.Journal) bool { return j.Members(counter, living) })
}

func (b *board) update(update func(*placement.Journal) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !update(b.journal) {
		return false
	}
	close(b.changed)
	b.changed = make(chan struct{})
	return true
}

// table is the table now.
func (b *board) table() *placement.Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.Table()
}

// watch is the table now, and what is closed when anything changes.
func (b *board) watch() (*placement.Table, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.Table(), b.changed
}

// counter is the counter of the newest change: what is read from the store
// afterwards is at least as new.
func (b *board) counter() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.Counter()
}

// gone reports whether a worker is known to be dead.
func (b *board) gone(worker string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.Gone(worker)
}

// since is what has changed since a cursor, nil for nothing, and what is closed at
// the next change.
func (b *board) since(cursor string) (*runtimev1.WatchResponse, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.Since(cursor), b.changed
}
