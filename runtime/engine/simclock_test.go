package engine

import "time"

// Every process has a monotonic clock with a rate and a zero of its own, within a tenth of
// the true rate, and goes on while the machine sleeps. The store has a wall clock, which
// jumps; only what is kept for hours looks at it.

// rate is how fast a clock runs.
func (w *world) rate() float64 { return 0.9 + 0.2*w.random.Float64() }

// wall is the wall clock of the store.
type wall struct {
	// wrong is how far the clock is from the true time.
	wrong time.Duration
}

// epoch is when a world begins, as its wall clock shows it.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func (w *world) wallClock() time.Time { return epoch.Add(w.now + w.wall.wrong) }

// jump puts the wall clock an hour or a day forward or back.
func (w *world) jump() {
	w.jumped = true
	w.jumpBy([]time.Duration{time.Hour, -time.Hour, day, -day}[w.random.IntN(4)])
}

func (w *world) jumpBy(by time.Duration) {
	w.notef("the wall clock jumps by %v", by)
	w.wall.wrong += by
	if by == day { // as long as keys live: those of calls that are still made may be gone
		w.history.excuseKeys()
	}
}

const day = 24 * time.Hour
