package sdk

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
	"github.com/francis-actors/francis/sdk/internal/deliver"
)

// When is when an alarm or a job is due: once, at a time or after a delay, or again and
// again, by an interval or a cron expression. It is an immutable value; the zero value is
// once, at once. What is wrong with it is said by the call that it is given to, as
// invalid_argument.
//
// Times are from the year 1970 to 2199, delays and intervals at most 100 years, intervals
// at least a second. They are kept by the clock of the store, and nothing is due early.
type When struct {
	timing *runtimev1.Timing
	err    error
}

// At is once, at a time; at once if that has passed.
func At(t time.Time) When { return When{}.From(t) }

// After is once, after a delay, which counts from when the call is stored: in a turn,
// from its commit.
func After(d time.Duration) When { return When{}.After(d) }

// Every is at once and then again after each d, from 1 second to 100 years, counted from
// the first time and not from when it was delivered. From and After choose another first
// time.
func Every(d time.Duration) When {
	return When{timing: &runtimev1.Timing{Repeat: &runtimev1.Timing_Every{
		Every: &runtimev1.Interval{Time: durationpb.New(d)},
	}}}
}

// EveryISO is as Every with an ISO 8601 duration, for example "P1M", "P1W" or "PT90M". Its
// months and days are those of the calendar in the zone, a name of the IANA database such
// as "Europe/Rome", or "" for UTC: a day may have 23 hours, and a month that is too short
// for the day has it at its end.
func EveryISO(interval, zone string) When {
	every, err := schedule.ParseInterval(interval)
	if err != nil {
		return When{err: err}
	}
	every.TimeZone = zone
	return When{timing: &runtimev1.Timing{Repeat: &runtimev1.Timing_Every{Every: every}}}
}

// Cron is whenever the clock on the wall of the zone fits an expression: five fields
// (minute, hour, monthday, month, weekday), six with seconds first, or a word such as
// "@daily". The zone is a name of the IANA database such as "Europe/Rome", or "" for UTC.
// From and After put the first time off.
func Cron(expression, zone string) When {
	return When{timing: &runtimev1.Timing{Repeat: &runtimev1.Timing_Cron{
		Cron: &runtimev1.Cron{Expression: expression, TimeZone: zone},
	}}}
}

// From is w with its first time at t; with a cron expression the first that fits from t
// on.
func (w When) From(t time.Time) When {
	return w.with(func(timing *runtimev1.Timing) { timing.First = &runtimev1.Timing_At{At: timestamppb.New(t)} })
}

// After is w with its first time after d; with a cron expression the first that fits
// from then on.
func (w When) After(d time.Duration) When {
	return w.with(func(timing *runtimev1.Timing) { timing.First = &runtimev1.Timing_After{After: durationpb.New(d)} })
}

// Until is w with an end: it is not due at or after t.
func (w When) Until(t time.Time) When {
	return w.with(func(timing *runtimev1.Timing) { timing.Until = timestamppb.New(t) })
}

// with is w with a change.
func (w When) with(change func(*runtimev1.Timing)) When {
	timing := &runtimev1.Timing{}
	if w.timing != nil {
		timing = proto.CloneOf(w.timing)
	}
	change(timing)
	return When{timing, w.err}
}

// String is w as in the header Francis-Deliver, for example "after=10s; every=1h"; "" is
// once, at once.
func (w When) String() string { return deliver.FormatTiming(w.timing) }

// Missed says what becomes of times that were missed because nothing could be delivered
// then.
type Missed = runtimev1.Missed

const (
	// Coalesce makes one delivery of all that were missed. It is the default.
	Coalesce = runtimev1.Missed_MISSED_COALESCE
	// Skip leaves them out: the next one is that which comes.
	Skip = runtimev1.Missed_MISSED_SKIP
	// CatchUp delivers each of them.
	CatchUp = runtimev1.Missed_MISSED_CATCH_UP
)
