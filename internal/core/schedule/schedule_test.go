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

// series is the times of a timing as they come when each is delivered at once, until there
// are so many.
func series(t testing.TB, timing *runtimev1.Timing, now time.Time, most int) []time.Time {
	t.Helper()
	first, ok := schedule.First(timing, now)
	var times []time.Time
	for last := first; ok && len(times) < most; {
		times = append(times, last)
		last, ok = schedule.Next(timing, first, last, last)
	}
	return times
}

func TestSeries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		timing *runtimev1.Timing
		want   []string
	}{
		"once": {timing(at(t, "2026-01-01T00:00:00Z")), []string{"2026-01-01T00:00:00Z"}},
		"an interval, to the nanosecond": {
			timing(at(t, "2026-01-01T00:00:00.123456789Z"), every(t, "1.5s", "")),
			[]string{"2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:01.623456789Z", "2026-01-01T00:00:03.123456789Z"},
		},
		"until an end": {
			timing(at(t, "2026-01-01T00:00:00Z"), every(t, "1h", ""), until(t, "2026-01-01T02:00:00Z")),
			[]string{"2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"},
		},
		"months from the last day": {
			timing(at(t, "2027-12-31T12:00:00Z"), every(t, "P1M", "")),
			[]string{"2027-12-31T12:00:00Z", "2028-01-31T12:00:00Z", "2028-02-29T12:00:00Z", "2028-03-31T12:00:00Z", "2028-04-30T12:00:00Z"},
		},
		"years from the 29th of February": {
			timing(at(t, "2096-02-29T00:00:00Z"), every(t, "P1Y", "")),
			[]string{"2096-02-29T00:00:00Z", "2097-02-28T00:00:00Z", "2098-02-28T00:00:00Z", "2099-02-28T00:00:00Z", "2100-02-28T00:00:00Z"},
		},
		"days keep the time on the wall": { // Rome puts its clock forward on the 29th
			timing(at(t, "2026-03-28T08:00:00Z"), every(t, "P1D", "Europe/Rome")),
			[]string{"2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z"},
		},
		"hours do not": {
			timing(at(t, "2026-03-28T08:00:00Z"), every(t, "24h", "Europe/Rome")),
			[]string{"2026-03-28T08:00:00Z", "2026-03-29T08:00:00Z", "2026-03-30T08:00:00Z"},
		},
		"a day on which the wall skips the time": { // 02:30 does not exist, and is 03:30
			timing(at(t, "2026-03-28T01:30:00Z"), every(t, "P1D", "Europe/Rome")),
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		},
		"a day on which the wall shows it twice": { // 02:30 is at 00:30 and at 01:30 in UTC
			timing(at(t, "2026-10-24T00:30:00Z"), every(t, "P1D", "Europe/Rome")),
			[]string{"2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		},
		"a first time that is the second of the two": {
			timing(at(t, "2026-10-25T01:30:00Z"), every(t, "P1D", "Europe/Rome")),
			[]string{"2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
		},
		"a day that a zone left out": { // Samoa had no 30th
			timing(at(t, "2011-12-29T20:00:00Z"), every(t, "P1D", "Pacific/Apia")),
			[]string{"2011-12-29T20:00:00Z", "2011-12-30T20:00:00Z", "2011-12-31T20:00:00Z"},
		},
		"a mixed interval": {
			timing(at(t, "2026-01-31T00:00:00Z"), every(t, "P1M1DT1H", "")),
			[]string{"2026-01-31T00:00:00Z", "2026-03-01T01:00:00Z", "2026-04-02T02:00:00Z"},
		},
		"a fixed hour, skipped and made up for": {
			timing(at(t, "2026-03-28T00:00:00Z"), cron("30 2 * * *", "Europe/Rome")),
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		},
		"a fixed hour that comes twice": {
			timing(at(t, "2026-10-24T00:00:00Z"), cron("30 2 * * *", "Europe/Rome")),
			[]string{"2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		},
		"hours of which one comes twice": {
			timing(at(t, "2026-10-24T23:00:00Z"), cron("0 1-4 * * *", "Europe/Rome")),
			[]string{"2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z", "2026-10-26T00:00:00Z"},
		},
		"every hour follows the clock back": {
			timing(at(t, "2026-10-24T23:30:00Z"), cron("30 * * * *", "Europe/Rome")),
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"},
		},
		"every hour follows the clock forward": {
			timing(at(t, "2026-03-29T00:30:00Z"), cron("30 * * * *", "Europe/Rome")),
			[]string{"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"},
		},
		"midnight where it does not exist": { // Beirut goes from 00:00 to 01:00
			timing(at(t, "2026-03-27T12:00:00Z"), cron("@daily", "Asia/Beirut")),
			[]string{"2026-03-27T22:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"},
		},
		"half an hour forward": { // Lord Howe goes from 02:00 to 02:30
			timing(at(t, "2026-10-02T14:00:00Z"), cron("15 2 * * *", "Australia/Lord_Howe")),
			[]string{"2026-10-02T15:45:00Z", "2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"},
		},
		"a day of the month or one of the week": {
			timing(at(t, "2026-01-01T00:00:00Z"), cron("0 0 13 * 5", "")),
			[]string{"2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"},
		},
		"a day of the month in steps": {
			timing(at(t, "2026-01-30T00:00:00Z"), cron("0 0 */10 * *", "")),
			[]string{"2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-11T00:00:00Z"},
		},
		"seconds": {
			timing(at(t, "2026-01-01T00:00:00.5Z"), cron("*/20 * * * * *", "")),
			[]string{"2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z", "2026-01-01T00:01:00Z"},
		},
		"the 29th of February, across 2100": {
			timing(at(t, "2092-01-01T00:00:00Z"), cron("0 0 29 2 *", "America/New_York")),
			[]string{"2092-02-29T05:00:00Z", "2096-02-29T05:00:00Z", "2104-02-29T05:00:00Z"},
		},
		"the last day of a leap year to come": {
			timing(at(t, "2068-12-31T12:00:00Z"), cron("0 12 * * *", "Europe/Rome")),
			[]string{"2069-01-01T11:00:00Z", "2069-01-02T11:00:00Z"},
		},
		"names": {
			timing(at(t, "2026-06-01T00:00:00Z"), cron("0 9 * JUN MON-FRI", "")),
			[]string{"2026-06-01T09:00:00Z", "2026-06-02T09:00:00Z", "2026-06-03T09:00:00Z", "2026-06-04T09:00:00Z", "2026-06-05T09:00:00Z", "2026-06-08T09:00:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := schedule.CheckForm(test.timing); err != nil {
				t.Fatal(err)
			}
			more := len(test.want)
			if test.timing.GetUntil() != nil || !schedule.Repeats(test.timing) {
				more++ // there are no others
			}
			got := series(t, test.timing, moment(t, test.want[0]), more)
			if len(got) != len(test.want) {
				t.Fatalf("%v\nwant %v", got, test.want)
			}
			for i, want := range test.want {
				if !got[i].Equal(moment(t, want)) {
					t.Errorf("%d: %v, want %s", i, got[i], want)
				}
			}
		})
	}
}

// What was missed becomes one delivery, or none but the next, or each.
func TestNextAfterMissedTimes(t *testing.T) {
	t.Parallel()
	const (
		first = "2026-01-01T00:00:00Z"
		last  = "2026-01-01T10:00:00Z"
	)
	for name, repeat := range map[string]func(*runtimev1.Timing){"interval": every(t, "1h", ""), "cron": cron("0 * * * *", "")} {
		for _, test := range []struct {
			policy    runtimev1.Missed
			now, want string
		}{
			{runtimev1.Missed_MISSED_UNSPECIFIED, "2026-01-01T12:30:00Z", "2026-01-01T13:00:00Z"},
			{runtimev1.Missed_MISSED_COALESCE, "2026-01-01T10:00:01Z", "2026-01-01T11:00:00Z"},
			{runtimev1.Missed_MISSED_COALESCE, "2026-01-01T12:30:00Z", "2026-01-01T13:00:00Z"},
			{runtimev1.Missed_MISSED_COALESCE, "2026-01-01T13:00:00Z", "2026-01-01T14:00:00Z"},
			{runtimev1.Missed_MISSED_SKIP, "2026-01-01T12:30:00Z", "2026-01-01T13:00:00Z"},
			{runtimev1.Missed_MISSED_CATCH_UP, "2026-01-01T12:30:00Z", "2026-01-01T11:00:00Z"},
			// A clock that went back repeats nothing.
			{runtimev1.Missed_MISSED_COALESCE, "2026-01-01T09:30:00Z", "2026-01-01T11:00:00Z"},
			{runtimev1.Missed_MISSED_CATCH_UP, "2026-01-01T09:30:00Z", "2026-01-01T11:00:00Z"},
		} {
			repeated := timing(at(t, first), repeat, func(made *runtimev1.Timing) { made.Missed = test.policy })
			got, ok := schedule.Next(repeated, moment(t, first), moment(t, last), moment(t, test.now))
			if !ok || !got.Equal(moment(t, test.want)) {
				t.Errorf("%s, %v at %s: %v, %t; want %s", name, test.policy, test.now, got, ok, test.want)
			}
		}
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	due := moment(t, "2026-01-01T10:00:00Z")
	skip := func(made *runtimev1.Timing) { made.Missed = runtimev1.Missed_MISSED_SKIP }
	for name, test := range map[string]struct {
		timing *runtimev1.Timing
		late   time.Duration
		want   bool
	}{
		"late":              {timing(every(t, "1h", ""), skip), schedule.Grace + 1, true},
		"a little":          {timing(every(t, "1h", ""), skip), schedule.Grace, false},
		"early":             {timing(every(t, "1h", ""), skip), -time.Hour, false},
		"late, but once":    {timing(skip), time.Hour, false},
		"late, and no skip": {timing(every(t, "1h", "")), time.Hour, false},
	} {
		if got := schedule.Missed(test.timing, due, due.Add(test.late)); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		timing *runtimev1.Timing
		want   string // empty for none
	}{
		"none":                {nil, ""},
		"at once":             {timing(), ""},
		"a time that is over": {timing(at(t, "1970-01-01T00:00:00Z")), ""},
		"the longest delay":   {timing(after(schedule.MaxDelay)), ""},
		"an end far away":     {timing(until(t, "9999-12-31T23:59:59.999999999Z")), ""},
		"everything": {timing(at(t, "2026-05-01T00:00:00Z"), cron("0 9 * * *", "Europe/Rome"), until(t, "2027-01-01T00:00:00Z"),
			func(made *runtimev1.Timing) {
				made.Missed, made.Jitter = runtimev1.Missed_MISSED_CATCH_UP, durationpb.New(schedule.MaxJitter)
			}), ""},

		"a year before 1970": {timing(at(t, "1969-12-31T23:59:59Z")), "the time is 1969-12-31T23:59:59Z; it must be from the year 1970 on and before 2200"},
		"a year after 2199":  {timing(at(t, "2200-01-01T00:00:00Z")), "the time is 2200-01-01T00:00:00Z; it must be from the year 1970 on and before 2200"},
		"no time": {timing(func(made *runtimev1.Timing) {
			made.First = &runtimev1.Timing_At{At: &timestamppb.Timestamp{Nanos: -1}}
		}), "the time is 1969-12-31T23:59:59.999999999Z; it must be from the year 1970 on and before 2200"},
		"a negative delay": {timing(after(-time.Second)), "the delay is -1s; it must be between 0s and 876600h0m0s"},
		"a delay too long": {timing(after(schedule.MaxDelay + 1)), "the delay is 876600h0m0.000000001s; it must be between 0s and 876600h0m0s"},
		"no delay": {timing(func(made *runtimev1.Timing) {
			made.First = &runtimev1.Timing_After{After: &durationpb.Duration{Seconds: 1 << 60}}
		}), "the delay is no duration: 1152921504606846976 s and 0 ns"},
		"an end before 1970":   {timing(until(t, "1969-12-31T23:59:59Z")), "the end is 1969-12-31T23:59:59Z; it must be from the year 1970 on and before 10000"},
		"an end at the start":  {timing(at(t, "2026-05-01T00:00:00Z"), until(t, "2026-05-01T00:00:00Z")), "the end, 2026-05-01T00:00:00Z, is not after the time, 2026-05-01T00:00:00Z"},
		"an end that is over":  {timing(until(t, "2026-03-01T00:00:00Z")), "it is never due: it ends at 2026-03-01T00:00:00Z, which is not after its first time"},
		"an end before a fit":  {timing(cron("0 9 * * *", ""), until(t, "2026-03-04T09:00:00Z")), "it is never due: it ends at 2026-03-04T09:00:00Z, which is not after its first time"},
		"nothing before 2200":  {timing(at(t, "2199-12-31T00:00:00Z"), cron("0 0 1 1 *", "")), "it is never due: it has no time before the year 2200"},
		"a short interval":     {timing(repeat(&runtimev1.Interval{Time: durationpb.New(time.Second - 1)})), "the interval is 999.999999ms; it must be between 1s and 876600h0m0s"},
		"no interval":          {timing(repeat(&runtimev1.Interval{})), "the interval is 0s; it must be between 1s and 876600h0m0s"},
		"a missing interval":   {timing(repeat(nil)), "the interval is missing"},
		"a negative interval":  {timing(repeat(&runtimev1.Interval{Months: 1, Time: durationpb.New(-1)})), "the interval is -1ns; it must be between 0s and 876600h0m0s"},
		"negative months":      {timing(repeat(&runtimev1.Interval{Months: -1})), "the interval has -1 months; it must have between 0 and 1200"},
		"too many days":        {timing(repeat(&runtimev1.Interval{Days: 36_526})), "the interval has 36526 days; it must have between 0 and 36525"},
		"a zone that is none":  {timing(repeat(&runtimev1.Interval{Days: 1, TimeZone: "Europe/Atlantis"})), `the time zone "Europe/Atlantis" is not one of the IANA database, such as Europe/Rome: unknown time zone Europe/Atlantis`},
		"the local zone":       {timing(cron("0 9 * * *", "Local")), `the time zone "Local" is not one of the IANA database, such as Europe/Rome: it differs from machine to machine`},
		"a zone within":        {timing(cron("TZ=Europe/Rome 0 9 * * *", "")), `the cron expression "TZ=Europe/Rome 0 9 * * *": the time zone is given beside it`},
		"no expression":        {timing(cron("", "")), `the cron expression "": empty spec string`},
		"four fields":          {timing(cron("0 9 * *", "")), `the cron expression "0 9 * *": expected 5 to 6 fields, found 4: [0 9 * *]`},
		"no such minute":       {timing(cron("60 9 * * *", "")), `the cron expression "60 9 * * *": end of range (60) above maximum (59): "60"`},
		"no minute":            {timing(cron(", 9 * * *", "")), `the cron expression ", 9 * * *": there is no such day`},
		"no such day":          {timing(cron("0 0 31 2,4,6,9,11 *", "")), `the cron expression "0 0 31 2,4,6,9,11 *": there is no such day`},
		"an interval as cron":  {timing(cron("@every 1h", "")), `the cron expression "@every 1h": use an interval, or fields such as 0 9 * * 1-5`},
		"never as cron":        {timing(cron("@manual", "")), `the cron expression "@manual": use an interval, or fields such as 0 9 * * 1-5`},
		"a negative jitter":    {timing(func(made *runtimev1.Timing) { made.Jitter = durationpb.New(-1) }), "the jitter is -1ns; it must be between 0s and 1h0m0s"},
		"a jitter too long":    {timing(func(made *runtimev1.Timing) { made.Jitter = durationpb.New(time.Hour + 1) }), "the jitter is 1h0m0.000000001s; it must be between 0s and 1h0m0s"},
		"a policy of tomorrow": {timing(func(made *runtimev1.Timing) { made.Missed = 4 }), "what becomes of missed times is 4, which this version does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := schedule.Check(test.timing, moment(t, "2026-03-04T05:06:07Z")); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("error %q\nwant  %q", got, test.want)
			}
		})
	}
}

func repeat(interval *runtimev1.Interval) func(*runtimev1.Timing) {
	return func(made *runtimev1.Timing) { made.Repeat = &runtimev1.Timing_Every{Every: interval} }
}
