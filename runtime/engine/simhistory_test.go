package engine

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// history is what callers asked for, what happened, and what they were told. Of every
// actor it knows the order in which turns took effect, so that each answer is checked when
// it arrives, mostly against the latest of them.
type history struct {
	world  *world
	actors [allShards]effects
	// era counts how often the store was put back: what was asked in an earlier one may
	// have got lost.
	era int
	// answered counts the answers of each actor that were durable.
	answered [allShards]int
}

// state is that of an actor: how many turns it counts, and the activation in which they
// began. An actor that was never called, was deleted, or has expired has none, the zero value.
type state struct{ born, turns uint64 }

// after is the state after a turn of an activation.
func (s state) after(a *attempt, activation uint64) state {
	switch {
	case !a.at.stateful(), a.deletes:
		return state{}
	case s.turns == 0:
		return state{activation, 1}
	default:
		return state{s.born, s.turns + 1}
	}
}

// effects is what happened to one actor, in order, but for the oldest.
type effects struct {
	dropped int
	// first is the state that was left by what is dropped.
	first effect
	all   []effect
	// shown is how much of it the callers of finished calls have seen.
	shown int
	// keysSince is when the calls began whose keys may be relied on.
	keysSince time.Duration
	// jobs is how many the actor has, and version that of its last record.
	jobs    int
	version uint64
	// swept is true when the state had expired and the store was asked to forget.
	swept bool
}

// effect is a turn that took effect. Without one a state was found to have expired, or is
// there again: the clock of the store went back.
type effect struct {
	*attempt

	// left is the state that it left, lost the one that has expired. record is the last one.
	left, lost state
	record     *runtimev1.Identity
	// expires is when the last state that a turn has left expires, by the clock of the store.
	expires time.Time
}

// over reports whether that time has come.
func (f effect) over(now time.Time) bool { return !now.Before(f.expires) }

// length is where the history of the actor has come to.
func (e *effects) length() int { return e.dropped + len(e.all) }

func (e *effects) last() effect { return e.at(e.length()) }

// at is the effect that led to a place in the history, which is not dropped.
func (e *effects) at(place int) effect {
	if place == e.dropped {
		return e.first
	}
	return e.all[place-e.dropped-1]
}

// find returns the last place where the actor had a state, from one on; found is false where
// it had not.
func (e *effects) find(s state, from int) (place int, found bool) {
	for place = e.length(); place >= max(from, e.dropped); place-- {
		if e.at(place).left == s {
			return place, true
		}
	}
	return 0, false
}

// trim drops all but those from a length on.
func (e *effects) trim(length int) {
	if length <= e.dropped {
		return
	}
	e.first = e.at(length)
	e.all = slices.Clone(e.all[length-e.dropped:])
	e.dropped = length
}

// op is what a client wants: one turn or view. Its attempts share one key, if it has one.
type op struct {
	number uint64
	at     place
	view   bool
	keyed  bool
	// deletes is true for a turn that deletes its actor, enqueues for one that enqueues a job
	// for it.
	deletes, enqueues bool
	// begun and due are when it was asked for, and when its caller stops waiting.
	begun, due time.Duration
	// era is the era in which it began, and floor what others had been shown by then.
	era, floor int
	// effects counts how often it took effect; it did last at place, and was answered value
	// then.
	effects, place int
	value          reply
	// attempts counts the answers, and doubted is true when one of them left open what
	// happened.
	attempts int
	doubted  bool
	// denied is true when its caller was told that nothing happened.
	denied bool
	// plain is true when it succeeded at once and where it was sent first; before is the
	// one that its client sent just before it to the same actor, over the same link.
	plain         bool
	before, after *op
}

// reply is what a method returns: the state that it leaves or sees, or without state its
// number.
type reply struct {
	state
	number uint64
}

// lasting reports whether the op leaves something behind that can be counted.
func (o *op) lasting() bool { return !o.view && (o.keyed || o.deletes || o.at.stateful()) }

// attempt is an op, sent once.
type attempt struct {
	*op
	// denied is true when its caller was told that nothing happened.
	denied bool
	// applied is true when it took effect.
	applied bool
	// detours is true when it was not served at once where it came to.
	detours bool
}

// begin is told that somebody asks for o.
func (h *history) begin(o *op) {
	h.world.calls++
	o.begun, o.era, o.floor = h.world.now, h.era, h.actors[o.at].shown
}

// applied is told that a record was written (G2, G7, G8).
func (h *history) applied(at place, b *batch) {
	e := &h.actors[at]
	for i, r := range b.turns {
		a := r.errand.attempt
		before := h.before(at, b.activation, r)
		next := before.after(a, b.activation.number)
		e.all = append(e.all, effect{attempt: a, left: next, record: b.record.GetIdentity(), expires: h.world.wallClock().Add(at.ttl(h.world))})
		e.swept = false
		a.applied, a.effects = true, a.effects+1
		a.value, a.place = r.reply, e.length()
		switch {
		case at.stateful() && r.reply.state != next:
			h.world.failf("G2: turn %d of the record %v of %v found the state %v, and leaves %v", i, b.record.GetIdentity(), at, before, r.reply.state)
		case (a.denied || a.op.denied) && !h.world.store.behind:
			h.world.failf("G8: the caller of %v was told that nothing happened, and now it has", a.op)
		case a.effects > 1 && !e.excuses(a.op):
			h.world.failf("G7: %v took effect %d times", a.op, a.effects)
		}
		e.count(a, h.world.now)
	}
	if got := stateOf(b.record.GetData()); at.stateful() && got != e.last().left {
		h.world.failf("G2: a record leaves the state %v after turns that leave %v", got, e.last().left)
	}
}

// before is the state that a turn found which takes effect now: the last one, unless that
// has to do with its life.
func (h *history) before(at place, a *activation, r *run) state {
	last, none := h.actors[at].last(), state{}
	leads := func(from state) bool { return r.reply.state == from.after(r.errand.attempt, a.number) }
	switch {
	case last.attempt == nil && last.left == none && leads(last.lost): // it ran when that expired, and comes late: nobody was told of it
		return last.lost
	case at.ttl(h.world) > 0 && a.era != h.era && leads(none): // that the state had expired was found before the store was put back
		return none
	default:
		return last.left
	}
}

// count counts the jobs that a turn leaves. One that deletes the actor takes its keys as
// well: who made a call before, and makes it again, is not known any more.
func (e *effects) count(a *attempt, now time.Duration) {
	switch {
	case a.deletes:
		e.jobs, e.keysSince = 0, now+1
	case a.enqueues:
		e.jobs++
	}
}

// excuses reports whether the key of o may have been forgotten.
func (e *effects) excuses(o *op) bool { return o.keyed && o.begun < e.keysSince }

// loaded is told what the store answers to who loads an actor: its state, or none because
// the state has expired, and never what was deleted or has been written over.
func (h *history) loaded(at place, got *runtimev1.State) {
	if h.world.store.behind || !at.stateful() {
		return
	}
	e, s, now := &h.actors[at], stateOf(got.GetData()), h.world.wallClock()
	last, mortal, none := e.last(), at.ttl(h.world) > 0, state{}
	switch {
	case s != none && mortal && last.over(now.Add(-time.Microsecond)):
		h.world.failf("%v has the state %v %v after its time", at, s, now.Sub(last.expires))
	case s == last.left:
	case s == none:
		if !mortal || !last.over(now) && !e.swept {
			h.world.failf("the state %v of %v is gone %v before its time", last.left, at, last.expires.Sub(now))
		}
	case s != last.lost || e.swept:
		h.world.failf("%v has the state %v again, after %v", at, s, last.left)
	}
}

// opened is told that the owner of an actor goes on with what it has loaded. A state that has
// expired is gone from now on.
func (h *history) opened(a *activation) {
	e := &h.actors[a.slot.at]
	last := e.last()
	if !a.slot.at.stateful() || a.state == last.left {
		return
	}
	if proto.Equal(a.base, last.record) || a.base == nil && a.place == e.length() { // nobody has committed since
		e.all = append(e.all, effect{left: a.state, lost: last.left, record: last.record, expires: last.expires})
	}
}

// swept is told that the store is asked to forget: states that have expired, and in time what
// it knows of actors without one.
func (h *history) swept() {
	for at := range h.actors {
		e, mortal := &h.actors[at], place(at).ttl(h.world) > 0
		if e.last().left == (state{}) || mortal {
			e.version = 0
		}
		e.swept = e.swept || mortal && e.last().over(h.world.wallClock())
	}
}

// leaves is told that a reply leaves an activation that shows the given state (G6).
func (h *history) leaves(r *run, changed bool, shown state) { //nolint:revive // what the turn did, no mode
	a, attempt := r.activation, r.errand.attempt
	if a.era != h.era || attempt.era != h.era || h.world.store.behind {
		return
	}
	if changed && !attempt.applied {
		h.world.failf("G6: the reply to %v leaves before its record is durable", attempt.op)
	}
	e := &h.actors[a.slot.at]
	if !a.slot.at.stateful() || changed || r.found < e.dropped {
		return
	}
	if _, durable := e.find(shown, e.dropped); !durable {
		h.world.failf("G6: something leaves %v that shows the state %v, and %v is durable", a.slot.at, shown, e.last().left)
	}
}

// repeats is told that a call is answered again (G6).
func (h *history) repeats(a *activation, attempt *attempt) {
	if a.era != h.era || attempt.era != h.era || h.world.store.behind {
		return
	}
	if attempt.effects == 0 {
		h.world.failf("G6: the reply to %v is repeated before its record is durable", attempt.op)
	}
}

// succeeded is told that the caller of o has got a reply (G3, G7, G10).
func (h *history) succeeded(o *op, value reply) {
	h.answered[o.at]++
	h.world.succeeded++
	if o.era != h.era || h.world.store.behind {
		return
	}
	e := &h.actors[o.at]
	switch {
	case o.lasting() && o.effects != 1 && e.excuses(o):
	case o.lasting() && o.effects != 1:
		h.world.failf("G3: %v succeeded, and took effect %d times", o, o.effects)
	case o.lasting() && value != o.value:
		h.world.failf("G7: %v was answered %v, and the turn that took effect %v", o, value, o.value)
	case !o.at.stateful():
	case !o.view && o.place <= o.floor:
		h.world.failf("G3: %v led to the state %v, and somebody had been shown a later one before it began", o, value.state)
	case o.overtakes(o.before), o.after.overtakes(o):
		h.world.failf("G10: %v and its neighbour took effect in the wrong order", o)
	default:
		e.shown = max(e.shown, h.shows(o, value.state))
	}
}

// shows is the place in the history of an actor that a caller must have been shown.
func (h *history) shows(o *op, s state) int {
	if !o.view {
		return o.place
	}
	e := &h.actors[o.at]
	place, found := e.find(s, o.floor)
	if !found && o.floor >= e.dropped {
		h.world.failf("G3: %v shows the state %v, which was none since somebody was shown %v before it began", o, s, e.at(o.floor).left)
	}
	for at := place; found && at >= max(o.floor, e.dropped); at-- { // an actor may have no state several times
		if e.at(at).left == s {
			place = at
		}
	}
	return place
}

// overtakes reports whether o took effect before the one that was sent before it.
func (o *op) overtakes(b *op) bool {
	return o != nil && b != nil && o.plain && b.plain && o.era == b.era && !o.view && !b.view && o.at.stateful() && o.place < b.place
}

// failedAttempt is told that the caller of an attempt was told that nothing happened (G8).
func (h *history) failedAttempt(a *attempt) {
	if a.denied = true; a.applied {
		h.world.failf("G8: the caller of %v is told that nothing happened, and it has", a.op)
	}
}

// failed is told that the caller of o was told that nothing happened, for good (G8).
func (h *history) failed(o *op) {
	if o.denied = true; o.effects > 0 {
		h.world.failf("G8: the caller of %v is told that nothing happened, and it has", o)
	}
}

// excuseKeys is told that keys may have been forgotten that should be known.
func (h *history) excuseKeys() {
	for at := range h.actors {
		h.actors[at].keysSince = h.world.now + 1
	}
}

// rewind takes back what the store has lost. What was asked or is in memory from before
// may show it all the same.
func (h *history) rewind(marks *[allShards]milestone) {
	h.era++
	h.excuseKeys()
	for at := range h.actors {
		e, to := &h.actors[at], marks[at]
		for _, one := range e.all[to.length-e.dropped:] {
			if a := one.attempt; a != nil {
				a.applied, a.effects = false, a.effects-1
			}
		}
		e.all = e.all[:to.length-e.dropped]
		e.shown, e.jobs, e.version, e.swept = 0, to.jobs, to.version, to.swept
	}
}

// milestone is how far the history of an actor had come when the store was copied.
type milestone struct {
	length, jobs int
	version      uint64
	swept        bool
}

func (e *effects) milestone() milestone {
	return milestone{e.length(), e.jobs, e.version, e.swept}
}

// String names the op in the trail and in failures.
func (o *op) String() string {
	kind := "turn"
	switch {
	case o.view:
		kind = "view"
	case o.deletes && o.keyed:
		kind = "keyed deletion"
	case o.deletes:
		kind = "deletion"
	case o.keyed:
		kind = "keyed turn"
	}
	return o.at.String() + " " + kind + " #" + number(o.number)
}
