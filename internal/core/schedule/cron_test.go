package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
)

// wallMinute is what the wall shows.
func wallMinute(t time.Time) string { return t.Format("2006-01-02 15:04") }

// walk is the times of an expression between two others, found minute by minute: the wall
// is looked at, and nothing is calculated. With an hour, each time on the wall counts once,
// and one that the wall skips counts where it would have been if nobody had touched the
// clock.
func walk(minutes, hours []int, location *time.Location, from, to time.Time) []time.Time {
	var times []time.Time
	seen := map[string]bool{}
	fits := func(t time.Time) bool {
		return slices.Contains(minutes, t.Minute()) && (len(hours) == 24 || slices.Contains(hours, t.Hour()))
	}
	untouched := location
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		now := t.In(location)
		shown := wallMinute(now)
		skipped := false
		if len(hours) < 24 {
			// What an untouched clock would show now, the real one has never shown.
			before := t.In(untouched)
			skipped = fits(before) && !seen[wallMinute(before)] && wallMinute(before) < shown
		}
		if fits(now) && (len(hours) == 24 || !seen[shown]) || skipped {
			times = append(times, t.UTC())
		}
		seen[shown] = true
		_, offset := now.Zone()
		if _, next := now.Add(time.Minute).Zone(); next != offset {
			untouched = time.FixedZone("untouched", offset)
		}
	}
	return times
}

// changes are some times before the clock was put forward or back.
func changes(location *time.Location, random *rand.Rand) time.Time {
	t := time.Unix(1_000_000_000+random.Int64N(1_500_000_000), 0).Truncate(time.Minute)
	if _, end := t.In(location).ZoneBounds(); !end.IsZero() {
		return end.Add(-time.Duration(random.Int64N(30)) * time.Hour).Truncate(time.Minute).UTC()
	}
	return t.UTC()
}

// What is calculated is what one sees who watches the clock on the wall.
func TestCronIsWhatTheWallShows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		zone := zones[random.IntN(len(zones))]
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		minutes, hours := some(random, 60, 1+random.IntN(4)), some(random, 24, 1+random.IntN(5))
		expression := list(minutes) + " " + list(hours) + " * * *"
		if random.IntN(3) == 0 {
			hours, expression = make([]int, 24), list(minutes)+" * * * *"
		}
		from := changes(location, random)
		to := from.Add(60 * time.Hour)
		// The walk needs to have seen what the wall showed before.
		want := walk(minutes, hours, location, from.Add(-36*time.Hour), to)
		want = slices.DeleteFunc(want, func(t time.Time) bool { return t.Before(from) })

		var got []time.Time
		timing := timing(cron(expression, zone))
		for at, ok := schedule.First(timing, from); ok && at.Before(to); at, ok = schedule.Next(timing, at, at, at) {
			got = append(got, at)
		}
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("seed %d: %q in %s from %v:\ngot  %v\nwant %v", seed, expression, zone, from, got, want)
		}
	}
}

// some are different numbers below a bound, in order.
func some(random *rand.Rand, below, many int) []int {
	numbers := random.Perm(below)[:many]
	slices.Sort(numbers)
	return numbers
}

func list(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ",")
}

// Whatever is accepted has times, and they grow.
func FuzzCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 0 29 2 *", "*/7 3-5,22-2 1,31 JAN-mar sun", "@weekly", "1 2 3 4 5 6", "? ? ? ? ?", ", , , , ,", "@every 1s", "0 0 31 2 *"} {
		for i := range zones {
			f.Add(s, uint8(i), uint32(1_790_000_000+i*7_777_777))
		}
	}
	f.Fuzz(func(t *testing.T, s string, zone uint8, begin uint32) {
		timing := timing(cron(s, zones[int(zone)%len(zones)]))
		if schedule.CheckForm(timing) != nil {
			return
		}
		at, ok := schedule.First(timing, time.Unix(int64(begin), 0))
		for range 4 {
			if !ok {
				t.Fatalf("%q ends", s)
			}
			next, more := schedule.Next(timing, at, at, at)
			if more && !next.After(at) {
				t.Fatalf("%q: %v follows %v", s, next, at)
			}
			at, ok = next, more
		}
	})
}

func BenchmarkNext(b *testing.B) {
	first := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	for name, timing := range map[string]*runtimev1.Timing{
		"cron of each minute":        timing(cron("* * * * *", "")),
		"cron of each day in Rome":   timing(cron("30 9 * * *", "Europe/Rome")),
		"cron of the 29th":           timing(cron("0 0 29 2 *", "Europe/Rome")),
		"interval of a minute":       timing(every(b, "1m", "")),
		"interval of a day in Rome":  timing(every(b, "P1D", "Europe/Rome")),
		"interval of a month, later": timing(every(b, "P1M", ""), at(b, "1970-01-31T00:00:00Z")),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			from := first
			if timing.GetAt() != nil {
				from = timing.GetAt().AsTime()
			}
			for b.Loop() {
				if _, ok := schedule.Next(timing, from, from, first); !ok {
					b.Fatal("no next time")
				}
			}
		})
	}
}
