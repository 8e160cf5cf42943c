package engine

import (
	"fmt"
	"time"

	"github.com/francis-actors/francis/internal/core/chain"
	coregate "github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/placement"
)

// client calls actors through whichever worker it likes, and repeats what is safe, as the
// proxies of sdk do.
type client struct {
	world *world
	name  string
}

func (w *world) addClient() {
	c := &client{w, fmt.Sprintf("c%d", len(w.clients)+1)}
	w.clients = append(w.clients, c)
	w.after(w.upTo(w.lease), "a client begins", c.live)
}

// live makes some calls, one right after the other to the same actor, and again later.
func (c *client) live() {
	w := c.world
	w.after(w.upTo(w.lease), "a client goes on", c.live)
	if len(w.workers) == 0 {
		return
	}
	via := w.workers[w.random.IntN(len(w.workers))]
	at, wait := w.somewhere(), 2*w.lease+w.upTo(4*w.lease)
	var before *op
	for n := 1 + w.random.IntN(4); n > 0; n-- {
		o := w.newOp(at)
		o.due = w.now + wait
		if before != nil {
			o.before, before.after = before, o
		}
		before = o
		c.send(o, via)
	}
	if w.chance(200) {
		w.after(w.upTo(20*time.Millisecond), "an actor is dropped", func() {
			if owner := w.process(w.known[at].GetWorker()); owner != nil {
				owner.deactivate(at)
			}
		})
	}
}

// somewhere is the shard of an actor.
func (w *world) somewhere() place {
	return place(w.random.IntN(len(types))*placement.Shards + w.random.IntN(cartsAndUsers))
}

// newOp is a call of an actor, of some kind.
func (w *world) newOp(at place) *op {
	o := &op{number: uint64(w.calls + 1), at: at, view: w.chance(400), due: w.now + 2*w.lease}
	o.keyed = !o.view && w.chance(400)
	o.deletes = !o.view && w.chance(at.deletions())
	o.enqueues = !o.view && !o.deletes && at.stateful() && w.chance(50)
	w.history.begin(o)
	return o
}

// send makes an attempt through a worker.
func (c *client) send(o *op, via *process) {
	w := c.world
	a, answered := &attempt{op: o}, false
	answer := func(out outcome) {
		if !answered {
			answered = true
			c.answered(a, out)
		}
	}
	e := &errand{host: via, attempt: a, link: chain.Link{Type: o.at.typ(), ID: o.at.actor().GetId()}, due: o.due}
	e.answer = func(out outcome) {
		w.carry(via.name, c.name, nil, "a caller is answered", func() { answer(out) })
	}
	if via.ended || !w.carry(c.name, via.name, via, "a call arrives", func() { via.take(e) }) {
		answer(nothing)
		return
	}
	w.after(o.due+w.lease/4-w.now, "a caller gives up", func() { answer(outcome{Outcome: coregate.Unknown, late: true}) })
}

// answered takes an answer, and makes another attempt where that is safe.
func (c *client) answered(a *attempt, out outcome) {
	w, o := c.world, a.op
	o.attempts++
	if !w.conclude(a, out) {
		return
	}
	safe := out.Outcome == coregate.Nothing && out.again || out.Outcome == coregate.Unknown && (o.view || o.keyed || w.off.resend)
	pause := w.upTo(w.lease / 10)
	if !safe || out.late || w.now+pause >= o.due || len(w.workers) == 0 {
		o.conclude(w, out)
		return
	}
	w.after(pause, "a caller tries again", func() {
		if len(w.workers) == 0 {
			o.conclude(w, out)
			return
		}
		c.send(o, w.workers[w.random.IntN(len(w.workers))])
	})
}

// conclude notes what the caller of an attempt was told, and reports whether it failed.
func (w *world) conclude(a *attempt, out outcome) bool {
	switch out.Outcome {
	case coregate.Durable:
		a.plain = a.attempts == 1 && !a.detours
		if out.stale {
			a.era = -1
		}
		w.history.succeeded(a.op, out.value)
		return false
	case coregate.Nothing:
		if !a.view {
			w.history.failedAttempt(a)
		}
	default:
		a.doubted = true
	}
	return true
}

// conclude ends a call whose last attempt failed. Where nobody knows what became of an
// earlier one, that this one did not happen is no answer.
func (o *op) conclude(w *world, last outcome) {
	if o.doubted && !o.view {
		w.doubted++
	}
	if last.Outcome == coregate.Nothing && (!o.doubted || w.off.lastOnly) && !o.view {
		w.history.failed(o)
	}
}
