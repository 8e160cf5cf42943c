package schedule

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/zone"
)

const (
	// MaxDelay is the longest delay and the longest interval: a hundred years.
	MaxDelay = 36_525 * day
	// MinInterval is the shortest interval.
	MinInterval = time.Second
	// MaxJitter is the longest jitter.
	MaxJitter = time.Hour

	day       = 24 * time.Hour
	maxDays   = int32(MaxDelay / day)
	maxMonths = 1200
)

// CheckForm reports what of a timing is not well formed, whatever the time is: an
// expression or a zone that does not parse, a date or a duration out of range, an end that
// is not after the begin.
func CheckForm(timing *runtimev1.Timing) error {
	for _, check := range []func(*runtimev1.Timing) error{checkFirst, checkRepeat, checkUntil, checkJitter, checkMissed} {
		if err := check(timing); err != nil {
			return err
		}
	}
	return nil
}

func checkFirst(timing *runtimev1.Timing) error {
	switch first := timing.GetFirst().(type) {
	case *runtimev1.Timing_At:
		if !valid(first.At) || !first.At.AsTime().Before(latest) {
			return fmt.Errorf("the time is %s; it must be from the year 1970 on and before %d", text(first.At.AsTime()), latest.Year())
		}
	case *runtimev1.Timing_After:
		return checkDuration("the delay", first.After, 0, MaxDelay)
	}
	return nil
}

// valid reports whether a date is one from 1970 on, up to the year 9999.
func valid(t *timestamppb.Timestamp) bool { return t.CheckValid() == nil && t.GetSeconds() >= 0 }

func checkUntil(timing *runtimev1.Timing) error {
	until := timing.GetUntil()
	if until == nil {
		return nil
	}
	if !valid(until) {
		return fmt.Errorf("the end is %s; it must be from the year 1970 on and before 10000", text(until.AsTime()))
	}
	if at := timing.GetAt(); at != nil && !at.AsTime().Before(until.AsTime()) {
		return fmt.Errorf("the end, %s, is not after the time, %s", text(until.AsTime()), text(at.AsTime()))
	}
	return nil
}

func checkRepeat(timing *runtimev1.Timing) error {
	switch repeat := timing.GetRepeat().(type) {
	case *runtimev1.Timing_Every:
		return CheckInterval(repeat.Every)
	case *runtimev1.Timing_Cron:
		_, err := parseCron(repeat.Cron)
		return err
	}
	return nil
}

// CheckInterval reports why an interval cannot be one: it is shorter than [MinInterval] or
// longer than [MaxDelay], one of its parts is negative, or its zone is none.
func CheckInterval(interval *runtimev1.Interval) error {
	if interval == nil {
		return errors.New("the interval is missing")
	}
	if _, err := zone.Load(interval.GetTimeZone()); err != nil {
		return err
	}
	least := MinInterval
	if interval.GetMonths() != 0 || interval.GetDays() != 0 {
		least = 0
	}
	if interval.GetMonths() < 0 || interval.GetMonths() > maxMonths {
		return fmt.Errorf("the interval has %d months; it must have between 0 and %d", interval.GetMonths(), maxMonths)
	}
	if interval.GetDays() < 0 || interval.GetDays() > maxDays {
		return fmt.Errorf("the interval has %d days; it must have between 0 and %d", interval.GetDays(), maxDays)
	}
	return checkDuration("the interval", interval.GetTime(), least, MaxDelay)
}

func checkJitter(timing *runtimev1.Timing) error {
	return checkDuration("the jitter", timing.GetJitter(), 0, MaxJitter)
}

func checkMissed(timing *runtimev1.Timing) error {
	if _, known := runtimev1.Missed_name[int32(timing.GetMissed())]; !known {
		return fmt.Errorf("what becomes of missed times is %d, which this version does not know", timing.GetMissed())
	}
	return nil
}

// checkDuration holds an unset duration equal to 0.
func checkDuration(what string, given *durationpb.Duration, least, most time.Duration) error {
	if given != nil && given.CheckValid() != nil {
		return fmt.Errorf("%s is no duration: %d s and %d ns", what, given.GetSeconds(), given.GetNanos())
	}
	if d := given.AsDuration(); d < least || d > most {
		return fmt.Errorf("%s is %v; it must be between %v and %v", what, d, least, most)
	}
	return nil
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
