// Package schedule says when a task is due: at which times a timing is, and which of
// them comes next. It is pure: the time now is an argument, and all that comes from
// outside are the rules of the time zones.
//
// Times are those of the wall in the zone of an interval or of a cron expression. Where
// the clock is put forward, a time that the wall skips is later by what was skipped:
// 02:30 is 03:30 then. Where it is put back, a time that the wall shows twice is the
// first of the two. So what is due at an hour of the day is due once on every day. A cron
// expression that fits every hour follows the clock instead: it has nothing to make up
// for, and goes on in the hour that comes twice.
package schedule

import (
	"fmt"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Grace is how late a time may be before it counts as missed.
const Grace = time.Minute

// Times are from the year 1970 on and before 2200: each is whole nanoseconds of an int64,
// and so is the difference of two.
var latest = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)

// Check reports why a task cannot have this timing: [CheckForm] refuses it, or it has no
// time from now on. Nil is fine: at once.
func Check(timing *runtimev1.Timing, now time.Time) error {
	if err := CheckForm(timing); err != nil {
		return err
	}
	if _, ok := First(timing, now); ok {
		return nil
	}
	if timing.GetUntil() != nil {
		return fmt.Errorf("it is never due: it ends at %s, which is not after its first time", text(timing.GetUntil().AsTime()))
	}
	return fmt.Errorf("it is never due: it has no time before the year %d", latest.Year())
}

// First returns the first time of a timing that is well formed, when it is set now. It may
// be over already. Without ok there is none before the end.
func First(timing *runtimev1.Timing, now time.Time) (first time.Time, ok bool) {
	first = begin(timing, now)
	if timing.GetCron() != nil {
		cron, err := parseCron(timing.GetCron())
		if err != nil {
			return time.Time{}, false
		}
		if first, ok = cron.next(first.Add(-1)); !ok {
			return time.Time{}, false
		}
	}
	return first, before(timing, first)
}

// begin is when a timing begins that is set now.
func begin(timing *runtimev1.Timing, now time.Time) time.Time {
	switch first := timing.GetFirst().(type) {
	case *runtimev1.Timing_At:
		return first.At.AsTime()
	case *runtimev1.Timing_After:
		return now.Add(first.After.AsDuration())
	default:
		return now
	}
}

// Next returns the time that follows last, when that one has been delivered by now; first
// is the first of all. By default and with MISSED_SKIP all that were missed until now are
// left out, with MISSED_CATCH_UP none. Without ok there is no other time.
func Next(timing *runtimev1.Timing, first, last, now time.Time) (next time.Time, ok bool) {
	after := last
	if timing.GetMissed() != runtimev1.Missed_MISSED_CATCH_UP && now.After(last) {
		after = now
	}
	switch repeat := timing.GetRepeat().(type) {
	case *runtimev1.Timing_Every:
		next, ok = nextOf(repeat.Every, first, after)
	case *runtimev1.Timing_Cron:
		cron, err := parseCron(repeat.Cron)
		if err != nil {
			return time.Time{}, false
		}
		next, ok = cron.next(after)
	}
	return next, ok && before(timing, next)
}

// Repeats reports whether there may be a time after the first.
func Repeats(timing *runtimev1.Timing) bool { return timing.GetRepeat() != nil }

// Missed reports whether a delivery that was due then is left out now: the timing repeats,
// leaves out what was missed, and more than [Grace] is over.
func Missed(timing *runtimev1.Timing, due, now time.Time) bool {
	return timing.GetMissed() == runtimev1.Missed_MISSED_SKIP && Repeats(timing) && now.Sub(due) > Grace
}

// before reports whether a time lies before the end.
func before(timing *runtimev1.Timing, t time.Time) bool {
	return t.Before(latest) && (timing.GetUntil() == nil || t.Before(timing.GetUntil().AsTime()))
}
