package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/zone"
)

const (
	secondsADay = 24 * 60 * 60
	// averageMonth is a twelfth of the average year.
	averageMonth = 365.2425 / 12 * float64(day)
)

// nextOf is the first time after the given one of those that are first plus a multiple of
// the interval.
func nextOf(interval *runtimev1.Interval, first, after time.Time) (time.Time, bool) {
	length := float64(interval.GetMonths())*averageMonth + float64(interval.GetDays())*float64(day) + float64(interval.GetTime().AsDuration())
	if length <= 0 {
		return time.Time{}, false
	}
	// Calendars are close to their average: the guess is wrong by some few.
	k := max(1, int64(float64(after.Sub(first))/length))
	for k > 1 && !notAfter(interval, first, k-1, after) {
		k--
	}
	for notAfter(interval, first, k, after) {
		k++
	}
	return multiple(interval, first, k)
}

func notAfter(interval *runtimev1.Interval, first time.Time, k int64, after time.Time) bool {
	t, ok := multiple(interval, first, k)
	return ok && !t.After(after)
}

// multiple is first plus k times the interval: the months, of which the last day is the
// most, then the days, both on the wall, and then the rest. Without ok it is too late.
func multiple(interval *runtimev1.Interval, first time.Time, k int64) (time.Time, bool) {
	rest := interval.GetTime().AsDuration()
	if rest > 0 && k > int64(latest.Sub(first)/rest) {
		return time.Time{}, false
	}
	start, ok := first, true
	if interval.GetMonths() > 0 || interval.GetDays() > 0 {
		start, ok = onCalendar(first, k*int64(interval.GetMonths()), k*int64(interval.GetDays()), interval.GetTimeZone())
	}
	t := start.Add(time.Duration(k) * rest)
	return t, ok && t.Before(latest)
}

// onCalendar is a time some months and days later by the calendar of a zone.
func onCalendar(t time.Time, months, days int64, name string) (time.Time, bool) {
	location, err := zone.Load(name)
	if err != nil || months > maxMonths*3 || days > int64(maxDays)*3 {
		return time.Time{}, false
	}
	year, month, monthday := t.In(location).Date()
	year, month = year+int(int64(month)-1+months)/12, time.Month((int64(month)-1+months)%12+1)
	monthday = min(monthday, lengthOf(year, month))
	hour, minute, second := t.In(location).Clock()
	wall := time.Date(year, month, monthday, hour, minute, second, 0, time.UTC).Unix() + days*secondsADay
	return time.Unix(onWall(location, wall), int64(t.Nanosecond())).UTC(), true
}

// lengthOf is how many days a month has.
func lengthOf(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// ParseInterval reads an interval: a duration as Go writes it, such as "90s" or "1h30m", or
// one of ISO 8601, such as "P1M", "P1W" or "PT90M". Of those only the seconds may have a
// fraction. The interval is in UTC, and passes CheckInterval.
func ParseInterval(s string) (*runtimev1.Interval, error) {
	interval, err := parseInterval(s)
	if err == nil {
		err = CheckInterval(interval)
	}
	if err != nil {
		return nil, fmt.Errorf("the interval %q: %w", s, err)
	}
	return interval, nil
}

func parseInterval(s string) (*runtimev1.Interval, error) {
	const most = 64
	if len(s) > most {
		return nil, fmt.Errorf("it has more than %d bytes", most)
	}
	if iso, ok := strings.CutPrefix(strings.ToUpper(s), "P"); ok {
		return parseISO(iso)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, errInterval
	}
	return &runtimev1.Interval{Time: durationpb.New(d)}, nil
}

var errInterval = fmt.Errorf("write a duration such as 90s or 1h30m, or one of ISO 8601 such as P1M, P1W or PT90M")

// parseISO reads what follows the P.
func parseISO(s string) (*runtimev1.Interval, error) {
	date, clock, timed := strings.Cut(s, "T")
	parts, err := parseParts(date, "YMWD")
	if err != nil {
		return nil, err
	}
	times, err := parseParts(clock, "HMS")
	if err != nil {
		return nil, err
	}
	if timed == (clock == "") || s == "" {
		return nil, errInterval
	}
	d, err := time.ParseDuration(fmt.Sprintf("%sh%sm%ss", times[0], times[1], times[2]))
	if err != nil {
		return nil, errInterval
	}
	var numbers [4]int64
	for i, part := range parts {
		if numbers[i], err = strconv.ParseInt(part, 10, 20); err != nil {
			return nil, errInterval
		}
	}
	return &runtimev1.Interval{
		Months: int32(12*numbers[0] + numbers[1]), Days: int32(7*numbers[2] + numbers[3]), Time: durationpb.New(d),
	}, nil
}

// parseParts cuts numbers from the letters that follow them, which stand in this order,
// each at most once. What is left out is 0.
func parseParts(s, letters string) ([]string, error) {
	parts := make([]string, len(letters))
	for i, letter := range letters {
		parts[i] = "0"
		number, rest, found := strings.Cut(s, string(letter))
		if !found {
			continue
		}
		if parts[i] = strings.ReplaceAll(number, ",", "."); !numeric(parts[i], letter == 'S') {
			return nil, errInterval
		}
		s = rest
	}
	if s != "" {
		return nil, errInterval
	}
	return parts, nil
}

// numeric reports whether s has digits only, and perhaps a point between them.
func numeric(s string, fraction bool) bool {
	whole, rest, pointed := strings.Cut(s, ".")
	return digits(whole) && (!pointed || fraction && digits(rest))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
