package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/chain"
	"github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/turn"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/codec"
)

// run is one run of one method: a turn or a view, from the call to the answer. It
// is what the method sees as its turn, and the context that the method receives.
//
// A run whose caller can go away executes on a goroutine of the pool, so that the
// caller need not wait for the method. So does one that waits for the actor: a goroutine
// that ends a turn goes on with the next one, and callers need not take turns. Any other
// executes on its caller's goroutine.
//
// Each call pays for every byte of it: it is zeroed, filled and collected.
type run struct {
	host   *Host
	parent context.Context
	// typ and id name the actor that is called.
	typ, id string
	// caller are the actors that wait for the call; nil outside of any turn.
	caller *chain.Link
	// metadata is what this call carries.
	metadata actor.Metadata
	// due is when the deadline passes, by the clock of the host's deadline queue;
	// 0 is never. The parent context may end earlier.
	due   time.Duration
	shard uint32
	// codec is how request and reply are encoded, a peerv1.Codec in a byte; 0 is not at all.
	codec uint8
	// forwarded is true for a call of another worker, for which nobody waits here. Its
	// parent is what Serve was given.
	forwarded bool
	// fromView is true for a call that a view makes.
	fromView bool
	// onlyActive is true for what is not worth an activation: where the actor has none, it
	// gets none.
	onlyActive bool
	// ends is true when the deadline or the parent context can end the call.
	ends bool
	// released is true when the next record waits for the caller to run again.
	released bool
	// changed is true for a turn with something to commit.
	changed bool
	// waits is true when the reply waits for something after the method has ended.
	waits bool
	// alone is true when the call has travelled and nobody can end it any more.
	alone bool
	// revoked is set when the worker lost the shard while the method ran.
	revoked atomic.Bool
	// over is true once the turn has ended: it no longer calls anybody.
	over atomic.Bool
	// answered is set by who decides what the caller is told: the method's end or the
	// deadline, whichever comes first.
	answered atomic.Bool

	// table is that of the actor's type; nil where this host does not serve it.
	table *table
	// method is nil until it is known that the type has it.
	method   *actor.Method
	req      proto.Message
	slot     *slot
	ticket   turn.Ticket[holder]
	deadline deadline.Entry
	// scope is nil as long as nobody asks when the context ends.
	scope atomic.Pointer[scope]
	// later is nil as long as the run has nothing to do with alarms and jobs.
	later atomic.Pointer[later]

	// activation is what the method runs on, from admission to the end.
	activation *activation
	// keyed is the idempotency key of the call; nil for one without.
	keyed *keyed
	// reply and failure are how the method has ended. They leave when the gate of the
	// activation lets them.
	reply   answer
	failure error
	// instead is what the caller is told instead of them; nil for nothing.
	instead error
	// own is the state of this view alone, for test kits; others pay for no more than a
	// pointer.
	own *proto.Message
	// latest is when the steps outside the queue of an actor give up, for a call
	// without a deadline; 0 before the first of them.
	latest time.Duration

	// wake tells the caller that the answer is there. It is nil where nobody waits.
	wake chan struct{}
}

// wakes are the channels by which callers are told that their answers are there, one answer
// after the other. A host has its own, since a channel belongs to the bubble of a test.
type wakes struct{ free sync.Pool }

func (w *wakes) take() chan struct{} {
	if wake, ok := w.free.Get().(chan struct{}); ok {
		return wake
	}
	return make(chan struct{}, 1)
}

// give gives up a channel on which its caller was told: nobody sends on it any more.
func (w *wakes) give(wake chan struct{}) { w.free.Put(wake) }

// holder is what a queue admits: a run, or the end of an activation. As a job it uses the
// actor, once it is admitted.
type holder interface {
	job
	// revoke makes the holder give up, because the worker lost the shard.
	revoke()
	// abort makes the holder give up, because the shutdown grace is over.
	abort()
	// doom makes the holder give up, because a commit failed on which it runs.
	doom()
}

// origin is what the calls of this run inherit.
func (r *run) origin() origin {
	link := &chain.Link{Parent: r.caller, Type: r.typ, ID: r.id}
	return origin{link: link, view: r.method.View, metadata: r.metadata, due: r.due}
}

// result waits for the answer of a run that has arrived.
func (r *run) result(verdict turn.Verdict) (answer, error) {
	switch {
	case r.ends:
		r.await()
	case verdict == turn.Admitted:
		r.executeHere()
	default:
		<-r.wake
		r.returned()
	}
	return r.outcome()
}

// executeHere runs the method on the goroutine of its caller, and waits until the reply
// may leave. That goroutine runs nobody else's turn, which might end it.
func (r *run) executeHere() {
	r.host.pool.pass(r.execute())
	if r.waits {
		<-r.wake
		r.returned()
	}
}

// returned says that the caller, who has been told, runs again.
func (r *run) returned() {
	r.host.wakes.give(r.wake)
	if r.released {
		r.activation.back()
	}
}

// await waits until the method has answered or the call has ended.
func (r *run) await() {
	select {
	case <-r.wake:
	case <-r.parent.Done():
		r.end(r.parent.Err())
		<-r.wake
	}
	r.returned()
	if r.due > 0 {
		r.host.deadlines.Stop(&r.deadline)
	}
}

// Gone ends the call because its caller has left.
func (r *run) Gone() { r.end(context.Canceled) }

// Wake ends the call because its deadline has passed.
func (r *run) Wake() { r.end(context.DeadlineExceeded) }

// end gives up the call: a waiting run leaves the queue, a running method is told
// through its context and goes on without a caller. The caller is answered first:
// a method that gives up at once would race for what it is told.
func (r *run) end(cause error) {
	ended := fault.EndedRunning
	if r.slot.abandon(r) {
		ended = fault.EndedWaiting
	}
	r.fail(ended(cause))
	r.cancel(cause)
}

// revoke cancels a run whose actor this worker no longer owns.
func (r *run) revoke() {
	r.revoked.Store(true)
	r.cancel(context.Canceled)
}

// doom cancels a run that has seen what did not happen.
func (r *run) doom() { r.cancel(context.Canceled) }

// abort gives up a run whose host stops.
func (r *run) abort() {
	if r.slot.abandon(r) {
		r.fail(fault.ShuttingDown())
	}
	r.cancel(context.Canceled)
}

// finish tells the caller how the method has ended, unless it has been told something
// already.
func (r *run) finish() {
	if r.answered.CompareAndSwap(false, true) {
		r.tell()
	}
}

// release answers a turn whose change is durable, unless its caller has been told something
// already.
func (r *run) release() {
	if r.answered.CompareAndSwap(false, true) {
		if r.wake != nil {
			r.released = true
			r.activation.away.Add(1)
		}
		r.tell()
	}
}

// fail tells the caller an error, unless it has been told something already. The method
// may go on.
func (r *run) fail(err error) {
	if r.answered.CompareAndSwap(false, true) {
		r.instead = err
		r.tell()
	}
}

// tell lets the caller have the outcome.
func (r *run) tell() {
	switch {
	case r.forwarded:
		r.responded(r.outcome())
	case r.wake != nil:
		r.wake <- struct{}{}
	}
}

// outcome is what the caller is told.
func (r *run) outcome() (answer, error) {
	if r.instead != nil {
		return answer{}, r.instead
	}
	return r.reply, r.failure
}

// leaving is how a run leaves the actor.
type leaving uint8

const (
	// crashed is a run whose method panicked, or ended its goroutine.
	crashed leaving = iota
	// untouched is a run that has seen nothing of the actor.
	untouched
	// unchanged is one that has seen the actor and changed nothing.
	unchanged
	// changed is a turn whose change is to be committed.
	changed
)

// execute runs the method. The run has been admitted. It returns who may use the actor next;
// where the method has ended its goroutine, another one takes that over.
func (r *run) execute() (next job) {
	how := crashed
	defer func() {
		died := how == crashed
		if died {
			r.failure = r.crashed(recover())
			r.blame(r.failure)
			r.reply, r.changed = answer{}, false
			how = unchanged
		}
		if r.activation == nil {
			how = untouched
		}
		r.conclude()
		next = r.slot.depart(r, how)
		if died {
			r.host.pool.pass(next)
			next = nil
		}
	}()
	how = r.perform()
	return nil
}

// perform opens the actor if need be and calls the method. What it leaves in the run is
// the answer once the gate is open.
func (r *run) perform() leaving {
	if err := r.begin(); err != nil {
		r.failure = r.started(err)
		return untouched
	}
	if r.method.View {
		r.viewed(r.method.Run((*turnContext)(r), r.activation.instance, r, r.req))
		return unchanged
	}
	if r.repeated() {
		r.changed = r.completes()
	} else if r.failure = r.turned(r.method.Run((*turnContext)(r), r.activation.instance, r, r.req)); r.failure != nil {
		r.blame(r.failure)
		r.reply, r.changed = answer{}, false
		r.activation.rollback()
	}
	if r.changed {
		return changed
	}
	return unchanged
}

// begin makes sure that the method may run here and now.
func (r *run) begin() error {
	if err := r.entitled(); err != nil {
		return err
	}
	if err := r.slot.ready(r); err != nil {
		return err
	}
	a := r.slot.activation
	if !r.method.View {
		if err := r.room(a); err != nil {
			return err
		}
		if err := r.apart(a); err != nil {
			return err
		}
	}
	if !r.owns(a) {
		return errMoved
	}
	r.activation = a
	return nil
}

// started is what becomes of a call that failed before its method ran. Where that is
// because the worker lost the shard, the call goes to the next owner.
func (r *run) started(err error) error {
	if r.revoked.Load() {
		return errMoved
	}
	return err
}

// entitled waits while the worker's lease has lapsed: nothing starts or ends then.
func (r *run) entitled() error {
	if r.active() {
		return nil
	}
	return ended(r.host.cfg.Cluster.Pass((*turnContext)(r)))
}

// active reports whether the worker's lease is active.
func (r *run) active() bool {
	if r.forwarded {
		return r.host.cfg.Cluster.ActiveForForwarded()
	}
	return r.host.cfg.Cluster.Active()
}

// ended is what the caller is told when a step failed that waits for the cluster.
func ended(err error) error {
	if err == nil || fault.Detail(err) != nil {
		return err
	}
	return fault.EndedWaiting(err)
}

// owns reports whether an activation is still this worker's to run.
func (r *run) owns(a *activation) bool {
	cluster := r.host.cfg.Cluster
	entry := cluster.Entry(r.typ, r.shard)
	return !r.revoked.Load() && entry.GetEpoch() == a.epoch && entry.GetWorker() == cluster.Worker()
}

// turned ends a turn whose method has returned: an error of it undoes the turn.
func (r *run) turned(reply proto.Message, err error) error {
	if err != nil {
		r.blame(err)
		return r.failed(err, francisv1.Reason_REASON_METHOD_FAILED)
	}
	more, err := r.commits()
	if err != nil {
		return err
	}
	if r.reply, err = r.copyReply(reply); err != nil {
		return err
	}
	if err := r.remember(reply); err != nil {
		return err
	}
	r.changed = more || r.keyed != nil
	if r.clears() {
		return nil
	}
	state, err := r.activation.changed(r)
	if err != nil {
		return err
	}
	if state != nil {
		r.activation.encoded, r.activation.snapshot = state, nil
		r.changed = true
	}
	return nil
}

// viewed ends a view.
func (r *run) viewed(reply proto.Message, err error) {
	if r.own != nil && r.activation.differs(*r.own) {
		r.host.cfg.ViewWrote(r.name(), shortName(r.method.Procedure))
	}
	if err != nil {
		r.failure = r.failed(err, francisv1.Reason_REASON_METHOD_FAILED)
		return
	}
	r.reply, r.failure = r.copyReply(reply)
}

// told lets the answer leave, or replaces it, once it is known what became of what the
// run has done and seen.
func (r *run) told(outcome gate.Outcome, why reasons) {
	switch {
	case outcome != gate.Durable:
		r.fail(why.of(outcome))
	case r.changed: // the runtime has proven that the actor was this worker's
		r.release()
	default:
		r.confirm(r.active())
	}
}

// confirm answers a run that has committed nothing, as soon as the lease is active.
func (r *run) confirm(active bool) { //nolint:revive // it is what the caller has seen, no mode
	if active {
		r.confirmed()
		return
	}
	r.host.pool.run(confirming{r})
}

// confirmed answers a run that has committed nothing, if the actor was still this
// worker's when it ended. A view runs again elsewhere.
func (r *run) confirmed() {
	switch {
	case r.owns(r.activation):
		r.finish()
	case r.method.View:
		r.fail(errMoved)
	default:
		r.fail(fault.Superseded(r.name()))
	}
}

// confirming answers a run that has ended while the lease had lapsed.
type confirming struct{ run *run }

func (c confirming) execute() job {
	r := c.run
	ctx, cancel := r.waiting()
	defer cancel()
	if err := r.host.pass(ctx); err != nil && r.owns(r.activation) {
		r.fail(ended(err))
	} else {
		r.confirmed()
	}
	return nil
}

// copyReply copies or encodes what the method returned, so that the caller owns it:
// the method may have returned a part of the state.
func (r *run) copyReply(reply proto.Message) (answer, error) {
	if size, most := proto.Size(reply), r.host.cfg.Limits.Message; size > most {
		return answer{}, fault.TooLarge("the reply of "+r.method.Procedure, size, most)
	}
	if r.codec == 0 {
		return answer{reply: r.method.Reply.Copy(reply)}, nil
	}
	encoded, err := codec.Marshal(peerv1.Codec(r.codec), reply)
	if err != nil {
		return answer{}, fault.Malformed(connect.CodeInternal, "the reply of "+r.method.Procedure+" cannot be encoded: "+err.Error())
	}
	return answer{encoded: encoded}, nil
}

// failed is what the caller is told about an error of the actor's code. What it
// is not told goes to the log.
func (r *run) failed(err error, reason francisv1.Reason) error {
	if !fault.Hidden(err) {
		return fault.Method(err, reason, "")
	}
	id := callID()
	r.Log().Error("the actor failed", "call", id, "error", err)
	return fault.Method(err, reason, id)
}

// crashed ends a run whose method panicked, or ended its goroutine: the actor in
// memory cannot be trusted any more.
func (r *run) crashed(cause any) error {
	r.slot.spoil()
	id := callID()
	if cause == nil {
		cause = "runtime.Goexit was called"
	}
	r.Log().Error("the actor panicked", "call", id, "panic", cause, "stack", string(debug.Stack()))
	return fault.Panicked(r.method.Procedure, id)
}

// callID names one failure in the log and in the error that its caller sees.
func callID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

func (r *run) name() string { return r.typ + "/" + r.id }

// ID, Version, State, Metadata, Log and Invoke are what a method sees of its turn.

func (r *run) ID() string { return r.id }

func (r *run) Version() uint64 { return r.activation.version.Load() }

func (r *run) State() proto.Message {
	if !r.method.View {
		return r.activation.lend()
	}
	if r.host.cfg.ViewWrote == nil {
		return r.activation.shared()
	}
	if r.own == nil {
		own := proto.Clone(r.activation.shared())
		r.own = &own
	}
	return *r.own
}

func (r *run) Metadata() actor.Metadata { return r.metadata }

func (r *run) Log() *slog.Logger {
	return r.host.cfg.Logger.With("actor", r.name(), "method", shortName(r.method.Procedure))
}

func (r *run) Invoke(ctx context.Context, call actor.Call) (proto.Message, error) {
	switch {
	case r.over.Load():
		return nil, fault.TurnOver(r.name())
	case r.revoked.Load():
		return nil, fault.Superseded(r.name())
	}
	if call.Later != nil {
		return nil, r.schedule(ctx, &call)
	}
	if err := r.activation.settled(ctx); err != nil {
		return nil, ended(err)
	}
	a, err := r.host.invoke(ctx, r.origin(), &call)
	return a.reply, err
}
