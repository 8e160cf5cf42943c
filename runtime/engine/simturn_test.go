package engine

import (
	"math"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/chain"
	coregate "github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/turn"
)

// seat is the place of one actor in a host.
type seat struct {
	host       *process
	at         place
	queue      turn.Queue[holder]
	activation *activation
	used       time.Duration
	watched    bool
}

// holder is what a queue admits: a run, or the end of an activation.
type holder interface {
	admitted()
	// revoke and doom make the holder give up: the shard was lost, or a record on which
	// it runs.
	revoke()
	doom()
}

// empty reports whether nothing is here.
func (s *seat) empty() bool { return s.activation == nil && s.queue.Idle() }

func (s *seat) admitNext() {
	s.expire()
	for t := s.queue.Next(); t != nil; t = s.queue.Next() {
		t.Holder.admitted()
	}
}

// leave ends the use of the actor by an admitted ticket.
func (s *seat) leave(t *turn.Ticket[holder]) {
	s.queue.Leave(t)
	s.admitNext()
	s.used = s.host.world.now
	switch {
	case !s.queue.Idle():
	case !s.queue.Open():
		if s.activation != nil {
			s.end()
		}
	case !s.watched:
		s.watch()
	}
}

// watch ends the activation when it has been idle for a while.
func (s *seat) watch() {
	w := s.host.world
	idle := w.lease / 2
	s.watched = true
	w.afterOf(s.host, idle, "looks at an idle actor", func() {
		s.watched = false
		switch {
		case s.activation == nil || !s.queue.Idle():
		case w.now < s.used+idle:
			s.watch()
		default:
			s.end()
		}
	})
}

// deactivate drops an actor from memory, after the calls that it has already.
func (p *process) deactivate(at place) {
	if s := p.slots[at]; s != nil && !s.empty() {
		s.end()
	}
}

// ending is the end of an activation: it waits in the queue like a turn.
type ending struct {
	slot   *seat
	ticket turn.Ticket[holder]
}

func (s *seat) end() {
	e := &ending{slot: s}
	e.ticket.Holder = e
	if s.queue.Arrive(&e.ticket, math.MaxInt) == turn.Admitted {
		e.admitted()
	}
}

func (e *ending) admitted() {
	s := e.slot
	s.host.world.afterOf(s.host, 0, "ends an activation", func() {
		s.retire(func() bool { return false }, func() {
			s.queue.Spoil()
			s.leave(&e.ticket)
			s.host.wake()
		}, nil)
	})
}

func (*ending) revoke() {}
func (*ending) doom()   {}

// retire drops the activation when its records are answered.
func (s *seat) retire(over func() bool, then, failed func()) {
	a := s.activation
	if a == nil {
		then()
		return
	}
	s.host.await(waiter{
		ready: func() bool { return !a.pending() || s.host.world.off.noRetire },
		over:  over,
		then:  func() { s.activation = nil; then() }, failed: failed,
	})
}

// revoke ends the activation of a shard that the worker no longer owns.
func (p *process) revoke(at place) {
	s := p.slots[at]
	if s == nil || s.empty() {
		return
	}
	idle := s.queue.Idle()
	s.queue.Spoil()
	for _, h := range s.queue.Running() {
		h.revoke()
	}
	if idle {
		s.end()
	}
	p.wake()
}

// run is one run of one method.
type run struct {
	errand *errand
	slot   *seat
	ticket turn.Ticket[holder]
	// activation is what it runs on; nil before that.
	activation *activation
	// revoked is set when the worker lost the shard, and ended when the method is told to
	// give up, for whatever reason.
	revoked, ended bool
	// reply and failure are how the method has ended, changed is true when there is
	// something to commit, and key what is kept of it.
	reply   reply
	failure *outcome
	changed bool
	key     *runtimev1.Key
	// repeats is true for a call that gets the reply of an earlier one.
	repeats bool
	// letIn is when it was let in, and found where the history of the actor was as it started.
	letIn time.Duration
	found int
}

func (r *run) abandon() bool {
	if !r.slot.queue.Abandon(&r.ticket) {
		return false
	}
	r.slot.admitNext()
	return true
}

// cancel tells the method to give up.
func (r *run) cancel() {
	r.ended = true
	r.slot.host.wake()
}

func (r *run) revoke() { r.revoked = true; r.cancel() }
func (r *run) doom()   { r.cancel() }

func (r *run) admitted() {
	r.letIn = r.slot.host.world.now
	r.slot.host.world.afterOf(r.slot.host, 0, "a call is admitted", r.begin)
}

// await goes on when something is so, unless the run is ended by then.
func (r *run) await(ready func() bool, then func()) {
	r.slot.host.await(waiter{ready: ready, over: func() bool { return r.ended }, then: then, failed: func() { r.giveUp(nothing) }})
}

// giveUp ends a run that cannot go on.
func (r *run) giveUp(o outcome) {
	if r.activation == nil {
		r.untouched(o)
		return
	}
	r.failure, r.changed = &o, false
	r.depart()
}

// begin makes sure that the method may run here and now.
func (r *run) begin() {
	p := r.slot.host
	r.await(p.active, func() {
		r.open(func() {
			a := r.slot.activation
			r.room(a, func() {
				r.await(p.still, func() {
					if !r.owns(a) {
						r.untouched(moved)
						return
					}
					r.activation = a
					r.start()
				})
			})
		})
	})
}

// still reports whether the process may start something that has waited for something
// else meanwhile.
func (p *process) still() bool { return p.active() || p.world.off.noRecheck }

// owns reports whether an activation is still this worker's to run.
func (r *run) owns(a *activation) bool {
	p := r.slot.host
	return !r.revoked && p.owns(a.slot.at) && p.entry(a.slot.at).GetEpoch() == a.epoch
}

// room waits while so much is pending that one more turn would hold too much memory.
func (r *run) room(a *activation, then func()) {
	if r.errand.attempt.view || !a.crowded() {
		then()
		return
	}
	a.settled(r, then)
}

// open loads the actor if the run is the one to do it.
func (r *run) open(then func()) {
	s := r.slot
	if !r.ticket.Opens() {
		then()
		return
	}
	s.retire(func() bool { return r.ended }, func() {
		p := s.host
		if !p.owns(s.at) {
			r.untouched(moved)
			return
		}
		a := &activation{slot: s, epoch: p.entry(s.at).GetEpoch(), number: p.world.random.Uint64() | 1, era: p.world.history.era}
		opened := func() {
			s.activation = a
			s.queue.Opened(&r.ticket)
			s.admitNext()
			then()
		}
		if !s.at.stateful() {
			opened()
			return
		}
		a.load(r, opened)
	}, func() { r.untouched(nothing) })
}

// start runs the method.
func (r *run) start() {
	p, o := r.slot.host, r.errand.attempt.op
	w := p.world
	w.checkStart(r)
	r.found = r.activation.place
	if o.view {
		w.afterOf(p, w.upTo(5*time.Millisecond), "a view ends", func() {
			r.reply.state = r.activation.state
			r.depart()
		})
		return
	}
	if !o.keyed || w.off.noKeys {
		r.think()
		return
	}
	r.recognise(r.think)
}

// think lets the method take its time: it may call another actor meanwhile.
func (r *run) think() {
	p, o := r.slot.host, r.errand.attempt.op
	w := p.world
	long := w.upTo(5 * time.Millisecond)
	if !w.calm && w.chance(20) {
		long = w.upTo(2 * w.lease)
	}
	w.afterOf(p, long, "a turn goes on", func() {
		switch {
		case o.deletes: // once everything earlier is durable
			r.activation.settled(r, r.decide)
		case r.errand.link.Parent == nil && w.chance(100):
			r.call()
		default:
			r.decide()
		}
	})
}

// call calls another actor, or its own, which is refused.
func (r *run) call() {
	w := r.slot.host.world
	if r.revoked {
		r.decide()
		return
	}
	r.activation.settled(r, func() {
		o := w.newOp(w.somewhere())
		attempt := &attempt{op: o}
		w.history.leaves(r, false, r.activation.state)
		e := &errand{host: r.slot.host, attempt: attempt, due: min(o.due, r.errand.due)}
		e.link = chain.Link{Parent: &r.errand.link, Type: o.at.typ(), ID: o.at.actor().GetId()}
		e.answer = func(answer outcome) {
			w.conclude(attempt, answer)
			r.decide()
		}
		r.slot.host.take(e)
	})
}

// decide ends the method: with success as a rule, with an error or a panic now and then.
func (r *run) decide() {
	w := r.slot.host.world
	a := r.activation
	switch {
	case w.chance(30) || r.ended && w.chance(500):
		r.failure = &failed // the turn is rolled back
	case !w.calm && w.chance(10): // it panics
		r.failure = &failed
		r.slot.queue.Spoil()
	default:
		if r.changed = r.slot.at.stateful() || r.errand.attempt.deletes; !r.slot.at.stateful() {
			r.reply.number = r.errand.attempt.number
		}
		r.reply.state = a.state.after(r.errand.attempt, a.number)
		if !r.errand.attempt.deletes {
			a.state = r.reply.state
		}
		r.remember()
	}
	r.depart()
}

// untouched ends a run that has seen nothing of the actor.
func (r *run) untouched(o outcome) {
	if r.revoked {
		o = moved
	}
	r.slot.leave(&r.ticket)
	r.finish(o)
}

// depart ends the use of the actor, and sends what the run changed. Its answer leaves when
// everything is durable that it has seen or done.
func (r *run) depart() {
	a, s := r.activation, r.slot
	active := r.changed || s.host.active()
	var verdict coregate.Verdict
	if r.changed {
		verdict = a.stage(r)
	} else {
		verdict = a.follow(r)
	}
	s.leave(&r.ticket)
	a.dispatch()
	switch {
	case verdict == coregate.Broken:
		r.told(coregate.Nothing)
	case verdict == coregate.Open && !r.changed:
		r.confirm(active)
	case verdict == coregate.Open:
		r.told(coregate.Durable)
	}
	s.host.wake()
}

// told lets the answer leave, or replaces it, once it is known what became of what the
// run has done and seen.
func (r *run) told(what coregate.Outcome) {
	switch {
	case what != coregate.Durable:
		r.finish(outcome{Outcome: what, again: true})
	case r.changed:
		r.finish(r.outcome())
	default:
		r.confirm(r.slot.host.active())
	}
}

// confirm answers a run that has committed nothing, as soon as the lease is active.
func (r *run) confirm(active bool) { //nolint:revive // it is what the caller has seen, no mode
	p, e := r.slot.host, r.errand
	if !active {
		e.await(func() bool { return p.active() || r.revoked }, func() { r.confirm(true) })
		return
	}
	switch {
	case r.owns(r.activation):
		r.finish(r.outcome())
	case e.attempt.view:
		r.finish(moved)
	default:
		r.finish(nothing)
	}
}

// outcome is what the method has answered.
func (r *run) outcome() outcome {
	if r.failure != nil {
		return *r.failure
	}
	switch {
	case r.errand.done:
	case r.repeats:
		r.slot.host.world.history.repeats(r.activation, r.errand.attempt)
	default:
		r.slot.host.world.history.leaves(r, r.changed, r.reply.state)
	}
	return outcome{value: r.reply, stale: r.activation.era != r.slot.host.world.history.era}
}

func (r *run) finish(o outcome) {
	if o.moved && !r.errand.done {
		r.slot.host.again(r.errand)
		return
	}
	r.errand.finish(o)
}
