// Package lease decides how long a worker may run, and when it is dead. It is
// pure: no goroutines, locks, IO or clocks. Time is an argument, the reading of
// one monotonic clock that goes on while the machine sleeps.
//
// A lease has two sides, and they never compare clocks.
//
// The worker is the [Holder]. It renews every fifth of its lease and counts from
// when it sent the renewal, never from when the answer came: the runtime cannot
// have seen the renewal earlier than that. Beyond 0.8 of the lease it is [Lapsed]:
// it starts nothing, but keeps what it holds, because it may still be the owner.
// The next accepted renewal proves that it was, all the time. Only the answer
// "dead" makes it [Dead], for ever.
//
// The runtime is the [Judge]. Each accepted renewal adds 1 to the worker's beat in
// the store, and the judge reads the beats at each of its ticks. It counts the time
// for which it saw one beat unchanged; at lease and [Margin] it decrees the death
// of the worker with that beat, and the store executes the decree only if the beat
// is still the same. Whatever was late (a tick, a reading, the judge's own pause)
// makes it count less, never more, and a new judge starts at zero.
//
// So nobody else runs what a worker may still run: the worker stops at 0.8 of the
// lease by its own clock, the judge decrees after 1.1 of it by its clock, and
// 0.8/0.9 is less than 1.1/1.1, the extremes of two clocks that are wrong by a
// tenth each. Single writing does not depend on this arithmetic, the epoch alone
// ensures that; it protects views and turns that commit nothing.
package lease

import (
	"fmt"
	"time"
)

const (
	// Default is the lease of a worker unless told otherwise.
	Default = 5 * time.Second
	// Min is the shortest lease of a worker.
	Min = 2 * time.Second
	// Max is the longest.
	Max = 60 * time.Second
)

// Check reports why d cannot be a lease.
func Check(d time.Duration) error {
	if d < Min || d > Max {
		return fmt.Errorf("lease is %v; it must be between %v and %v", d, Min, Max)
	}
	return nil
}

// Interval is the time between two renewals of a lease.
func Interval(lease time.Duration) time.Duration { return lease / 5 }

// Span is how long a worker may run after it sent a renewal that was accepted.
func Span(lease time.Duration) time.Duration { return lease / 5 * 4 }

// Margin is what the judge adds to a lease before it decrees death.
func Margin(lease time.Duration) time.Duration { return lease / 10 }

// Tick is the time between two readings of a judge whose shortest lease this is:
// short enough for a death to be noticed within lease and a second, long enough
// that reading costs nothing.
func Tick(lease time.Duration) time.Duration { return lease / 20 }
