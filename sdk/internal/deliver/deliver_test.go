package deliver_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/deliver"
)

func every(d time.Duration) *runtimev1.Timing_Every {
	return &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(d)}}
}

func after(d time.Duration) *runtimev1.Timing_After {
	return &runtimev1.Timing_After{After: durationpb.New(d)}
}

func TestParse(t *testing.T) {
	t.Parallel()
	at := timestamppb.New(time.Date(2030, time.January, 31, 8, 30, 0, 0, time.UTC))
	for header, want := range map[string]*actor.Later{
		"job":                     {},
		" job ;after=10s":         {Timing: &runtimev1.Timing{First: after(10 * time.Second)}},
		"job; after=P1DT1H":       {Timing: &runtimev1.Timing{First: after(25 * time.Hour)}},
		"job; every=1h; after=0s": {Timing: &runtimev1.Timing{First: after(0), Repeat: every(time.Hour)}},
		"alarm; name=x":           {Alarm: "x"},
		"alarm; name=a%20%2Fb%3B": {Alarm: "a /b;"},
		`alarm; name="x"; at="2030-01-31T09:30:00+01:00"`: {Alarm: "x", Timing: &runtimev1.Timing{First: &runtimev1.Timing_At{At: at}}},
		"alarm; at=2030-01-31T08:30:00Z; name=x; every=P1D; tz=Europe/Rome; until=2030-01-31T08:30:00Z": {Alarm: "x", Timing: &runtimev1.Timing{
			First:  &runtimev1.Timing_At{At: at},
			Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Days: 1, Time: &durationpb.Duration{}, TimeZone: "Europe/Rome"}},
			Until:  at,
		}},
		`alarm; name=x; cron="0,30 9 * * *"; tz="Europe/Rome"; jitter=1m; missed=catch-up`: {Alarm: "x", Timing: &runtimev1.Timing{
			Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "0,30 9 * * *", TimeZone: "Europe/Rome"}},
			Jitter: durationpb.New(time.Minute), Missed: runtimev1.Missed_MISSED_CATCH_UP,
		}},
		`job; cron="a \"\\ b"; missed=skip`: {Timing: &runtimev1.Timing{
			Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: `a "\ b`}}, Missed: runtimev1.Missed_MISSED_SKIP,
		}},
	} {
		got, err := deliver.Parse(header)
		if err != nil || got.Alarm != want.Alarm || got.Job != want.Job || !proto.Equal(got.Timing, want.Timing) {
			t.Errorf("%s is\n%+v, %v; want\n%+v", header, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                                  `it begins with ""; write job or alarm, and then its parameters`,
		"JOB":                               `it begins with "JOB"; write job or alarm, and then its parameters`,
		"job, alarm; name=x":                `it begins with "job, alarm"; write job or alarm, and then its parameters`,
		"jobafter=10s":                      `it begins with "jobafter=10s"; write job or alarm, and then its parameters`,
		"job;":                              `"" is no parameter; write name=value`,
		"job; after=10s;":                   `"" is no parameter; write name=value`,
		"job; after":                        `"after" is no parameter; write name=value`,
		"job; =10s":                         `"=10s" is no parameter; write name=value`,
		"job; name=x":                       `job has no parameter "name"; it has at, after, every, cron, tz, until, jitter, missed, id`,
		"alarm; nam=x":                      `alarm has no parameter "nam"; it has at, after, every, cron, tz, until, jitter, missed, name`,
		"alarm":                             `the name of the alarm is empty`,
		"alarm; name=":                      `the parameter name is empty`,
		`alarm; name=""`:                    `the parameter name is empty`,
		"alarm; name=%zz":                   `the name "%zz" is not percent-encoded: invalid URL escape "%zz"`,
		"job; id=%20":                       `the id of the job " " starts or ends with white space`,
		"alarm; name=..":                    `the name of the alarm ".." is no valid path segment`,
		"job; after=1s; after=1s":           `the parameter after is given twice`,
		"job; after=1s; at=2030":            `both a time and a delay are given; leave one of them out`,
		"job; after=1 s":                    `the parameter after: the value "1 s" has a character that only a quoted one may have; write "…"`,
		"job; after=1s, job; after=2":       `the parameter after: the value "1s, job" has a character that only a quoted one may have; write "…"`,
		"job; after=soon":                   `the duration "soon" is none; write for example 90s or 1h30m, or PT90M`,
		"job; after=P1M":                    `the duration "P1M" is none; write for example 90s or 1h30m, or PT90M`,
		"job; at=tomorrow":                  `the time "tomorrow" is not as RFC 3339 writes it, for example 2030-01-31T09:30:00Z`,
		"job; at=0001-01-01T00:00:00+01:00": `the time "0001-01-01T00:00:00+01:00" is not within the years 1 to 9999`,
		"job; until=1":                      `the time "1" is not as RFC 3339 writes it, for example 2030-01-31T09:30:00Z`,
		`job; every=1h; cron="@daily"`:      `both an interval and a cron expression are given; leave one of them out`,
		"job; tz=Europe/Rome":               `a time zone is given without an interval or a cron expression; leave it out, and write times with their offset`,
		"job; missed=never":                 `missed is "never"; it is coalesce, skip or catch-up`,
		"job; jitter=x":                     `the duration "x" is none; write for example 90s or 1h30m, or PT90M`,
		`job; cron="0 9`:                    `the parameter cron: the closing quote is missing`,
		`job; cron="0 9\`:                   `the parameter cron: a backslash stands before " or \ only`,
		`job; cron="0\9"`:                   `the parameter cron: a backslash stands before " or \ only`,
		`job; cron="0 9"x; after=1s`:        `the parameter cron: "x" follows its end`,
	} {
		if got, err := deliver.Parse(header); err == nil || err.Error() != want {
			t.Errorf("%s is %+v, the error %v, want %s", header, got, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"job", "job; id=x%22", "job; after=1h", "job; after=10s", "job; after=1h0m10s", "job; after=20m", "job; every=10h",
		"alarm; name=a%20b; at=2030-01-31T08:30:00.5Z; every=P1M2DT3.25S; tz=Europe/Rome; until=2031-01-31T08:30:00Z; jitter=1m; missed=coalesce",
		`alarm; name=x; cron="0 9 * * *"`, "alarm; name=x; cron=@daily",
	} {
		later, err := deliver.Parse(header)
		if err != nil {
			t.Error(err)
		} else if got := deliver.Format(later); got != header {
			t.Errorf("%s becomes %s", header, got)
		}
	}
}

// FuzzParse wants no header to break the parser, and what it reads to be written so that
// it reads the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"job", "job; after=10s", `alarm; name=x%20; cron="0 9 * * *"; tz=Europe/Rome; missed=skip`, "alarm; name=x; every=P1Y2M3W4DT5H6M7.8S; jitter=1s",
		`job; cron="\"\\"; at=2030-01-31T08:30:00+23:59; until=0000-01-01T00:00:00Z`, "job;;", `job; after="`, "job; after=\x00", "alarm; name=\xff", "job; every=P0D",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		later, err := deliver.Parse(header)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error of %q has several lines: %v", header, err)
			}
			return
		}
		written := deliver.Format(later)
		again, err := deliver.Parse(written)
		if err != nil || again.Alarm != later.Alarm || again.Job != later.Job || !proto.Equal(again.Timing, later.Timing) {
			t.Errorf("%q is %+v, written as %q it is %+v, %v", header, later, written, again, err)
		}
	})
}
