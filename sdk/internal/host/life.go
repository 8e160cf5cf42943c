package host

import (
	"time"

	"github.com/francis-actors/francis/internal/boottime"
)

// life is how long a state lives that is in memory. It never ends after that of the same
// state in the store, which counts it from when it was asked for, or from the commit. nil
// never ends: few states have an end, and the others pay for a pointer.
type life struct {
	from boottime.Moment
	ttl  time.Duration
}

// lived is a life that begins now.
func lived(ttl time.Duration) *life {
	if ttl == 0 {
		return nil
	}
	return &life{boottime.Now(), ttl}
}

func (l *life) over() bool { return l != nil && l.from.Since() >= l.ttl }

// expire lets nobody else run on a state that has expired: who comes next opens the actor
// anew. The slot is locked.
func (s *slot) expire() {
	if a := s.activation; a != nil && s.queue.Open() && a.life.over() {
		s.queue.Spoil()
	}
}
