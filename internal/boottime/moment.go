package boottime

import "time"

// Moment is a moment of this process. The zero value is none.
type Moment struct {
	at   time.Time
	boot time.Duration
}

// Now is this moment.
func Now() Moment { return Moment{time.Now(), SinceBoot()} }

// Since is how long ago m was: by the clock that goes on while the machine is suspended, or
// by that of package time where that one says more. That one passes in testing/synctest.
func (m Moment) Since() time.Duration { return max(time.Since(m.at), SinceBoot()-m.boot) }
