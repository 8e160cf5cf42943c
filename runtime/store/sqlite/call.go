package sqlite

import (
	"context"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// call is one caller who waits. Its goroutine leaves when its context ends; what the
// call carries is then nobody's but the taker's.
type call[Q, A any] struct {
	ctx      context.Context
	question Q
	answer   chan answer[A]
}

type answer[A any] struct {
	value A
	err   error
}

// end answers the call, whether or not somebody still waits.
func (c *call[Q, A]) end(value A, err error) {
	c.answer <- answer[A]{value: value, err: err}
}

// ask puts a question into a queue and waits for the answer.
func ask[Q, A any](ctx context.Context, q *queue[*call[Q, A]], question Q) (A, error) {
	var none A
	if err := ctx.Err(); err != nil {
		return none, err
	}
	c := &call[Q, A]{ctx: ctx, question: question, answer: make(chan answer[A], 1)}
	if !q.put(c) {
		return none, store.ErrClosed
	}
	select {
	case a := <-c.answer:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// refuse answers calls with an error.
func refuse[Q, A any](calls []*call[Q, A], err error) {
	var none A
	for _, c := range calls {
		c.end(none, err)
	}
}

// write is what the writer is asked: one of five things.
type write struct {
	// transition changes the cluster table.
	transition func(*cluster.Table) (cluster.Change, error)
	// forget drops the identities of actors that had no state before that time.
	forget time.Time
	// records are to be committed for a worker.
	worker  string
	records []*runtimev1.Record
	// work changes tasks.
	work *work
	// step is a step of a restoration.
	step func(*writer) error
}

// commits reports whether the writer is asked for what is committed in groups.
func (w write) commits() bool { return w.transition == nil && w.forget.IsZero() && w.step == nil }

// written is what it answers: where the store is, the verdicts on records, what was done to
// tasks, and whether there is more to forget.
type written struct {
	point   store.Point
	results []*runtimev1.CommitResponse_Result
	work    *tasks.Work
	more    bool
}

func (w written) moved() store.Moved {
	return store.Moved{Moves: w.work.Moves(), Point: w.point}
}

// load is what a reader is asked.
type load struct {
	worker string
	reads  []*runtimev1.LoadRequest_Read
}

type (
	writeCall = call[write, written]
	loadCall  = call[load, []*runtimev1.LoadResponse_Result]
)
