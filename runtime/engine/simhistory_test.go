package engine

import "time"

// history is what callers asked for, what happened, and what they were told. Of every
// actor it knows the order in which turns took effect, so that each answer is checked when
// it arrives, in constant time.
type history struct {
	world  *world
	actors [allShards]effects
	// era counts how often the store was put back: what was asked in an earlier one may
	// have got lost.
	era int
	// keysSince is when the calls began whose keys may be relied on.
	keysSince time.Duration
	// answered counts the answers of each actor that were durable.
	answered [allShards]int
}

// effects are the turns of one actor that took effect, in order, but for the oldest.
type effects struct {
	dropped int
	turns   []*attempt
	// shown is the highest state that the caller of a finished call has seen.
	shown uint64
}

func (e *effects) length() int { return e.dropped + len(e.turns) }

// trim drops all but those from a length on.
func (e *effects) trim(length int) {
	drop := length - e.dropped
	if drop <= 0 {
		return
	}
	e.turns = append([]*attempt(nil), e.turns[drop:]...)
	e.dropped = length
}

// op is what a client wants: one turn or view. Its attempts share one key, if it has one.
type op struct {
	number uint64
	at     place
	view   bool
	keyed  bool
	// begun and due are when it was asked for, and when its caller stops waiting.
	begun, due time.Duration
	// era is the era in which it began, and floor what others had been shown by then.
	era   int
	floor uint64
	// effects counts how often it took effect, and value is the state after that, or the
	// reply of an actor without state.
	effects int
	value   uint64
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

// lasting reports whether the op leaves something behind that can be counted.
func (o *op) lasting() bool { return !o.view && (o.keyed || o.at.stateful()) }

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
		e.turns = append(e.turns, a)
		a.applied, a.effects = true, a.effects+1
		a.value = r.reply
		switch {
		case at.stateful() && r.reply != uint64(e.length()):
			h.world.failf("G2: turn %d of the record %v of %v was made for the state %d, and leaves %d", i, b.record.GetIdentity(), at, r.reply, e.length())
		case (a.denied || a.op.denied) && !h.world.store.behind:
			h.world.failf("G8: the caller of %v was told that nothing happened, and now it has", a.op)
		case a.effects > 1 && (!a.keyed || a.begun >= h.keysSince):
			h.world.failf("G7: %v took effect %d times", a.op, a.effects)
		}
	}
	if at.stateful() && valueOf(b.record.GetData()) != uint64(e.length()) {
		h.world.failf("G2: a record leaves the state %d after %d turns", valueOf(b.record.GetData()), e.length())
	}
}

// leaves is told that a reply leaves an activation that shows the given state (G6).
func (h *history) leaves(a *activation, attempt *attempt, changed bool, shown uint64) { //nolint:revive // what the turn did, no mode
	if a.era != h.era || attempt.era != h.era || h.world.store.behind {
		return
	}
	if changed && !attempt.applied {
		h.world.failf("G6: the reply to %v leaves before its record is durable", attempt.op)
	}
	if a.slot.at.stateful() && shown > uint64(h.actors[a.slot.at].length()) {
		h.world.failf("G6: something leaves %v that shows the state %d, and %d is durable", a.slot.at, shown, h.actors[a.slot.at].length())
	}
}

// succeeded is told that the caller of o has got a reply (G3, G7, G10).
func (h *history) succeeded(o *op, value uint64) {
	h.answered[o.at]++
	h.world.succeeded++
	if o.era != h.era || h.world.store.behind {
		return
	}
	e := &h.actors[o.at]
	switch {
	case o.lasting() && o.effects != 1 && (!o.keyed || o.begun >= h.keysSince):
		h.world.failf("G3: %v succeeded, and took effect %d times", o, o.effects)
	case o.lasting() && value != o.value:
		h.world.failf("G7: %v was answered %d, and the turn that took effect %d", o, value, o.value)
	case !o.at.stateful():
	case o.view && value < o.floor, !o.view && value <= o.floor:
		h.world.failf("G3: %v shows the state %d, and somebody had been shown %d before it began", o, value, o.floor)
	case value > uint64(e.length()):
		h.world.failf("G3: %v shows the state %d, and there are %d", o, value, e.length())
	case o.overtakes(o.before), o.after.overtakes(o):
		h.world.failf("G10: %v and its neighbour took effect in the wrong order", o)
	}
	e.shown = max(e.shown, value)
}

// overtakes reports whether o took effect before the one that was sent before it.
func (o *op) overtakes(b *op) bool {
	return o != nil && b != nil && o.plain && b.plain && o.era == b.era && !o.view && !b.view && o.value < b.value
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
func (h *history) excuseKeys() { h.keysSince = h.world.now + 1 }

// rewind takes back what the store has lost. What was asked or is in memory from before
// may show it all the same.
func (h *history) rewind(lengths [allShards]int) {
	h.era++
	h.excuseKeys()
	for at := range h.actors {
		e := &h.actors[at]
		for _, a := range e.turns[lengths[at]-e.dropped:] {
			a.applied, a.effects = false, a.effects-1
		}
		e.turns = e.turns[:lengths[at]-e.dropped]
		e.shown = 0
	}
}

// String names the op in the trail and in failures.
func (o *op) String() string {
	kind := "turn"
	switch {
	case o.view:
		kind = "view"
	case o.keyed:
		kind = "keyed turn"
	}
	return o.at.String() + " " + kind + " #" + number(o.number)
}
