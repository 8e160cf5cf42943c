package host

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/core/turn"
	"github.com/francis-actors/francis/internal/deadline"
)

// slot is the place of one actor in a host: the queue before it, and its
// activation while it has one.
type slot struct {
	table *table
	id    string
	shard uint32

	// mu guards everything below but the activation.
	mu    sync.Mutex
	queue turn.Queue[holder]
	// dead is set once the slot is out of the table; who holds it looks again.
	dead bool
	// used is when a run left last.
	used time.Duration
	idle deadline.Entry
	// watched is true while idle is set.
	watched bool

	// activation belongs to who was admitted alone; views only read it.
	activation *activation
}

// arrive puts r into the queue; alive is false for a slot out of the table.
func (s *slot) arrive(r *run) (verdict turn.Verdict, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return 0, false
	}
	r.slot = s
	verdict = s.queue.Arrive(&r.ticket, s.table.typ.MaxPending)
	if verdict == turn.Refused {
		return verdict, true
	}
	if r.ends || verdict == turn.Queued {
		r.wake = make(chan struct{}, 2)
	}
	if r.due > 0 {
		s.table.host.deadlines.Set(&r.deadline, r, r.due)
	}
	if r.ends && verdict == turn.Admitted {
		r.admitted()
	}
	return verdict, true
}

// abandon takes r out of the queue and reports whether it was still waiting.
func (s *slot) abandon(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queue.Abandon(&r.ticket) {
		return false
	}
	s.admitNext()
	return true
}

// ready opens the actor if r is the one to do it.
func (s *slot) ready(r *run) error {
	if !r.ticket.Opens() {
		return nil
	}
	s.retire()
	if err := s.open(r); err != nil {
		s.retire()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Opened(&r.ticket)
	s.admitNext()
	return nil
}

// leave ends the use of the actor by an admitted ticket.
func (s *slot) leave(t *turn.Ticket[holder]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Leave(t)
	s.admitNext()
	s.used = s.table.host.deadlines.Now()
	switch {
	case !s.queue.Idle():
	case !s.queue.Open():
		s.end(nil)
	case !s.watched:
		s.watch(s.used + s.table.typ.IdleTimeout)
	}
}

// spoil keeps everybody from the actor in memory, which a panic or a failed
// commit has left in doubt.
func (s *slot) spoil() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.Spoil()
}

// admitNext admits who may run now. The slot is locked.
func (s *slot) admitNext() {
	for t := s.queue.Next(); t != nil; t = s.queue.Next() {
		t.Holder.admitted()
	}
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
		e.admitted()
	}
}

func (e *ending) admitted() { e.slot.table.host.pool.run(e) }

// revoke lets the ending stand.
func (e *ending) revoke() {}

// abort lets the ending stand: it is what a shutdown waits for.
func (e *ending) abort() {}

func (e *ending) execute() {
	s := e.slot
	s.retire()
	s.spoil()
	if s.table.drop(s) {
		s.table.host.deadlines.Stop(&s.idle)
	} else {
		s.leave(&e.ticket)
	}
	if e.done != nil {
		close(e.done)
	}
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
}

// retire ends the activation, if there is one, through the hooks of its actor.
// The caller holds the slot alone.
func (s *slot) retire() {
	if s.activation == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.table.host.ctx, hookTimeout)
	defer cancel()
	s.activation.deactivate(ctx)
	s.activation = nil
}

// open loads the actor and constructs its instance. The caller holds the slot
// alone.
func (s *slot) open(r *run) error {
	a, err := load(r, s)
	if err != nil {
		return err
	}
	s.activation = a
	return a.construct(r)
}
