package host

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

const (
	// maxHeld is how many deliveries a host takes at a time, and fewestTaken for how many it
	// asks at least, so that they do not come one by one.
	maxHeld     = 1024
	fewestTaken = 64
	// returnDelay is how soon a delivery comes again that could not be run, at the
	// earliest.
	returnDelay = time.Second
)

// delivery is an alarm or a job that has come due, from when it comes until its end is
// known. It stands where a call of another worker has who waits for it; nobody waits for a
// delivery, which ends with its turn.
type delivery struct {
	context.Context

	host *Host
	due  *runtimev1.Delivery
	// failure is how the actor's code has failed; nil as long as it has not. It and cancelled
	// are guarded by the run's use of the actor.
	failure *runtimev1.Failure
	// cancelled is true when it failed because the host had cancelled its turn.
	cancelled bool
	// later is what its run has to do with tasks, and completes what its record says.
	later     later
	completes runtimev1.Completion
}

// Deliver takes a delivery. It is in the queue of its actor when Deliver returns, unless
// something has to be waited for first. One that the host has already is ignored.
func (h *Host) Deliver(due *runtimev1.Delivery) {
	d := &delivery{Context: context.Background(), host: h, due: due}
	if !h.held.take(d.name()) {
		return
	}
	call := d.call()
	r, err := h.prepare(d, origin{metadata: d.task().GetMetadata()}, &call)
	if err != nil {
		d.Answer(nil, err)
		return
	}
	// It waits for as long as it has to; its deadline begins with its method.
	r.forwarded, r.ends, r.due = true, true, 0
	d.later.delivery = d
	r.later.Store(&d.later)
	if h.cfg.Cluster.Entry(r.typ, r.shard).GetEpoch() < due.GetFence().GetEpoch() {
		go r.deliverLate(&call)
		return
	}
	r.deliver(&call)
}

func (d *delivery) task() *runtimev1.Task { return d.due.GetTask().GetTask() }

// call is the call that a delivery becomes. An idempotency key holds for a job that is due
// once: of one that repeats, each time is a call of its own.
func (d *delivery) call() actor.Call {
	task := d.task()
	call := actor.Call{
		Type: task.GetKey().GetType(), ID: task.GetKey().GetId(), Procedure: task.GetProcedure(),
		Codec: peerv1.Codec_CODEC_PROTO, Body: task.GetRequest(),
	}
	if task.GetTiming().GetRepeat() == nil {
		call.Key = task.GetIdempotencyKey()
	}
	return call
}

// deliverLate takes a delivery by a newer table than this worker's.
func (r *run) deliverLate(call *actor.Call) {
	if err := r.wait(r.placed(r.later.Load().delivery.due.GetFence().GetEpoch())); err != nil {
		r.fail(err)
		return
	}
	r.deliver(call)
}

// deliver puts a delivery into the queue of its actor. One that this worker has no right to
// any more comes again to who has it.
func (r *run) deliver(call *actor.Call) {
	cluster, due := r.host.cfg.Cluster, r.later.Load().delivery.due
	if entry := cluster.Entry(r.typ, r.shard); entry.GetWorker() != cluster.Worker() || entry.GetEpoch() != due.GetFence().GetEpoch() {
		r.fail(errMoved)
		return
	}
	if err := r.resolve(call); err != nil {
		r.fail(err)
		return
	}
	if r.method.View {
		r.fail(fault.ViewLater(r.method.Procedure))
		return
	}
	switch _, parked, err := r.enter(); {
	case err != nil:
		r.fail(err)
	case parked != nil:
		r.fail(errMoved)
	}
}

// handles is the delivery that a run handles; nil for a call.
func (r *run) handles() *delivery {
	if l := r.later.Load(); l != nil {
		return l.delivery
	}
	return nil
}

// apart lets the method of a delivery begin when everything is durable that happened before
// it: a record begins with it then, and can be refused without what was before. Its time
// begins now.
func (r *run) apart(a *activation) error {
	if r.handles() == nil {
		return nil
	}
	if err := a.learn((*turnContext)(r), r); err != nil {
		return err
	}
	if err := a.settled((*turnContext)(r)); err != nil {
		return ended(err)
	}
	if err := r.entitled(); err != nil { // the lease may have lapsed meanwhile
		return err
	}
	timeout := r.method.Timeout
	if timeout == 0 {
		timeout = r.host.cfg.Limits.CallTimeout
	}
	r.due = r.host.deadlines.Now() + timeout
	r.host.deadlines.Set(&r.deadline, travelling{r}, r.due)
	return nil
}

// blame says that the actor's code has failed: an attempt has, if the run handles a
// delivery. The first error counts. None does once the host has cancelled the turn, because
// it stops or has lost the actor.
func (r *run) blame(err error) {
	d := r.handles()
	switch {
	case d == nil || d.failure != nil:
	case r.cancelled():
		d.cancelled = true
	default:
		d.failure = &runtimev1.Failure{Error: failureText(err), Permanent: actor.IsPermanent(err)}
	}
}

// cancelled reports whether the turn of a delivery was cancelled for another reason than
// its deadline.
func (r *run) cancelled() bool {
	s := r.scope.Load()
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Is(s.cause, context.Canceled)
}

// failureText is what is kept of an error, for people.
func failureText(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), limit.MaxFailure)], "\uFFFD")
}

// name is what the host knows a delivery by. One of another epoch is another one: what runs
// by an earlier epoch has no effect.
func (d *delivery) name() deliveryName {
	key := d.task().GetKey()
	return deliveryName{
		typ: key.GetType(), id: key.GetId(), alarm: key.GetAlarm(), job: key.GetJob(),
		revision: d.due.GetTask().GetRevision(), epoch: d.due.GetFence().GetEpoch(),
	}
}

// completion says in a record that it completes the delivery.
func (d *delivery) completion() *runtimev1.Completion {
	d.completes.Key, d.completes.Revision = d.task().GetKey(), d.due.GetTask().GetRevision()
	return &d.completes
}

// Answer ends the delivery. What its record has completed has ended; what moves comes again
// to who owns it then; anything else is settled. That is safe where nobody knows what
// happened: if the record was applied, the task has another revision by now.
func (d *delivery) Answer(_ *peerv1.InvokeResponse, err error) {
	switch {
	case err == nil:
		d.over()
	case d.failure != nil:
		d.settle(&runtimev1.Settlement{End: &runtimev1.Settlement_Failed{Failed: d.failure}})
	case !d.cancelled && lasting(err):
		d.settle(&runtimev1.Settlement{End: &runtimev1.Settlement_Failed{Failed: &runtimev1.Failure{Error: failureText(err), Permanent: true}}})
	default:
		after := max(fault.Detail(err).GetRetryDelay().AsDuration(), returnDelay)
		d.settle(&runtimev1.Settlement{End: &runtimev1.Settlement_Returned{Returned: durationpb.New(after)}})
	}
}

// lasting reports whether the host could never run a delivery: its method is gone, or its
// request is none of the method.
func lasting(err error) bool {
	switch fault.Detail(err).GetReason() {
	case francisv1.Reason_REASON_UNKNOWN_METHOD, francisv1.Reason_REASON_INVALID_TASK, francisv1.Reason_REASON_MALFORMED,
		francisv1.Reason_REASON_INVALID_ID, francisv1.Reason_REASON_TOO_LARGE, francisv1.Reason_REASON_IDEMPOTENCY_KEY:
		return true
	default:
		return false
	}
}

// settle tells the runtime how the delivery has ended. Until that is known the host has it:
// it does not run again meanwhile.
func (d *delivery) settle(end *runtimev1.Settlement) {
	end.Key, end.Revision, end.Fence = d.task().GetKey(), d.due.GetTask().GetRevision(), d.due.GetFence()
	d.host.cfg.Cluster.Settle(end, d.over)
}

// over forgets the delivery.
func (d *delivery) over() { d.host.held.drop(d.name()) }

// Notify does nothing: nobody can leave.
func (d *delivery) Notify(link.Leaver) {}

// Delivery is what the method sees of it.
func (r *run) Delivery() *actor.Delivery {
	d := r.handles()
	if d == nil {
		return nil
	}
	stage := d.due.GetTask()
	return &actor.Delivery{
		Alarm: d.task().GetKey().GetAlarm(), Job: d.task().GetKey().GetJob(),
		Scheduled: stage.GetScheduled().AsTime(), Attempt: int(stage.GetFailures()) + 1,
	}
}

// dismiss lets go of the deliveries that wait in the queue: they come again to the next
// owner.
func (s *slot) dismiss() {
	s.mu.Lock()
	holders := s.queue.Holders()
	s.mu.Unlock()
	for _, h := range holders {
		if r, ok := h.(*run); ok && r.handles() != nil && s.abandon(r) {
			r.fail(errMoved)
		}
	}
}

// Room waits until the host can take more deliveries, or ctx ends, and returns how many.
func (h *Host) Room(ctx context.Context) (int, error) { return h.held.room(ctx) }

// deliveryName is what a host knows a delivery by.
type deliveryName struct {
	typ, id, alarm, job string
	revision, epoch     uint64
}

// held are the deliveries that a host has.
type held struct {
	mu    sync.Mutex
	names map[deliveryName]struct{}
	// freed is closed when there is room again; nil while nobody waits for it.
	freed chan struct{}
}

// take adds a delivery, and reports whether the host did not have it.
func (h *held) take(name deliveryName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, have := h.names[name]; have {
		return false
	}
	if h.names == nil {
		h.names = map[deliveryName]struct{}{}
	}
	h.names[name] = struct{}{}
	return true
}

// drop removes a delivery.
func (h *held) drop(name deliveryName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.names, name)
	if h.freed != nil && h.spare() >= fewestTaken {
		close(h.freed)
		h.freed = nil
	}
}

// room waits until there is room, or ctx ends.
func (h *held) room(ctx context.Context) (int, error) {
	for {
		spare, freed := h.look()
		if freed == nil {
			return spare, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// look returns how much room there is; where that is too little, what to wait for.
func (h *held) look() (int, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	spare := h.spare()
	if spare >= fewestTaken {
		return spare, nil
	}
	if h.freed == nil {
		h.freed = make(chan struct{})
	}
	return 0, h.freed
}

func (h *held) spare() int { return maxHeld - len(h.names) }
