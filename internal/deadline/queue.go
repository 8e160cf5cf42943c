// Package deadline wakes many things at their times with few timers: a call or an
// idle actor costs an entry in a list, never a timer or a goroutine of its own.
package deadline

import (
	"math/rand/v2"
	"sync"
	"time"
)

// stripes divide a queue, so that callers on different processors seldom meet.
const stripes = 8

// Sleeper is what a queue wakes. Wake runs on a goroutine of the queue and must
// not block; it may run shortly after a Stop that came too late.
type Sleeper interface{ Wake() }

// Queue wakes sleepers. Its methods may be called concurrently.
type Queue struct {
	start   time.Time
	stripes [stripes]stripe
}

// Entry is the place of one sleeper in a queue. Embed it in what sleeps; the zero
// value is ready to be set.
type Entry struct {
	sleeper Sleeper
	at      time.Duration
	// place is the position in the lane or the heap, counted from 1; 0 is nowhere.
	place  int32
	stripe uint8
	// lane is the number of the lane, counted from 1; 0 is the heap.
	lane uint8
}

type stripe struct {
	queue   *Queue
	mu      sync.Mutex
	entries order
	timer   *time.Timer
	// armed is when the timer fires; 0 while it does not run.
	armed time.Duration
}

// NewQueue returns an empty queue. It holds no goroutine and no timer until an
// entry is set.
func NewQueue() *Queue {
	q := &Queue{start: time.Now()}
	for i := range q.stripes {
		q.stripes[i].queue = q
	}
	return q
}

// Now is the time since the queue was made, by the monotonic clock.
func (q *Queue) Now() time.Duration { return time.Since(q.start) }

// Set wakes sleeper when Now reaches at. The entry must not be set already.
func (q *Queue) Set(e *Entry, sleeper Sleeper, at time.Duration) {
	e.stripe = uint8(rand.Uint32() % stripes)
	s := &q.stripes[e.stripe]
	s.mu.Lock()
	defer s.mu.Unlock()
	e.sleeper, e.at = sleeper, max(at, 1)
	s.entries.push(e)
	s.arm(e.at)
}

// Stop takes e out of the queue, and reports whether it was there: if not, it was
// never set, or its sleeper is being woken.
func (q *Queue) Stop(e *Entry) bool {
	s := &q.stripes[e.stripe]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place == 0 {
		return false
	}
	s.entries.remove(e)
	return true
}

// arm makes the timer fire no later than the given time. A timer that fires too early,
// because the entry that is due then was stopped, only looks again.
func (s *stripe) arm(at time.Duration) {
	if s.armed != 0 && s.armed <= at {
		return
	}
	s.armed = at
	wait := at - s.queue.Now()
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.ring)
		return
	}
	s.timer.Reset(wait)
}

func (s *stripe) ring() {
	for _, sleeper := range s.due() {
		sleeper.Wake()
	}
}

func (s *stripe) due() []Sleeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []Sleeper
	now := s.queue.Now()
	first := s.entries.first()
	for ; first != nil && first.at <= now; first = s.entries.first() {
		due = append(due, first.sleeper)
		s.entries.remove(first)
	}
	s.armed = 0
	if first != nil {
		s.arm(first.at)
	}
	return due
}
