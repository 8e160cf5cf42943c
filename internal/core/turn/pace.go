package turn

import "time"

const (
	// leastPause and mostPause bound the advice: a queue of short turns drains faster than
	// a caller comes back, and a caller with a deadline does not wait for ever.
	leastPause = 50 * time.Millisecond
	mostPause  = 5 * time.Second
	// glance is how long a pace is measured at least.
	glance = 50 * time.Millisecond
)

// Pace is how fast a queue moves, from when it was full until it is empty. It advises
// those who are refused. Times are by any clock that does not go back; the zero value is
// ready.
type Pace struct {
	// left is how many have left, and looked and then are how many had at the last look,
	// and when that was.
	left, looked int
	then         time.Duration
	// each is how long each took then; 0 while it is not known.
	each time.Duration
}

// Leave counts a holder that has left.
func (p *Pace) Leave() { p.left++ }

// Advise is when to come back to a queue in which so many wait: when half of them have
// left, so that those who come back find room and the actor finds work.
func (p *Pace) Advise(now time.Duration, waiting int) time.Duration {
	switch past, left := now-p.then, p.left-p.looked; {
	case p.then == 0:
		p.then, p.looked = now, p.left
	case left == 0: // whoever has not left takes as long at least
		p.each = max(p.each, past)
	case past >= glance:
		p.each = past / time.Duration(left)
		p.then, p.looked = now, p.left
	}
	return min(max(p.each*time.Duration(waiting)/2, leastPause), mostPause)
}
