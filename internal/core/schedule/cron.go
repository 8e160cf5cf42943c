package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/netresearch/go-cron"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/zone"
)

const (
	// MaxExpression is the largest cron expression, in bytes.
	MaxExpression = 256
	// star marks a field that was written as one.
	star = 1 << 63
	// allHours is the hours of an expression that fits all of them.
	allHours = 1<<24 - 1
	// searchYears is for how long an expression that fits at all may not: until the next
	// 29th of February, which is eight years away around 2100.
	searchYears = 9
)

// parser reads the fields of an expression, and nothing else of it is used: what the
// package makes of a zone's changes is this package's.
var parser = cron.MustNewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// expression is a cron expression: the values that fit, as bits.
type expression struct {
	second, minute, hour, monthday, month, weekday uint64
	// both is true when the day of the month and that of the week have to fit. As cron has
	// always done it, one is enough where neither of them is a star.
	both     bool
	location *time.Location
}

// parseCron reads an expression that fits at least once.
func parseCron(c *runtimev1.Cron) (*expression, error) {
	location, err := zone.Load(c.GetTimeZone())
	if err != nil {
		return nil, err
	}
	if len(c.GetExpression()) > MaxExpression {
		return nil, fmt.Errorf("the cron expression has %d bytes; at most %d are allowed", len(c.GetExpression()), MaxExpression)
	}
	x, err := parseFields(c.GetExpression())
	if err != nil {
		return nil, fmt.Errorf("the cron expression %q: %w", c.GetExpression(), err)
	}
	x.location = location
	return x, nil
}

func parseFields(s string) (*expression, error) {
	if strings.HasPrefix(s, "TZ=") || strings.HasPrefix(s, "CRON_TZ=") {
		return nil, errors.New("the time zone is given beside it")
	}
	parsed, err := parser.Parse(s)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("use an interval, or fields such as 0 9 * * 1-5")
	}
	x := &expression{
		second: spec.Second &^ star, minute: spec.Minute &^ star, hour: spec.Hour &^ star,
		monthday: spec.Dom &^ star, month: spec.Month &^ star, weekday: spec.Dow &^ star,
		both: (spec.Dom|spec.Dow)&star != 0,
	}
	if _, ok := x.search(0); !ok {
		return nil, errors.New("there is no such day")
	}
	return x, nil
}

// next is the first time after t that fits.
func (x *expression) next(t time.Time) (time.Time, bool) {
	// An expression has whole seconds.
	for after := t.Unix(); after < latest.Unix(); {
		s := spanAt(x.location, after+1)
		found, ok := x.within(s, after)
		if !ok {
			break
		}
		if !s.beyond(found) {
			return time.Unix(found, 0).UTC(), true
		}
		// The wall shows nothing that fits until then, whatever the offset will be.
		after = max(s.end-1, found-2*secondsADay)
	}
	return time.Time{}, false
}

// within is the first second after the given one that fits, if the offset of the span
// holds until then.
func (x *expression) within(s span, after int64) (int64, bool) {
	wall := after + s.offset
	if x.hour != allHours && s.before > s.offset {
		// The wall shows again what it has shown before the span.
		wall = max(wall, s.start+s.before-1)
	}
	found, ok := x.search(wall)
	found -= s.offset
	if x.hour != allHours && s.before < s.offset {
		// What the wall has skipped is made up for, as if the offset had stayed.
		skipped, fits := x.search(max(after, s.start-1) + s.before)
		if fits && skipped < s.start+s.offset {
			found, ok = min(found, skipped-s.before), true
		}
	}
	return found, ok
}

// search is the first second on the wall after the given one that fits.
func (x *expression) search(after int64) (int64, bool) {
	t := time.Unix(after+1, 0).UTC()
	year, month, monthday := t.Date()
	begin := time.Date(year, month, monthday, 0, 0, 0, 0, time.UTC).Unix()
	if x.fits(year, month, monthday) {
		if clock, ok := x.clock(int(after + 1 - begin)); ok {
			return begin + int64(clock), true
		}
	}
	clock, ok := x.clock(0)
	if !ok {
		return 0, false
	}
	for range searchYears * 12 {
		if found := x.day(year, month, monthday+1); found > 0 {
			return time.Date(year, month, found, 0, 0, clock, 0, time.UTC).Unix(), true
		}
		if monthday = 0; month == time.December {
			year++
		}
		month = month%12 + 1
	}
	return 0, false
}

// day is the first day of a month from the given one on that fits, 0 for none.
func (x *expression) day(year int, month time.Month, from int) int {
	if x.month&(1<<month) == 0 {
		return 0
	}
	for monthday, last := from, lengthOf(year, month); monthday <= last; monthday++ {
		if x.fits(year, month, monthday) {
			return monthday
		}
	}
	return 0
}

// fits reports whether a day fits.
func (x *expression) fits(year int, month time.Month, monthday int) bool {
	if x.month&(1<<month) == 0 {
		return false
	}
	byMonth := x.monthday&(1<<monthday) != 0
	if x.both && !byMonth {
		return false
	}
	byWeek := x.weekday&(1<<time.Date(year, month, monthday, 0, 0, 0, 0, time.UTC).Weekday()) != 0
	if x.both {
		return byWeek
	}
	return byMonth || byWeek
}

// clock is the first second of a day from the given one on that fits.
func (x *expression) clock(from int) (int, bool) {
	h, m, s := from/3600, from/60%60, from%60
	for hour := nextBit(x.hour, h); hour < 24; hour = nextBit(x.hour, hour+1) {
		if hour > h {
			m, s = 0, 0
		}
		for minute := nextBit(x.minute, m); minute < 60; minute = nextBit(x.minute, minute+1) {
			if minute > m {
				s = 0
			}
			if second := nextBit(x.second, s); second < 60 {
				return hour*3600 + minute*60 + second, true
			}
		}
	}
	return 0, false
}

// nextBit is the lowest bit from the given one on that is set, at least 64 for none.
func nextBit(set uint64, from int) int { return from + bits.TrailingZeros64(set>>from) }
