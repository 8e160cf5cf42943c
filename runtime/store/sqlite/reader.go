package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

const findState = `SELECT activation, sequence, version, keyed, expires, checksum, message, data FROM actors WHERE type = ? AND id = ?`

// reader is one of the goroutines that answer loads. Each takes what is waiting and
// reads it in one transaction.
type reader struct {
	conn  *conn
	held  *held
	queue *queue.Queue[*loadCall]

	begin, end, find   *stmt
	findKeys, recalled *stmt

	now func() time.Time
	// since is when the present snapshot began.
	since time.Time
}

// snapshotLasts is how long a reader looks at one state of the file. While it does, the
// log cannot begin anew, and writers wait for it at most logPatience.
const snapshotLasts = 10 * time.Millisecond

func newReader(c *conn, held *held, calls *queue.Queue[*loadCall], now func() time.Time) (*reader, error) {
	r := &reader{conn: c, held: held, queue: calls, now: now}
	statements := []struct {
		to  **stmt
		sql string
	}{
		{&r.begin, "BEGIN"},
		{&r.end, "ROLLBACK"},
		{&r.find, findState},
		{&r.findKeys, findKeys},
		{&r.recalled, findKey},
	}
	for _, s := range statements {
		var err error
		if *s.to, err = c.keep(s.sql); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// run serves until the queue is closed.
func (r *reader) run() {
	for {
		calls, open := r.queue.Take()
		if len(calls) > 0 {
			r.serve(calls)
		}
		if !open {
			return
		}
	}
}

// serve answers calls. Their fences are looked at before the first transaction begins:
// so it sees everything that was written before the shards came to these owners.
func (r *reader) serve(calls []*loadCall) {
	results, err := r.fence(calls)
	if err == nil {
		err = r.snapshot()
	}
	if err != nil {
		queue.Refuse(calls, fmt.Errorf("load: %w", err))
		return
	}
	for i, c := range calls {
		if err := r.load(c.Question.reads, results[i]); err != nil {
			c.End(nil, fmt.Errorf("load: %w", err))
			continue
		}
		c.End(results[i], nil)
	}
	_ = r.end.exec() // there is nothing to lose
}

// snapshot begins to look at the file as it is now.
func (r *reader) snapshot() error {
	r.since = time.Now()
	return r.begin.exec()
}

// refresh begins a new snapshot when the present one is old. Reads have nothing to do
// with each other, and a newer state of the file is as good.
func (r *reader) refresh() error {
	if time.Since(r.since) < snapshotLasts {
		return nil
	}
	if err := r.end.exec(); err != nil {
		return err
	}
	return r.snapshot()
}

// fence refuses the reads of those who own nothing; the results of others are nil.
func (r *reader) fence(calls []*loadCall) ([][]*runtimev1.LoadResponse_Result, error) {
	results := make([][]*runtimev1.LoadResponse_Result, len(calls))
	err := r.held.read(func(t *cluster.Table) {
		for i, c := range calls {
			results[i] = fenced(t, c.Question)
		}
	})
	return results, err
}

func fenced(t *cluster.Table, question load) []*runtimev1.LoadResponse_Result {
	results := make([]*runtimev1.LoadResponse_Result, len(question.reads))
	for i, read := range question.reads {
		if !t.Owns(question.worker, read.GetActor(), read.GetFence()) {
			results[i] = &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_STALE_EPOCH}
		}
	}
	return results
}

// load fills in what was not refused.
func (r *reader) load(reads []*runtimev1.LoadRequest_Read, results []*runtimev1.LoadResponse_Result) error {
	for i, read := range reads {
		if results[i] != nil {
			continue
		}
		if err := r.refresh(); err != nil {
			return err
		}
		result, err := r.read(read)
		switch {
		case err == nil:
			results[i] = result
		case errors.Is(err, store.ErrDamaged):
			results[i] = store.Damaged(result.GetState())
		default:
			return err
		}
	}
	return nil
}

// read answers one read.
func (r *reader) read(read *runtimev1.LoadRequest_Read) (result *runtimev1.LoadResponse_Result, err error) {
	result = &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}
	if digest := read.GetRecall(); len(digest) > 0 {
		result.Keys, err = r.recall(read.GetActor(), digest)
		return result, err
	}
	var keyed int64
	if result.State, keyed, err = r.state(read.GetActor()); err != nil {
		return result, err
	}
	if r.live(keyed) {
		result.Keys, err = r.keys(read.GetActor())
	}
	return result, err
}

// state reads the state of an actor as it is now, and when it got its last key.
func (r *reader) state(actor *runtimev1.Actor) (*runtimev1.State, int64, error) {
	state, times, err := stateBy(r.find, actor)
	if err != nil {
		return state, 0, err
	}
	return times.Live(state, r.now()), times.Keyed, nil
}

// stateBy reads what is stored of an actor, by a statement for findState.
func stateBy(find *stmt, actor *runtimev1.Actor) (*runtimev1.State, store.Times, error) {
	found, ok, err := find.one(actor.GetType(), actor.GetId())
	if err != nil || !ok {
		return &runtimev1.State{}, store.Times{}, err
	}
	return scanState(actor, found)
}

// scanState reads a row. Of one that is damaged it returns what is left, with the error.
func scanState(actor *runtimev1.Actor, found []driver.Value) (*runtimev1.State, store.Times, error) {
	columns := columns{row: found}
	identity := &runtimev1.Identity{Activation: columns.uint(), Sequence: columns.uint()}
	version, times := columns.uint(), store.Times{Keyed: int64(columns.uint()), Expires: int64(columns.uint())}
	sum := columns.uint()
	state := &runtimev1.State{Identity: identity, Version: version, Message: columns.text(), Data: columns.bytes()}
	if columns.err == nil && store.Checksum(actor, state, times) != sum {
		return store.Emptied(state), times, fmt.Errorf("%w: the state does not fit its checksum", store.ErrDamaged)
	}
	return state, times, columns.err
}
