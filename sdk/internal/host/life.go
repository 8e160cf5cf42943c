package host

import (
	"time"

	"github.com/francis-actors/francis/internal/boottime"
)

// life is how long a state lives that is in memory. It never ends after that of the same
// state in the store, which counts it from when it was asked for, or from the commit. The
// zero value never ends.
type life struct {
	from boottime.Moment
	ttl  time.Duration
}

// lived is a life that begins now.
func lived(ttl time.Duration) life {
	if ttl == 0 {
		return life{}
	}
	return life{boottime.Now(), ttl}
}

func (l life) over() bool { return l.ttl != 0 && l.from.Since() >= l.ttl }

// expire lets nobody else run on a state that has expired: who comes next opens the actor
// anew. The slot is locked.
func (s *slot) expire() {
	if a := s.activation; a != nil && a.life.ttl != 0 && s.queue.Open() && a.life.over() {
		s.queue.Spoil()
	}
}
