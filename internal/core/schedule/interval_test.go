package schedule_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
)

func TestParseInterval(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]*runtimev1.Interval{
		"1s":               {Time: durationpb.New(time.Second)},
		"1h30m":            {Time: durationpb.New(90 * time.Minute)},
		"1500ms":           {Time: durationpb.New(1500 * time.Millisecond)},
		"P1M":              {Months: 1},
		"P1Y2M":            {Months: 14},
		"P1W":              {Days: 7},
		"P1W2D":            {Days: 9},
		"PT90M":            {Time: durationpb.New(90 * time.Minute)},
		"PT1H2M3.5S":       {Time: durationpb.New(time.Hour + 2*time.Minute + 3500*time.Millisecond)},
		"PT1,25S":          {Time: durationpb.New(1250 * time.Millisecond)},
		"P1Y2M3W4DT5H6M7S": {Months: 14, Days: 25, Time: durationpb.New(5*time.Hour + 6*time.Minute + 7*time.Second)},
		"p1dt12h":          {Days: 1, Time: durationpb.New(12 * time.Hour)},
		"P100Y":            {Months: 1200},
	} {
		got, err := schedule.ParseInterval(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if got.GetMonths() != want.GetMonths() || got.GetDays() != want.GetDays() || got.GetTime().AsDuration() != want.GetTime().AsDuration() {
			t.Errorf("%q is %v, want %v", s, got, want)
		}
	}
}

func TestParseIntervalRefuses(t *testing.T) {
	t.Parallel()
	const howTo = "write a duration such as 90s or 1h30m, or one of ISO 8601 such as P1M, P1W or PT90M"
	for s, want := range map[string]string{
		"": howTo, "P": howTo, "PT": howTo, "P1": howTo, "P1DT": howTo, "PT1": howTo, "P1H": howTo, "PT1D": howTo, "1": howTo, "1d": howTo,
		"P1D2W": howTo, "PT1S1M": howTo, "P1.5D": howTo, "PT1.S": howTo, "PT.5S": howTo, "P-1D": howTo, "-P1D": howTo, "P+1D": howTo, "P1 D": howTo, "P1DT1HT1M": howTo,
		"P99999999999D": howTo, "PT99999999999999H": howTo, "P1M1Y": howTo, "P1D1D": howTo,
		"-1h":                   "the interval is -1h0m0s; it must be between 1s and 876600h0m0s",
		"0s":                    "the interval is 0s; it must be between 1s and 876600h0m0s",
		"P0D":                   "the interval is 0s; it must be between 1s and 876600h0m0s",
		"PT0.999S":              "the interval is 999ms; it must be between 1s and 876600h0m0s",
		"P101Y":                 "the interval has 1212 months; it must have between 0 and 1200",
		strings.Repeat("1", 65): "it has more than 64 bytes",
	} {
		got, err := schedule.ParseInterval(s)
		if err == nil {
			t.Errorf("%q is %v", s, got)
		} else if text := strings.TrimPrefix(err.Error(), `the interval "`+s+`": `); text != want {
			t.Errorf("%q: %q\nwant %q", s, text, want)
		}
	}
}

// Whatever parses is an interval, and its multiples grow.
func FuzzParseInterval(f *testing.F) {
	for _, s := range []string{"1h", "P1M", "P1Y2M3W4DT5H6M7.8S", "PT,5S", "P99999D", "1e3s", "-P1D", "PTS"} {
		f.Add(s, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, s string, begin int64) {
		interval, err := schedule.ParseInterval(s)
		if err != nil {
			return
		}
		timing := timing(repeat(interval))
		first := time.Unix(begin&(1<<32-1), begin>>40&(1<<29-1)).UTC()
		last := first
		for range 4 {
			next, ok := schedule.Next(timing, first, last, last)
			if !ok {
				return
			}
			if !next.After(last) {
				t.Fatalf("%q from %v: %v follows %v", s, first, next, last)
			}
			last = next
		}
	})
}

var zones = []string{
	"", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut", "Asia/Kolkata", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Chatham",
}

// Leaping to any time comes to the same as walking there.
func TestIntervalLeaps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		interval := &runtimev1.Interval{
			Months: random.Int32N(3) * random.Int32N(15), Days: random.Int32N(2) * random.Int32N(40),
			Time: durationpb.New(time.Duration(random.Int64N(2)) * time.Duration(random.Int64N(int64(50*time.Hour)))), TimeZone: zones[random.IntN(len(zones))],
		}
		if schedule.CheckInterval(interval) != nil {
			interval.Time = durationpb.New(time.Duration(1+random.Int64N(100)) * time.Minute)
		}
		timing := timing(repeat(interval))
		first := time.Unix(random.Int64N(4_000_000_000), random.Int64N(1e9)).UTC()
		last, times := first, []time.Time{first}
		for range 100 {
			next, ok := schedule.Next(timing, first, last, last)
			if !ok {
				break
			}
			if !next.After(last) {
				t.Fatalf("seed %d: %v follows %v", seed, next, last)
			}
			last, times = next, append(times, next)
		}
		for i := range len(times) - 1 {
			now := times[i].Add(time.Duration(random.Int64N(int64(times[i+1].Sub(times[i])))))
			if next, ok := schedule.Next(timing, first, first, now); !ok || !next.Equal(times[i+1]) {
				t.Fatalf("seed %d: %v from %v: after %v comes %v, %t; want %v", seed, interval, first, now, next, ok, times[i+1])
			}
		}
	}
}
