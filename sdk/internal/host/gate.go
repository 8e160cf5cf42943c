package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
)

// waiter waits for what is pending in an activation.
type waiter interface {
	// told is called once, without a lock. It does not block.
	told(outcome gate.Outcome, why reasons)
}

// reasons are what callers are told of a record that was not applied, or is not known
// to be: the error of those to whom nothing happened, and of the others.
type reasons struct{ nothing, unknown error }

// of is the error that belongs to an outcome.
func (r reasons) of(outcome gate.Outcome) error {
	if outcome == gate.Unknown {
		return r.unknown
	}
	return r.nothing
}

// output is what is about to leave an activation: its gate, and the records that pass it.
// It is guarded by the lock of the slot. Most activations have nothing to say most of the
// time, and no output.
type output struct {
	gate gate.Gate[waiter]
	// next accumulates what is to be sent, and flight is on its way; nil for none. They
	// take turns in records.
	next, flight *record
	records      [2]record
	// asked is true from when the activation has asked for a place for its next record
	// until that is sealed.
	asked bool
	// held is true while the next record waits for those who wait for the actor, and until
	// linger is over; hurried is true when it waits for them no more.
	held, hurried bool
	lingering     deadline.Entry
	// accumulated and sent are what they hold of the budget of the host, in bytes.
	accumulated, sent int
}

// broken reports whether a record of the activation was refused or lost.
func (o *output) broken() bool { return o != nil && o.gate.Broken() }

// open reports whether nothing is pending, and nothing was lost.
func (o *output) open() bool { return o == nil || !o.gate.Broken() && !o.gate.Pending() }

// follow lets w wait for all that is pending, if anything is.
func (o *output) follow(w waiter) gate.Verdict {
	if o == nil {
		return gate.Open
	}
	return o.gate.Follow(w)
}

// outputs are those without anything pending, for activations that have something to say.
// Many actors change now and then, and each time they need as much memory as a call.
var outputs = sync.Pool{New: func() any { return &output{} }}

// over gives an output up that has nothing pending.
func (o *output) over() {
	o.hurried = false
	outputs.Put(o)
}

// record is a record with the messages that every one has.
type record struct {
	runtimev1.Record

	actor          runtimev1.Actor
	fence          runtimev1.Fence
	base, identity runtimev1.Identity
}

// identity is that of a record; the zero value is none.
type identity struct{ activation, sequence uint64 }

func identityOf(i *runtimev1.Identity) identity {
	return identity{i.GetActivation(), i.GetSequence()}
}

// begin begins the next record of the activation; what names it comes when it is sealed.
// The slot is locked.
func (a *activation) begin() *record {
	r := &a.output.records[0]
	if r == a.output.flight {
		r = &a.output.records[1]
	}
	r.actor.Type, r.actor.Id = a.slot.table.typ.Type, a.slot.id
	r.fence.Shard, r.fence.Epoch = a.slot.shard, a.epoch
	r.Actor, r.Fence = &r.actor, &r.fence
	r.Message, r.StateTtl = a.slot.table.stateName(), a.slot.table.ttl
	return r
}

// identify gives a record the next identity of the activation, on top of its base.
func (a *activation) identify(r *record) {
	a.sequence++
	r.identity.Activation, r.identity.Sequence = a.number, a.sequence
	r.Identity = &r.identity
	if a.base != (identity{}) {
		r.base.Activation, r.base.Sequence = a.base.activation, a.base.sequence
		r.Base = &r.base
	}
}

// stage lets the turn r wait for the next record, to which it adds what it changed.
// The slot is locked.
func (a *activation) stage(r *run) gate.Verdict {
	if a.output == nil {
		a.output = outputs.Get().(*output)
	}
	o := a.output
	kept, tasks := len(r.keyed.kept().GetReply()), r.later.Load().size()
	verdict := o.gate.Stage(r, kept+tasks)
	if verdict == gate.Broken {
		return verdict
	}
	if o.next == nil {
		o.next = a.begin()
	}
	state := a.encoded
	if r.clears() {
		a.delete()
		state = nil
	} else {
		a.life = lived(a.slot.table.typ.StateTTL)
	}
	a.keep(r)
	a.tasks(r)
	a.hold(len(state) - len(o.next.GetData()) + kept + tasks)
	o.next.Data = state
	if o.gate.Full() {
		a.crowded.Store(true)
	}
	return verdict
}

// hold takes bytes of the budget of the host for what accumulates.
func (a *activation) hold(bytes int) {
	a.output.accumulated += bytes
	a.slot.table.host.budget.add(bytes)
}

// free gives back what the record in flight held of it.
func (a *activation) free() {
	a.slot.table.host.budget.add(-a.output.sent)
	a.output.sent = 0
}

// linger is how long the next record waits for turns that could still be part of it, when
// it could leave.
const linger = time.Millisecond

// due reports whether the activation is to ask for a place for its next record now. While
// others wait for the actor, the record waits for their turns. The slot is locked.
func (a *activation) due() bool {
	if a == nil || a.output == nil || a.output.asked || a.away.Load() > 0 || !a.output.gate.Due() {
		return false
	}
	o, deadlines := a.output, a.slot.table.host.deadlines
	switch waits := a.slot.queue.Waiting() > 0 && !o.hurried; {
	case waits && !o.held:
		o.held = true
		deadlines.Set(&o.lingering, a, deadlines.Now()+linger)
	case !waits && o.held:
		o.held = false
		deadlines.Stop(&o.lingering)
	}
	o.asked = !o.held
	return o.asked
}

// Wake lets the next record leave: it has waited for long enough.
func (a *activation) Wake() {
	a.slot.mu.Lock()
	due := a.hurry()
	a.slot.mu.Unlock()
	if due {
		a.send()
	}
}

// hurry lets the next record leave without those who wait for the actor, and reports whether
// the activation is to ask for a place for it. The slot is locked.
func (a *activation) hurry() bool {
	if a.output != nil {
		a.output.hurried = true
	}
	return a.due()
}

// Seal implements [Sender].
func (a *activation) Seal() *runtimev1.Record {
	a.slot.mu.Lock()
	defer a.slot.mu.Unlock()
	o := a.output
	o.asked, o.hurried = false, false
	if !o.gate.Send() { // the host has given up
		return nil
	}
	o.flight, o.next = o.next, nil
	o.sent, o.accumulated = o.accumulated, 0
	a.crowded.Store(false)
	a.identify(o.flight)
	return &o.flight.Record
}

// discard drops what has accumulated.
func (a *activation) discard() {
	a.hold(-a.output.accumulated)
	a.output.next = nil
}

// send lets the next record leave.
func (a *activation) send() { a.slot.table.host.cfg.Cluster.Commit(a) }

// Answered implements [Sender]: it lets those go that waited for the record in flight. The
// next one leaves when they run again.
func (a *activation) Answered(res *runtimev1.CommitResponse_Result, err error) {
	s := a.slot
	s.mu.Lock()
	if a.output.broken() { // the host has given up; nobody waits
		s.mu.Unlock()
		return
	}
	told, why := a.judge(res, err)
	a.free()
	a.away.Add(1) // until all are told
	var doomed []holder
	var over *output
	switch {
	case a.output.broken():
		a.discard()
		doomed = s.doom()
	case !a.output.gate.Pending():
		over, a.output = a.output, nil
	}
	s.mu.Unlock()

	for _, h := range doomed {
		h.doom()
	}
	for _, t := range told {
		t.Waiter.told(t.Outcome, why)
	}
	clear(told) // the gate keeps the memory
	if over != nil {
		over.over()
	}
	a.back()
}

// back says that one of those is under way no more that the next record waits for: the
// callers whose answers have just left. The last one sends it.
func (a *activation) back() {
	if a.away.Add(-1) > 0 {
		return
	}
	a.slot.mu.Lock()
	due := a.due()
	a.slot.mu.Unlock()
	if due {
		a.send()
	}
}

// judge says what an answer to the record in flight means. The slot is locked.
func (a *activation) judge(res *runtimev1.CommitResponse_Result, err error) ([]gate.Told[waiter], reasons) {
	o := a.output
	flight := o.flight
	o.flight = nil
	switch answer := res.GetVerdict(); {
	case errors.Is(err, ErrUnsent) && fault.StoreUnfit(err):
		return o.gate.Refused(), reasons{nothing: fault.Relayed(err)}
	case errors.Is(err, ErrUnsent),
		err == nil && (answer == runtimev1.Verdict_VERDICT_STALE_EPOCH || answer == runtimev1.Verdict_VERDICT_STALE_BASE || answer == runtimev1.Verdict_VERDICT_SUPERSEDED):
		return o.gate.Refused(), a.superseded()
	case err == nil && answer == runtimev1.Verdict_VERDICT_TOO_MANY_TASKS:
		return o.gate.Refused(), reasons{nothing: fault.TooManyTasks(a.name(), limit.MaxDeleted)}
	case err == nil && answer == runtimev1.Verdict_VERDICT_DAMAGED:
		return o.gate.Refused(), reasons{nothing: fault.StateDamaged(a.name())}
	case err == nil && (answer == runtimev1.Verdict_VERDICT_APPLIED || answer == runtimev1.Verdict_VERDICT_ALREADY_APPLIED):
		a.base = identityOf(flight.GetIdentity())
		a.version.Store(res.GetVersion())
		for _, key := range flight.GetKeys() {
			delete(a.extras.replies, digestIn(key.GetDigest()))
		}
		flight.Reset()
		return o.gate.Applied(), reasons{}
	default:
		return o.gate.Lost(), a.unanswered(answer, err)
	}
}

func (a *activation) superseded() reasons { return reasons{nothing: fault.Superseded(a.name())} }

// unanswered is what callers are told of a record of which nobody knows whether it was
// applied.
func (a *activation) unanswered(answer runtimev1.Verdict, err error) reasons {
	if err == nil {
		err = fmt.Errorf("the verdict is %v", answer)
	}
	id := callID()
	a.Log().Error("a commit was not answered", "call", id, "error", err)
	return reasons{nothing: fault.Superseded(a.name()), unknown: fault.CommitUnanswered(a.name(), id)}
}

// doom ends an activation of which a record was refused or lost: whoever runs on it is
// cancelled, and who comes next opens the actor anew. It returns who runs. The slot is
// locked.
func (s *slot) doom() []holder {
	if s.queue.Cold() { // who opens the actor anew waits for this answer already
		return nil
	}
	idle := s.queue.Idle()
	running := s.queue.Running()
	s.queue.Spoil()
	if idle && !s.dead {
		s.end(nil)
	}
	return running
}

// forsake gives up what is pending, because the host stops.
func (s *slot) forsake() {
	s.mu.Lock()
	a := s.activation
	if a == nil || a.output == nil || !a.output.gate.Pending() {
		s.mu.Unlock()
		return
	}
	told := a.output.gate.Lost()
	a.free()
	a.discard()
	s.mu.Unlock()
	why := a.unanswered(0, errStopped)
	for _, t := range told {
		t.Waiter.told(t.Outcome, why)
	}
}

var errStopped = errors.New("the host stopped before the runtime had answered")

// passage is a waiter that somebody waits for.
type passage chan error

func (p passage) told(outcome gate.Outcome, why reasons) {
	if outcome == gate.Durable {
		p <- nil
		return
	}
	p <- why.nothing
}

// answeredAll waits until every record of the activation is answered, or ctx ends.
func (a *activation) answeredAll(ctx context.Context) error {
	if err := a.settled(ctx); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// settled waits until everything that happened in the activation before now is durable.
// It fails when ctx ends first, and when it will never be.
func (a *activation) settled(ctx context.Context) error {
	a.slot.mu.Lock()
	if a.output.open() {
		a.slot.mu.Unlock()
		return nil
	}
	p := make(passage, 1)
	verdict := a.output.follow(p)
	due := verdict == gate.Wait && a.hurry()
	a.slot.mu.Unlock()
	if due {
		a.send()
	}
	switch verdict {
	case gate.Open: // as without the output gate
		return nil
	case gate.Broken:
		return fault.Superseded(a.name())
	default:
		return p.wait(ctx)
	}
}

// wait returns what the passage is told, or the error of ctx when it ends first.
func (p passage) wait(ctx context.Context) error {
	select {
	case err := <-p:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// room waits while so much is pending, of this activation or of all, that one more turn
// would hold too much memory.
func (r *run) room(a *activation) error {
	if !a.crowded.Load() && r.host.budget.free() {
		return nil
	}
	if a.crowded.Load() {
		if err := a.settled((*turnContext)(r)); err != nil {
			return ended(err)
		}
	}
	if err := r.host.budget.wait((*turnContext)(r)); err != nil {
		return ended(err)
	}
	return r.entitled() // the lease may have lapsed meanwhile
}
