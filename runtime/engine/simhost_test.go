package engine

import (
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/chain"
	coregate "github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/turn"
)

// What sdk/internal/host does on goroutines, the simulated host does event by event: the
// decisions are those of the pure cores, and what is here is the order in which the host
// asks them.

// outcome is what a caller is told.
type outcome struct {
	coregate.Outcome
	// value is the reply of a durable one, and stale says that it comes from an activation
	// of an earlier era.
	value reply
	stale bool
	// again is true where nothing happened and it may help to try again.
	again bool
	// moved is true where the actor is elsewhere: nothing happened, and it goes on there.
	moved bool
	// late is true when the time of the call was over.
	late bool
}

var (
	moved   = outcome{Outcome: coregate.Nothing, moved: true}
	nothing = outcome{Outcome: coregate.Nothing, again: true}
	failed  = outcome{Outcome: coregate.Nothing}
	unknown = outcome{Outcome: coregate.Unknown}
)

// errand is a call as one host sees it: of a client, of a turn, or forwarded.
type errand struct {
	host    *process
	attempt *attempt
	// link is the chain that the call belongs to; from a turn it has a parent.
	link chain.Link
	// due is when its caller stops waiting.
	due time.Duration
	// forwarded is true for a call of another worker.
	forwarded bool
	// run is where it runs here; nil before that. sent is true while it is on its way to
	// another worker.
	run  *run
	sent bool
	// answer is told the outcome, once.
	answer func(outcome)
	done   bool
}

// waiter waits for something that only changes when its process wakes everybody.
type waiter struct {
	ready, over  func() bool
	then, failed func()
}

// await goes on when it can.
func (p *process) await(w waiter) {
	switch {
	case w.over():
		if w.failed != nil {
			w.failed()
		}
	case w.ready():
		w.then()
	default:
		p.waiting = append(p.waiting, w)
	}
}

// wake lets all who wait look again.
func (p *process) wake() {
	waiting := p.waiting
	p.waiting = nil
	for _, w := range waiting {
		p.await(w)
	}
}

// take takes a call that has arrived.
func (p *process) take(e *errand) {
	w := p.world
	w.notef("%s takes %v", p, e.attempt.op)
	w.afterOf(p, max(0, e.due-w.now), "a call ends", e.expire)
	if chain.Check(e.link.Parent, e.link.Type, e.link.ID, limit.ChainDepth) != chain.Fine {
		e.finish(failed)
		return
	}
	p.route(e)
}

// route runs a call here, or sends it to where its actor is.
func (p *process) route(e *errand) {
	at := e.attempt.at
	if p.owner(at) == "" {
		e.attempt.detours = true
		e.await(func() bool { return p.owner(at) != "" }, func() { p.route(e) })
		return
	}
	if p.owns(at) {
		p.local(e)
		return
	}
	e.attempt.detours = e.attempt.detours || !p.active()
	entry := p.entry(at)
	e.await(p.active, func() { p.forward(e, entry) })
}

// again routes a call that its actor has moved away from.
func (p *process) again(e *errand) {
	e.attempt.detours, e.run = true, nil
	if e.forwarded {
		e.finish(moved)
		return
	}
	p.route(e)
}

// await lets the call go on when something is so, unless it has ended by then.
func (e *errand) await(ready func() bool, then func()) {
	e.host.await(waiter{ready: ready, over: func() bool { return e.done }, then: then})
}

// elsewhere waits for the word of the runtime on who has an actor after an epoch.
func (e *errand) elsewhere(epoch uint64) {
	p, at := e.host, e.attempt.at
	e.attempt.detours = true
	e.await(func() bool { return p.owner(at) != "" && p.entry(at).GetEpoch() > epoch }, func() { p.again(e) })
}

// forward sends a call to the worker that owns its actor, by the given entry.
func (p *process) forward(e *errand, entry *runtimev1.Shard) {
	w := p.world
	owner := w.process(entry.GetWorker())
	if owner == nil {
		e.pause(entry.GetEpoch())
		return
	}
	e.sent = true
	back := func(o outcome) {
		w.carry(owner.name, p.name, p, "a call is answered", func() {
			if e.done || !e.sent {
				return
			}
			e.sent = false
			if o.moved {
				e.elsewhere(entry.GetEpoch())
				return
			}
			e.finish(o)
		})
	}
	there := &errand{host: owner, attempt: e.attempt, link: e.link, due: e.due, forwarded: true, answer: back}
	if !w.carry(p.name, owner.name, owner, "a call is forwarded", func() { owner.serve(there, entry.GetEpoch()) }) {
		e.sent = false
		e.pause(entry.GetEpoch())
		return
	}
	w.afterOf(p, w.lease, "misses an answer", func() { e.linkLost(entry.GetEpoch()) })
}

// linkLost ends a forwarded call that was not answered: nobody knows what became of it,
// but a view can be made again.
func (e *errand) linkLost(epoch uint64) {
	if e.done || !e.sent {
		return
	}
	e.sent = false
	if e.attempt.view {
		e.pause(epoch)
		return
	}
	e.finish(unknown)
}

// pause sends a call again after a while, or sooner when somebody else owns its actor.
func (e *errand) pause(epoch uint64) {
	p, at := e.host, e.attempt.at
	e.attempt.detours = true
	over := p.world.now + p.world.lease/20
	e.await(func() bool { return p.world.now >= over || p.entry(at).GetEpoch() > epoch }, func() { p.route(e) })
	p.world.afterOf(p, p.world.lease/20, "calls again", p.wake)
}

// serve takes a call that another worker has routed by an epoch.
func (p *process) serve(e *errand, epoch uint64) {
	at := e.attempt.at
	p.world.notef("%s serves %v", p, e.attempt.op)
	if p.entry(at).GetEpoch() < epoch {
		e.attempt.detours = true
	}
	p.world.afterOf(p, max(0, e.due-p.world.now), "a call ends", e.expire)
	e.await(func() bool { return p.entry(at).GetEpoch() >= epoch }, func() {
		if !p.owns(at) {
			e.finish(moved)
			return
		}
		p.local(e)
	})
}

// local puts a call into the queue of its actor. While its shard is handed over, only the
// calls get in that a turn waits for.
func (p *process) local(e *errand) {
	at := e.attempt.at
	if e.link.Parent == nil && (p.closing || p.parked[at]) {
		e.attempt.detours = true
		if p.closing {
			e.finish(nothing)
			return
		}
		e.await(func() bool { return !p.parked[at] }, func() { p.again(e) })
		return
	}
	s := p.slots[at]
	if s == nil {
		s = &seat{host: p, at: at}
		p.slots[at] = s
	}
	r := &run{errand: e, slot: s}
	r.ticket.Holder = r
	if e.attempt.view {
		r.ticket.Mode = turn.Shared
	}
	s.expire()
	const pending = 16
	switch s.queue.Arrive(&r.ticket, pending) {
	case turn.Refused:
		e.finish(nothing)
	case turn.Admitted:
		e.run = r
		r.admitted()
	default:
		e.run = r
	}
}

// expire ends a call whose time is over: one that waits leaves, one that runs goes on
// without a caller.
func (e *errand) expire() {
	if e.done {
		return
	}
	o := outcome{Outcome: coregate.Nothing, late: true}
	if e.sent || e.run != nil && !e.run.abandon() {
		o.Outcome = coregate.Unknown
	}
	e.finish(o)
	if e.run != nil {
		e.run.cancel()
	}
	e.host.wake()
}

// finish gives the caller its answer, once.
func (e *errand) finish(o outcome) {
	if e.done {
		return
	}
	e.done = true
	e.host.world.notef("%s answers %v: %v %v", e.host, e.attempt.op, o.Outcome, o.value)
	e.answer(o)
}

// process is the worker with an id, nil where nobody has it any more.
func (w *world) process(id string) *process {
	for _, p := range w.workers {
		if p.session != nil && p.session.id == id {
			return p
		}
	}
	return nil
}
