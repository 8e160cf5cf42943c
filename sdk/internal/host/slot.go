package host

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/turn"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
)

// slot is the place of one actor in a host: the queue before it, and its activation while
// it has one. A call of one actor among many finds none of it in a cache, so what every call
// needs lies together in front, and the rest behind.
type slot struct {
	table *table

	// mu guards everything below, and what leaves the activation.
	mu    sync.Mutex
	queue turn.Queue[holder]
	// used is when a run left last.
	used time.Duration
	// pace is set while calls are refused.
	pace *turn.Pace
	// dead is set once the slot is out of the table; who holds it looks again.
	dead bool
	// watched is true while idle is set.
	watched bool
	shard   uint32
	// activation is changed by who was admitted alone, under mu.
	activation *activation
	// first is the memory of the first activation, which few slots outlive.
	first activation

	idle deadline.Entry
	id   string
}

// arrive puts r into the queue; alive is false for a slot out of the table.
func (s *slot) arrive(r *run) (verdict turn.Verdict, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return 0, false
	}
	r.slot = s
	s.expire()
	verdict = s.queue.Arrive(&r.ticket, s.table.typ.MaxPending)
	if verdict == turn.Refused {
		if s.pace == nil {
			s.pace = &turn.Pace{}
		}
		return verdict, true
	}
	if !r.forwarded && (r.ends || verdict == turn.Queued) {
		r.wake = r.host.wakes.take()
	}
	if r.due > 0 {
		s.table.host.deadlines.Set(&r.deadline, r, r.due)
	}
	if r.forwarded {
		r.parent.(Forwarded).Notify(r)
	}
	if r.ends && verdict == turn.Admitted {
		s.table.host.pool.run(r)
	}
	return verdict, true
}

// full is what a call is told that was refused.
func (s *slot) full() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, after := s.table.typ.MaxPending, time.Duration(0)
	if s.pace != nil {
		after = s.pace.Advise(s.table.host.deadlines.Now(), most)
	}
	return fault.QueueFull(s.table.typ.Type, s.id, most, after)
}

// abandon takes r out of the queue and reports whether it was still waiting.
func (s *slot) abandon(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queue.Abandon(&r.ticket) {
		return false
	}
	s.table.host.pool.pass(s.admitNext())
	return true
}

// ready opens the actor if r is the one to do it.
func (s *slot) ready(r *run) error {
	if !r.ticket.Opens() {
		return nil
	}
	if r.onlyActive {
		return r.absent()
	}
	if err := s.retire((*turnContext)(r)); err != nil {
		return ended(err)
	}
	if err := s.open(r); err != nil {
		_ = s.retire(s.table.host.ctx) // it has no records
		return err
	}
	s.mu.Lock()
	s.queue.Opened(&r.ticket)
	if r.deletes() { // which has not constructed the actor
		s.queue.Spoil()
	}
	s.table.host.pool.pass(s.admitNext())
	s.mu.Unlock()
	return r.entitled() // the lease may have lapsed meanwhile
}

// depart ends the use of the actor by the run r, and sends what it changed. Its answer
// leaves when everything is durable that it has seen or done. It returns who is next.
func (s *slot) depart(r *run, how leaving) (next job) {
	active := how == changed || r.active()
	s.mu.Lock()
	verdict := s.pass(r, how)
	r.waits = verdict == gate.Wait || !active && how == unchanged
	if r.waits && r.wake == nil && !r.forwarded {
		r.wake = r.host.wakes.take()
	}
	next = s.leave(&r.ticket)
	a := s.activation
	due := a.due()
	s.mu.Unlock()
	if due {
		a.send()
	}
	switch {
	case verdict == gate.Broken:
		r.told(gate.Nothing, r.activation.superseded())
	case how == untouched:
		r.finish()
	case verdict == gate.Open && how == unchanged:
		r.confirm(active)
	case verdict == gate.Open:
		r.told(gate.Durable, reasons{})
	}
	return next
}

// pass brings a run to the gate. The slot is locked.
func (s *slot) pass(r *run, how leaving) gate.Verdict {
	switch how {
	case changed:
		return r.activation.stage(r)
	case unchanged:
		return r.activation.output.follow(r)
	default:
		return gate.Open
	}
}

// leave ends the use of the actor by an admitted ticket, and returns who is next. The slot is
// locked.
func (s *slot) leave(t *turn.Ticket[holder]) (next job) {
	s.queue.Leave(t)
	next = s.admitNext()
	s.used = s.table.host.deadlines.Now()
	if s.pace != nil {
		s.pace.Leave()
	}
	if s.queue.Idle() {
		s.pace = nil
	}
	switch {
	case !s.queue.Idle():
	case !s.queue.Open():
		s.end(nil)
	case !s.watched:
		s.watch(s.used + s.table.typ.IdleTimeout)
	}
	return next
}

// spoil keeps everybody from the actor in memory, which a panic or a failed
// commit has left in doubt.
func (s *slot) spoil() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Spoil()
}

// admitNext admits who may use the actor now, and returns the first of them; the others are
// under way. The slot is locked.
func (s *slot) admitNext() (next job) {
	s.expire()
	for t := s.queue.Next(); t != nil; t = s.queue.Next() {
		if next == nil {
			next = t.Holder
		} else {
			s.table.host.pool.run(t.Holder)
		}
	}
	return next
}

// watch looks at the slot again at the given time. The slot is locked.
func (s *slot) watch(at time.Duration) {
	s.watched = true
	s.table.host.deadlines.Set(&s.idle, s, at)
}

// Wake ends an activation that has been idle for long enough.
func (s *slot) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = false
	now := s.table.host.deadlines.Now()
	switch expires := s.used + s.table.typ.IdleTimeout; {
	case s.dead || !s.queue.Idle(): // who leaves the slot watches it again
	case now < expires:
		s.watch(expires)
	default:
		s.end(nil)
	}
}

// ending is the end of an activation: it waits in the queue like a turn.
type ending struct {
	slot   *slot
	ticket turn.Ticket[holder]
	// done is closed when the ending is complete; nil where nobody waits for it.
	done chan struct{}
}

// end lets the activation end after those who wait already. The slot is locked.
func (s *slot) end(done chan struct{}) {
	e := &ending{slot: s, done: done}
	e.ticket.Holder = e
	if s.queue.Arrive(&e.ticket, math.MaxInt) == turn.Admitted {
		s.table.host.pool.run(e)
	}
}

// revoke lets the ending stand.
func (e *ending) revoke() {}

// abort lets the ending stand: it is what a shutdown waits for.
func (e *ending) abort() {}

// doom lets the ending stand.
func (e *ending) doom() {}

func (e *ending) execute() (next job) {
	s := e.slot
	_ = s.retire(s.table.host.ctx) // which has ended when the host has given up what is pending
	s.spoil()
	if s.table.drop(s) {
		s.table.host.deadlines.Stop(&s.idle)
	} else {
		s.mu.Lock()
		next = s.leave(&e.ticket)
		s.mu.Unlock()
	}
	if e.done != nil {
		close(e.done)
	}
	return next
}

// revoke ends an activation that this worker no longer owns.
func (s *slot) revoke() {
	s.mu.Lock()
	idle := s.queue.Idle()
	s.queue.Spoil()
	holders := s.queue.Running()
	if idle && !s.dead {
		s.end(nil)
	}
	s.mu.Unlock()
	for _, h := range holders {
		h.revoke()
	}
}

// abort cancels what runs here and dismisses what waits.
func (s *slot) abort() {
	s.mu.Lock()
	holders := s.queue.Holders()
	s.mu.Unlock()
	for _, h := range holders {
		h.abort()
	}
	s.forsake()
}

// retire ends the activation, if there is one, through the hooks of its actor, and when
// its records are answered: until then nobody knows the state of the actor. It fails
// when ctx ends first. The caller holds the slot alone.
func (s *slot) retire(ctx context.Context) error {
	a := s.activation
	if a == nil {
		return nil
	}
	hooks, cancel := context.WithTimeout(s.table.host.ctx, hookTimeout)
	defer cancel()
	a.deactivate(hooks)
	if err := a.answeredAll(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	s.activation = nil
	s.mu.Unlock()
	return nil
}

// open loads the actor and constructs its instance. The caller holds the slot
// alone.
func (s *slot) open(r *run) error {
	a, err := newActivation(r, s)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.activation = a
	s.mu.Unlock()
	if err := r.entitled(); err != nil { // the lease may have lapsed meanwhile
		return err
	}
	if r.deletes() {
		return nil
	}
	return a.construct(r)
}
