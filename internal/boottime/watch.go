package boottime

import (
	"sync/atomic"
	"time"
)

// closely is how near to each other two clocks are read at most.
const closely = 100 * time.Microsecond

// Watch tells the time of a clock for a fraction of what it costs to read it: it looks at
// the clock now and then, and goes by the monotonic one in between, which misses what the
// machine slept since. Its methods may be called concurrently.
type Watch struct {
	clock Clock
	// asleep is how far the monotonic clock was behind at the last look.
	asleep atomic.Int64
}

// NewWatch is a watch that has looked at the clock once.
func NewWatch(clock Clock) *Watch {
	w := &Watch{clock: clock}
	w.asleep.Store(int64(w.behind()))
	return w
}

// Look looks at the clock.
func (w *Watch) Look() {
	for behind := int64(w.behind()); ; { // who looked earlier may come later
		known := w.asleep.Load()
		if behind <= known || w.asleep.CompareAndSwap(known, behind) {
			return
		}
	}
}

// Now is the time of the clock, or somewhat later; but earlier by what the machine slept
// since the last look.
func (w *Watch) Now() time.Duration { return Monotonic() + time.Duration(w.asleep.Load()) }

// behind is how far the monotonic clock is behind, or a little more.
func (w *Watch) behind() time.Duration {
	for {
		before := Monotonic()
		now := w.clock()
		if Monotonic()-before < closely { // else the process was held up in between
			return now - before
		}
	}
}
