package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

const (
	// groupRecords and groupBytes bound one transaction, and so the time that its callers
	// wait for each other, and its locks.
	groupRecords = 4_096
	groupBytes   = 16 << 20
)

// lane is one of the goroutines that commit: what is waiting, all of it, in one
// transaction.
type lane struct {
	store *Store
	queue *queue.Queue[*writeCall]
}

// run serves until the queue is closed. What waits at that time is refused.
func (l *lane) run() {
	for {
		calls, open := l.queue.Take()
		l.serve(calls)
		if !open {
			return
		}
	}
}

func (l *lane) serve(calls []*writeCall) {
	waiting := slices.DeleteFunc(calls, func(c *writeCall) bool {
		if err := c.Gone(); err != nil {
			c.End(written{}, err)
			return true
		}
		return false
	})
	for len(waiting) > 0 {
		n := fitting(waiting)
		l.commitGroup(waiting[:n:n])
		waiting = waiting[n:]
	}
}

// fitting is how many of the calls fit into one transaction, at least one.
func fitting(calls []*writeCall) int {
	records, bytes := 0, 0
	for n, c := range calls {
		records += c.Question.rows()
		bytes += c.Question.size()
		if n > 0 && (records > groupRecords || bytes > groupBytes) {
			return n
		}
	}
	return len(calls)
}

// rows is about how many rows a call writes, and size how many bytes it brings.
func (w write) rows() (n int) {
	if w.work != nil {
		n += len(w.work.refs)
	}
	for _, record := range w.records {
		n += 1 + len(record.GetChanges())
	}
	return n
}

func (w write) size() (bytes int) {
	if w.work != nil {
		bytes += w.work.bytes
	}
	for _, record := range w.records {
		bytes += len(record.GetData()) + requests(record.GetChanges())
		for _, key := range record.GetKeys() {
			bytes += len(key.GetReply())
		}
	}
	return bytes
}

// requests is how many bytes changes bring.
func requests(changes []*runtimev1.TaskChange) (bytes int) {
	for _, change := range changes {
		bytes += len(change.GetSet().GetRequest())
	}
	return bytes
}

// commitGroup answers calls, in one transaction. Something damaged fails only those who
// touch it: then each call has a transaction of its own.
func (l *lane) commitGroup(calls []*writeCall) {
	var g *group
	err := l.store.transact(l.store.work, func(ctx context.Context, t *transaction) error {
		g = newGroup(l.store, calls)
		return g.commit(ctx, t)
	})
	switch {
	case err == nil:
		for i, c := range calls {
			c.End(g.answers[i], g.answers[i].err())
		}
	case errors.Is(err, store.ErrDamaged) && len(calls) > 1:
		for i := range calls {
			l.commitGroup(calls[i : i+1])
		}
	default:
		queue.Refuse(calls, fmt.Errorf("commit: %w", err))
	}
}
