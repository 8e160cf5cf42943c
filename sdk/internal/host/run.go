package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/chain"
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
// caller need not wait for the method; any other on its caller's goroutine.
type run struct {
	host   *Host
	parent context.Context
	from   origin
	call   actor.Call
	shard  uint32
	link   chain.Link
	// metadata is what this call carries.
	metadata actor.Metadata
	// due is when the deadline passes, by the clock of the host's deadline queue;
	// 0 is never. The parent context may end earlier.
	due time.Duration
	// ends is true when the deadline or the parent context can end the call.
	ends bool

	// table is that of the actor's type; nil where this host does not serve it.
	table    *table
	method   *actor.Method
	req      proto.Message
	slot     *slot
	ticket   turn.Ticket[holder]
	deadline deadline.Entry
	scope    scope

	// activation is what the method runs on, from admission to the end.
	activation *activation
	// own is the state of this view alone, for test kits.
	own proto.Message
	// patience is when the steps outside the queue of an actor give up, for a call
	// without a deadline; 0 before the first of them.
	patience time.Duration
	// revoked is set when the worker lost the shard while the method ran.
	revoked atomic.Bool
	// returned is true once the method has come back without a panic.
	returned bool
	// over is true once the turn has ended: it no longer calls anybody.
	over atomic.Bool

	// wake tells the caller that it may run (on its own goroutine) or that the
	// answer is there. It is nil where nobody waits.
	wake chan struct{}
	// answered is set by who writes answer and err: the method's end or the
	// deadline, whichever comes first.
	answered atomic.Bool
	answer   answer
	err      error
}

// holder is what a queue admits: a run, or the end of an activation.
type holder interface {
	// admitted lets the holder use the actor. It is called under the lock of the
	// slot and must not block.
	admitted()
	// revoke makes the holder give up, because the worker lost the shard.
	revoke()
	// abort makes the holder give up, because the shutdown grace is over.
	abort()
}

// origin is what the calls of this run inherit.
func (r *run) origin() origin {
	return origin{link: &r.link, view: r.method.View, metadata: r.metadata, due: r.due}
}

// result waits for the answer of a run that has arrived.
func (r *run) result(verdict turn.Verdict) (answer, error) {
	switch {
	case !r.ends && verdict == turn.Admitted:
		r.execute()
	case !r.ends:
		<-r.wake
		if !r.answered.Load() {
			r.execute()
		}
	default:
		r.await()
	}
	return r.answer, r.err
}

// await waits until the method has answered or the call has ended.
func (r *run) await() {
	select {
	case <-r.wake:
	case <-r.parent.Done():
		r.end(r.parent.Err())
		<-r.wake
	}
	if r.due > 0 {
		r.host.deadlines.Stop(&r.deadline)
	}
}

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
	r.finish(answer{}, ended(cause))
	r.scope.cancel(cause)
}

// revoke cancels a run whose actor this worker no longer owns.
func (r *run) revoke() {
	r.revoked.Store(true)
	r.scope.cancel(context.Canceled)
}

// abort gives up a run whose host stops.
func (r *run) abort() {
	if r.slot.abandon(r) {
		r.finish(answer{}, fault.ShuttingDown())
	}
	r.scope.cancel(context.Canceled)
}

// admitted lets the run go on, on whichever goroutine it belongs to.
func (r *run) admitted() {
	if r.ends {
		r.host.pool.run(r)
		return
	}
	r.wake <- struct{}{}
}

// finish gives the caller its answer, once.
func (r *run) finish(a answer, err error) {
	if !r.answered.CompareAndSwap(false, true) {
		return
	}
	r.answer, r.err = a, err
	if r.wake != nil {
		r.wake <- struct{}{}
	}
}

// execute runs the method. The run has been admitted.
func (r *run) execute() {
	var a answer
	var err error
	defer func() {
		if !r.returned {
			a, err = answer{}, r.crashed(recover())
		}
		r.over.Store(true)
		r.scope.cancel(context.Canceled)
		r.slot.leave(&r.ticket)
		r.finish(a, err)
	}()
	a, err = r.perform()
	r.returned = true
}

// perform opens the actor if need be, calls the method, and commits or undoes
// what it did.
func (r *run) perform() (answer, error) {
	if err := r.entitled(); err != nil {
		return answer{}, r.started(err)
	}
	if err := r.slot.ready(r); err != nil {
		return answer{}, r.started(err)
	}
	if r.activation = r.slot.activation; !r.owns() {
		return answer{}, errMoved
	}
	reply, err := r.method.Run((*turnContext)(r), r.activation.instance, r, r.req)
	if r.method.View {
		return r.viewed(reply, err)
	}
	return r.turned(reply, err)
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
	return ended(r.host.cfg.Cluster.Pass((*turnContext)(r)))
}

// ended is what the caller is told when a step failed that waits for the cluster.
func ended(err error) error {
	if err == nil || fault.Detail(err) != nil {
		return err
	}
	return fault.EndedWaiting(err)
}

// owns reports whether the activation is still this worker's to run.
func (r *run) owns() bool {
	cluster := r.host.cfg.Cluster
	entry := cluster.Entry(r.link.Type, r.shard)
	return !r.revoked.Load() && entry.GetEpoch() == r.activation.epoch && entry.GetWorker() == cluster.Worker()
}

// turned ends a turn: by a commit, or as if it had never been.
func (r *run) turned(reply proto.Message, err error) (answer, error) {
	if err != nil {
		return answer{}, r.undone(r.failed(err, francisv1.Reason_REASON_METHOD_FAILED))
	}
	a, err := r.copyReply(reply)
	if err != nil {
		return answer{}, r.undone(err)
	}
	committed, err := r.activation.commit(r)
	if err != nil {
		return answer{}, err
	}
	if committed {
		return a, nil
	}
	return a, r.confirm()
}

// undone rolls the state back and returns err.
func (r *run) undone(err error) error {
	r.activation.rollback()
	if lost := r.confirm(); lost != nil {
		return lost
	}
	return err
}

// confirm makes sure that a turn without a commit was still this worker's to run
// when it ended; a commit is proven by the runtime.
func (r *run) confirm() error {
	err := r.entitled()
	if r.revoked.Load() || err == nil && !r.owns() {
		return fault.Superseded(r.name())
	}
	return err
}

// viewed ends a view. One whose worker has lost the shard runs again elsewhere.
func (r *run) viewed(reply proto.Message, err error) (answer, error) {
	if r.own != nil && r.activation.differs(r.own) {
		r.host.cfg.ViewWrote(r.name(), shortName(r.method.Procedure))
	}
	if err := r.entitled(); err != nil {
		return answer{}, r.started(err)
	}
	if !r.owns() {
		return answer{}, errMoved
	}
	if err != nil {
		return answer{}, r.failed(err, francisv1.Reason_REASON_METHOD_FAILED)
	}
	return r.copyReply(reply)
}

// copyReply copies or encodes what the method returned, so that the caller owns it:
// the method may have returned a part of the state.
func (r *run) copyReply(reply proto.Message) (answer, error) {
	if size, most := proto.Size(reply), r.host.cfg.Limits.Message; size > most {
		return answer{}, fault.TooLarge("the reply of "+r.method.Procedure, size, most)
	}
	if r.call.Codec == 0 {
		return answer{reply: cloned(reply)}, nil
	}
	encoded, err := codec.Marshal(r.call.Codec, reply)
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

func (r *run) name() string { return r.link.Type + "/" + r.link.ID }

// ID, Version, State, Metadata, Log and Invoke are what a method sees of its turn.

func (r *run) ID() string { return r.link.ID }

func (r *run) Version() uint64 { return r.activation.version }

func (r *run) State() proto.Message {
	if !r.method.View {
		return r.activation.lend()
	}
	if r.host.cfg.ViewWrote == nil {
		return r.activation.shared()
	}
	if r.own == nil {
		r.own = proto.Clone(r.activation.shared())
	}
	return r.own
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
	a, err := r.host.invoke(ctx, r.origin(), call)
	return a.reply, err
}
