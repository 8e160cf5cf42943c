package schedule_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
)

// moment reads a time of RFC 3339.
func moment(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// timing is one that is changed by each option.
func timing(options ...func(*runtimev1.Timing)) *runtimev1.Timing {
	made := &runtimev1.Timing{}
	for _, option := range options {
		option(made)
	}
	return made
}

func at(t testing.TB, s string) func(*runtimev1.Timing) {
	t.Helper()
	first := timestamppb.New(moment(t, s))
	return func(made *runtimev1.Timing) { made.First = &runtimev1.Timing_At{At: first} }
}

func after(d time.Duration) func(*runtimev1.Timing) {
	return func(made *runtimev1.Timing) { made.First = &runtimev1.Timing_After{After: durationpb.New(d)} }
}

func every(t testing.TB, s, zone string) func(*runtimev1.Timing) {
	t.Helper()
	interval, err := schedule.ParseInterval(s)
	if err != nil {
		t.Fatal(err)
	}
	interval.TimeZone = zone
	return func(made *runtimev1.Timing) { made.Repeat = &runtimev1.Timing_Every{Every: interval} }
}

func cron(expression, zone string) func(*runtimev1.Timing) {
	return func(made *runtimev1.Timing) {
		made.Repeat = &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: expression, TimeZone: zone}}
	}
}

func until(t testing.TB, s string) func(*runtimev1.Timing) {
	t.Helper()
	end := timestamppb.New(moment(t, s))
	return func(made *runtimev1.Timing) { made.Until = end }
}

func TestFirst(t *testing.T) {
	t.Parallel()
	const now = "2026-03-04T05:06:07.5Z"
	for name, test := range map[string]struct {
		timing *runtimev1.Timing
		want   string // empty for never
	}{
		"no timing is at once":              {nil, now},
		"an empty one too":                  {timing(), now},
		"at a time":                         {timing(at(t, "2026-04-01T00:00:00Z")), "2026-04-01T00:00:00Z"},
		"at a time that is over":            {timing(at(t, "2020-04-01T00:00:00Z")), "2020-04-01T00:00:00Z"},
		"after a delay":                     {timing(after(90 * time.Second)), "2026-03-04T05:07:37.5Z"},
		"an interval begins at once":        {timing(every(t, "1h", "")), now},
		"a cron expression when it fits":    {timing(cron("0 9 * * *", "Europe/Rome")), "2026-03-04T08:00:00Z"},
		"from a time on":                    {timing(cron("0 9 * * *", ""), at(t, "2026-05-01T09:00:01Z")), "2026-05-02T09:00:00Z"},
		"from a time on that fits itself":   {timing(cron("0 9 * * *", ""), at(t, "2026-05-01T09:00:00Z")), "2026-05-01T09:00:00Z"},
		"after a delay when it fits":        {timing(cron("0 9 * * *", ""), after(24*time.Hour)), "2026-03-05T09:00:00Z"},
		"before the end":                    {timing(after(time.Hour), until(t, "2026-03-04T06:06:07.500000001Z")), "2026-03-04T06:06:07.5Z"},
		"not at the end":                    {timing(after(time.Hour), until(t, "2026-03-04T06:06:07.5Z")), ""},
		"not after the end":                 {timing(cron("0 9 * * *", ""), until(t, "2026-03-04T09:00:00Z")), ""},
		"not when time ends":                {timing(at(t, "2199-12-31T00:00:00Z"), cron("0 0 1 1 *", "")), ""},
		"an end that everybody takes":       {timing(until(t, "9999-12-31T23:59:59Z")), now},
		"a day that comes in four years":    {timing(cron("0 0 29 2 *", "")), "2028-02-29T00:00:00Z"},
		"an expression that does not parse": {timing(cron("0 0 31 2 *", "")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := schedule.First(test.timing, moment(t, now))
			if ok != (test.want != "") || ok && !got.Equal(moment(t, test.want)) {
				t.Errorf("%v, %t; want %q", got, ok, test.want)
			}
		})
	}
}
