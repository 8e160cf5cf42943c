package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/dispatch"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	// receivePatience is how long a Receive waits for something that is due.
	receivePatience = 30 * time.Second
	// ahead is how many tasks of a type are read ahead.
	ahead = 8192
	// maxReaders is how many reads of what is due are under way at a time.
	maxReaders = 4
)

// dispatcher is the shell of core/dispatch: one loop that feeds it, and does what it says.
// What the engine tells it never waits.
type dispatcher struct {
	engine *Engine
	core   *dispatch.Dispatcher

	mu sync.Mutex
	// events, under mu, are what the loop is told next.
	events []func()
	woken  chan struct{}
	// doubtful is true when tasks may have changed without a move.
	doubtful atomic.Bool

	// What follows is the loop's alone: who waits, the sessions of the workers, when it
	// doubted last, and the time by the clock of the store, which it was at one of ours.
	waiting            map[string]*receiver
	sessions           map[string]string
	doubted            time.Time
	storeTime, ourTime time.Time

	// work is what is done beside the loop; readers has a place for each reader.
	work    sync.WaitGroup
	readers chan struct{}
}

// receiver is a worker that waits for deliveries. It is answered once.
type receiver struct {
	worker string
	answer chan *runtimev1.ReceiveResponse
}

func newDispatcher(e *Engine) *dispatcher {
	return &dispatcher{
		engine: e, woken: make(chan struct{}, 1), readers: make(chan struct{}, maxReaders),
		core:    dispatch.New(dispatch.Config{Ahead: ahead, Rate: e.cfg.rate, Anew: e.cfg.ReadAnew}),
		waiting: map[string]*receiver{}, sessions: map[string]string{},
	}
}

// Receive waits until something is due for the worker's actors.
func (w *Worker) Receive(ctx context.Context, req *runtimev1.ReceiveRequest) (*runtimev1.ReceiveResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.ReceiveResponse, error) {
		if n := req.GetCapacity(); n < 1 || n > limit.MaxChanges {
			return nil, malformed(fmt.Errorf("the worker takes %d deliveries; it must be between 1 and %d", n, limit.MaxChanges))
		}
		if err := e.await(ctx); err != nil {
			return nil, err
		}
		return e.tasks.receive(ctx, w.id, req)
	})
}

func (d *dispatcher) receive(ctx context.Context, worker string, req *runtimev1.ReceiveRequest) (*runtimev1.ReceiveResponse, error) {
	r := &receiver{worker: worker, answer: make(chan *runtimev1.ReceiveResponse, 1)}
	d.tell(func() { d.admit(r, req) })
	timer := time.NewTimer(receivePatience)
	defer timer.Stop()
	for {
		select {
		case answer := <-r.answer:
			return answered(answer)
		case <-timer.C:
			d.tell(func() { d.dismiss(r) }) // that answers too, and what was given meanwhile is not lost
		case <-ctx.Done():
			d.tell(func() { d.dismiss(r) })
			return nil, ctx.Err()
		case <-d.engine.gate.closing:
			return nil, fault.RuntimeStopping()
		}
	}
}

// answered is the answer to a receiver: none is for a worker that is gone.
func answered(answer *runtimev1.ReceiveResponse) (*runtimev1.ReceiveResponse, error) {
	if answer == nil {
		return nil, store.ErrDead
	}
	return answer, nil
}

// admit lets a worker wait, in the place of whoever waited in its name.
func (d *dispatcher) admit(r *receiver, req *runtimev1.ReceiveRequest) {
	if d.engine.board.gone(r.worker) {
		r.answer <- nil
		return
	}
	if other := d.waiting[r.worker]; other != nil {
		d.dismiss(other)
	}
	if req.GetSession() == "" || req.GetSession() != d.sessions[r.worker] {
		d.sessions[r.worker] = rand.Text()
		d.core.Begin(r.worker)
	}
	d.waiting[r.worker] = r
	d.core.Receive(r.worker, int(req.GetCapacity()))
}

// dismiss ends the wait of a worker that got nothing.
func (d *dispatcher) dismiss(r *receiver) {
	if d.waiting[r.worker] == r {
		d.core.Cancel(r.worker)
		d.answer(r, nil)
	}
}

func (d *dispatcher) answer(r *receiver, deliveries []*runtimev1.Delivery) {
	delete(d.waiting, r.worker)
	r.answer <- &runtimev1.ReceiveResponse{Session: d.sessions[r.worker], Deliveries: deliveries}
}

// tell has the loop do something.
func (d *dispatcher) tell(events ...func()) {
	d.mu.Lock()
	d.events = append(d.events, events...)
	d.mu.Unlock()
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// moved tells what a call did to tasks. After an error nobody knows.
func (d *dispatcher) moved(moved store.Moved, err error) {
	if err != nil {
		if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrDead) && !errors.Is(err, store.ErrBehind) {
			d.doubtful.Store(true)
			d.tell()
		}
		return
	}
	if len(moved.Moves) == 0 {
		return
	}
	moves := make([]dispatch.Move, len(moved.Moves))
	for i, move := range moved.Moves {
		moves[i] = dispatch.Move{Type: move.Key.Type, Key: keyOf(move.Key), Task: move.Task, Counter: uint64(move.Counter)}
	}
	d.tell(func() { d.core.Moved(moves) })
}

// committed tells what records did to tasks, and which deliveries are over although no move
// says so: the record had been applied before, or the task had another revision.
func (d *dispatcher) committed(records []*runtimev1.Record, results []*runtimev1.CommitResponse_Result, moved store.Moved, err error) {
	touches := false
	for i, record := range records {
		completes := record.GetCompletes()
		touches = touches || completes != nil || len(record.GetChanges()) > 0 || record.GetDeletes()
		if completes == nil || err != nil {
			continue
		}
		if v := results[i].GetVerdict(); v == runtimev1.Verdict_VERDICT_ALREADY_APPLIED || v == runtimev1.Verdict_VERDICT_SUPERSEDED {
			d.over(completes.GetKey(), completes.GetRevision())
		}
	}
	if touches {
		d.moved(moved, err)
	}
}

// settled tells what settlements did, like committed.
func (d *dispatcher) settled(settlements []*runtimev1.Settlement, verdicts []runtimev1.Verdict, moved store.Moved, err error) {
	d.moved(moved, err)
	for i, verdict := range verdicts {
		if err == nil && verdict == runtimev1.Verdict_VERDICT_SUPERSEDED {
			d.over(settlements[i].GetKey(), settlements[i].GetRevision())
		}
	}
}

func (d *dispatcher) over(key *runtimev1.TaskKey, revision uint64) {
	d.tell(func() { d.core.Over(key.GetType(), dispatch.KeyOf(key), revision) })
}

// released tells that a worker has given shards back, before the board has it.
func (d *dispatcher) released(worker string, releases []*runtimev1.ReleaseRequest_Release) {
	d.tell(func() { d.core.Released(worker, releases) })
}

// left tells that a worker has ended its membership, before the board has it.
func (d *dispatcher) left(worker string) { d.tell(func() { d.core.Left(worker) }) }

// run is the loop. It begins when the board holds what the store does, and the time by the
// clock of the store is known.
func (d *dispatcher) run(ctx context.Context) {
	defer d.work.Wait()
	if d.engine.await(ctx) != nil || !d.setClock(ctx) {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for table := (*placement.Table)(nil); ; {
		changed := d.take(&table)
		timer.Reset(d.pump(ctx))
		select {
		case <-d.woken:
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// setClock asks the store for its time.
func (d *dispatcher) setClock(ctx context.Context) bool {
	for {
		now, err := d.engine.store.Now(ctx)
		if err == nil {
			d.showed(now, time.Now())
			return true
		}
		if !deadline.Sleep(ctx, retryInterval) {
			return false
		}
	}
}

// showed notes the time that the clock of the store showed at one of ours. It had shown
// that for a while by then, so what is due by it is never early.
func (d *dispatcher) showed(store, ours time.Time) { d.storeTime, d.ourTime = store, ours }

func (d *dispatcher) now() time.Time { return d.storeTime.Add(time.Since(d.ourTime)) }

// take takes up what the loop was told, and then the table: what goes before it was told
// before. It returns what is closed when the table changes.
func (d *dispatcher) take(table **placement.Table) <-chan struct{} {
	next, changed := d.engine.board.watch()
	d.mu.Lock()
	events := d.events
	d.events = nil
	d.mu.Unlock()
	for _, event := range events {
		event()
	}
	if next != *table {
		*table = next
		d.core.Place(next)
		d.expel()
	}
	return changed
}

// expel tells workers that wait and are gone.
func (d *dispatcher) expel() {
	for worker := range d.sessions {
		if !d.engine.board.gone(worker) {
			continue
		}
		delete(d.sessions, worker)
		if r := d.waiting[worker]; r != nil {
			delete(d.waiting, worker)
			d.core.Cancel(worker)
			r.answer <- nil
		}
	}
}

// pump does what is to be done, and returns how long nothing is.
func (d *dispatcher) pump(ctx context.Context) time.Duration {
	again := d.doubt()
	effects := d.core.Pump(d.now())
	for _, give := range effects.Gives {
		if r := d.waiting[give.Worker]; r != nil {
			d.answer(r, give.Deliveries)
		}
	}
	for _, read := range effects.Reads {
		d.work.Go(func() { d.read(ctx, read) })
	}
	d.strand(ctx, effects.Strand)
	d.skip(ctx, effects.Skips)
	if next, ok := d.core.NextWake(); ok {
		return max(0, min(again, next.Sub(d.now())))
	}
	return again
}

// doubt has everything read anew if there is reason to, and returns how long that may wait
// otherwise: a store that fails is not asked for more than once a second.
func (d *dispatcher) doubt() time.Duration {
	if !d.doubtful.Load() {
		return receivePatience
	}
	if wait := retryInterval - time.Since(d.doubted); wait > 0 {
		return wait
	}
	d.doubtful.Store(false)
	d.doubted = time.Now()
	d.core.Doubt()
	return receivePatience
}

// read reads what is due, beside the loop.
func (d *dispatcher) read(ctx context.Context, read dispatch.Read) {
	select {
	case d.readers <- struct{}{}:
	case <-ctx.Done():
		return
	}
	due, err := d.engine.store.Due(ctx, store.DueQuery{
		Type: read.Type, ID: read.ID, After: positionOf(read.Type, read.After), Until: read.Until, Limit: read.Limit,
	})
	<-d.readers
	if err != nil {
		d.complain(ctx, "read what is due", err)
		d.tell(func() { d.core.Done(read, nil) })
		return
	}
	result := &dispatch.Result{Tasks: due.Tasks, More: due.More, End: dispatch.Position{Due: due.End.Due, Key: keyOf(due.End.Key)}}
	came := time.Now()
	d.tell(func() {
		d.showed(due.Now, came)
		d.core.Done(read, result)
	})
}

// complain says what failed, and waits before it is tried again.
func (d *dispatcher) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		d.engine.log.Warn("the store failed a task of the dispatch; it is tried again", "task", what, "error", err, "after", retryInterval)
		deadline.Sleep(ctx, retryInterval)
	}
}

func positionOf(typ string, at dispatch.Position) store.Position {
	if at == (dispatch.Position{}) {
		return store.Position{}
	}
	kind := runtimev1.ListRequest_KIND_UNSPECIFIED
	switch {
	case at.Key.Job:
		kind = runtimev1.ListRequest_KIND_JOBS
	case at.Key.Name != "":
		kind = runtimev1.ListRequest_KIND_ALARMS
	}
	return store.Position{Due: at.Due, Key: store.TaskKey{Type: typ, ID: at.Key.ID, Kind: kind, Name: at.Key.Name}}
}

func keyOf(key store.TaskKey) dispatch.Key {
	return dispatch.Key{ID: key.ID, Job: key.Kind == runtimev1.ListRequest_KIND_JOBS, Name: key.Name}
}

// strand marks what was out with workers that were declared dead.
func (d *dispatcher) strand(ctx context.Context, out []*runtimev1.Completion) {
	for some := range slices.Chunk(out, limit.MaxChanges) {
		d.work.Go(func() {
			moved, err := d.engine.store.Strand(ctx, some)
			if err != nil {
				d.complain(ctx, "mark what was out with a dead worker", err)
			}
			d.moved(moved, err)
			d.free(some, err)
		})
	}
}

// free tells the outcome for what was held meanwhile.
func (d *dispatcher) free(held []*runtimev1.Completion, err error) {
	tell := d.core.Freed
	if err != nil {
		tell = d.core.Failed
	}
	d.tell(func() {
		for _, one := range held {
			tell(one.GetKey().GetType(), dispatch.KeyOf(one.GetKey()), one.GetRevision())
		}
	})
}

// skip returns tasks that leave out what they have missed, in the name of their workers.
func (d *dispatcher) skip(ctx context.Context, skips []dispatch.Skip) {
	of := map[string][]*runtimev1.Settlement{}
	for _, skip := range skips {
		of[skip.Worker] = append(of[skip.Worker], skip.Settlement)
	}
	for worker, all := range of {
		for some := range slices.Chunk(all, limit.MaxChanges) {
			d.work.Go(func() {
				verdicts, moved, err := d.engine.store.Settle(ctx, worker, some)
				if err != nil {
					d.complain(ctx, "leave out what was missed", err)
				}
				d.settled(some, verdicts, moved, err)
				d.free(completionsOf(some), err)
			})
		}
	}
}

func completionsOf(settlements []*runtimev1.Settlement) []*runtimev1.Completion {
	completions := make([]*runtimev1.Completion, len(settlements))
	for i, settlement := range settlements {
		completions[i] = &runtimev1.Completion{Key: settlement.GetKey(), Revision: settlement.GetRevision()}
	}
	return completions
}
