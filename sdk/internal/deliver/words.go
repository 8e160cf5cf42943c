package deliver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
)

// Words say when a task is due, each as it is written; "" where it is left out.
type Words struct {
	// At is the first time, as RFC 3339 writes it.
	At string
	// After is the delay until the first time: a duration, see [ParseDuration].
	After string
	// Every is an interval, see [schedule.ParseInterval].
	Every string
	// Cron is a cron expression.
	Cron string
	// Zone is the time zone of Every or Cron.
	Zone string
	// Until is the end, as RFC 3339 writes it.
	Until string
	// Jitter is a duration.
	Jitter string
	// Missed is "coalesce", "skip" or "catch-up".
	Missed string
}

// field is a word by its name in the header.
type field struct {
	name  string
	value *string
}

func (w *Words) fields() []field {
	return []field{
		{"at", &w.At},
		{"after", &w.After},
		{"every", &w.Every},
		{"cron", &w.Cron},
		{"tz", &w.Zone},
		{"until", &w.Until},
		{"jitter", &w.Jitter},
		{"missed", &w.Missed},
	}
}

var missedWords = map[string]runtimev1.Missed{
	"":         runtimev1.Missed_MISSED_UNSPECIFIED,
	"coalesce": runtimev1.Missed_MISSED_COALESCE,
	"skip":     runtimev1.Missed_MISSED_SKIP,
	"catch-up": runtimev1.Missed_MISSED_CATCH_UP,
}

// Timing is what the words say, nil for at once.
func (w Words) Timing() (*runtimev1.Timing, error) {
	if w == (Words{}) {
		return nil, nil
	}
	t := &runtimev1.Timing{}
	for _, read := range []func(*runtimev1.Timing) error{w.first, w.repeat, w.until, w.jitter, w.missed} {
		if err := read(t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (w Words) first(t *runtimev1.Timing) error {
	switch {
	case w.At != "" && w.After != "":
		return errors.New("both a time and a delay are given; leave one of them out")
	case w.At != "":
		at, err := parseTime(w.At)
		t.First = &runtimev1.Timing_At{At: at}
		return err
	case w.After != "":
		after, err := ParseDuration(w.After)
		t.First = &runtimev1.Timing_After{After: durationpb.New(after)}
		return err
	}
	return nil
}

func (w Words) repeat(t *runtimev1.Timing) error {
	switch {
	case w.Every != "" && w.Cron != "":
		return errors.New("both an interval and a cron expression are given; leave one of them out")
	case w.Every != "":
		every, err := schedule.ParseInterval(w.Every)
		if err != nil {
			return err
		}
		every.TimeZone = w.Zone
		t.Repeat = &runtimev1.Timing_Every{Every: every}
	case w.Cron != "":
		t.Repeat = &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: w.Cron, TimeZone: w.Zone}}
	case w.Zone != "":
		return errors.New("a time zone is given without an interval or a cron expression; leave it out, and write times with their offset")
	}
	return nil
}

func (w Words) until(t *runtimev1.Timing) (err error) {
	if w.Until != "" {
		t.Until, err = parseTime(w.Until)
	}
	return err
}

func (w Words) jitter(t *runtimev1.Timing) error {
	if w.Jitter == "" {
		return nil
	}
	jitter, err := ParseDuration(w.Jitter)
	t.Jitter = durationpb.New(jitter)
	return err
}

func (w Words) missed(t *runtimev1.Timing) error {
	missed, known := missedWords[w.Missed]
	if !known {
		return fmt.Errorf("missed is %.40q; it is coalesce, skip or catch-up", w.Missed)
	}
	t.Missed = missed
	return nil
}

func parseTime(s string) (*timestamppb.Timestamp, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return nil, fmt.Errorf("the time %.60q is not as RFC 3339 writes it, for example 2030-01-31T09:30:00Z", s)
	}
	stamp := timestamppb.New(t)
	if stamp.CheckValid() != nil {
		return nil, fmt.Errorf("the time %.60q is not within the years 1 to 9999", s)
	}
	return stamp, nil
}

// ParseDuration reads a duration as Go writes it, such as "90s" or "1h30m", or one of ISO
// 8601 without months, such as "PT90M" or "P1D", whose days have 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	iso, err := schedule.ParseInterval(s)
	if err != nil || iso.GetMonths() != 0 {
		return 0, fmt.Errorf("the duration %.60q is none; write for example 90s or 1h30m, or PT90M", s)
	}
	return time.Duration(iso.GetDays())*24*time.Hour + iso.GetTime().AsDuration(), nil
}

// FormatTiming writes a timing as parameters of the header; "" is once, at once.
func FormatTiming(t *runtimev1.Timing) string {
	words := WordsOf(t)
	var parameters []string
	for _, f := range words.fields() {
		if *f.value != "" {
			parameters = append(parameters, f.name+"="+quoted(*f.value))
		}
	}
	return strings.Join(parameters, "; ")
}

// WordsOf are the words for a timing.
func WordsOf(t *runtimev1.Timing) Words {
	var w Words
	switch first := t.GetFirst().(type) {
	case *runtimev1.Timing_At:
		w.At = formatTime(first.At)
	case *runtimev1.Timing_After:
		w.After = formatDuration(first.After.AsDuration())
	}
	switch repeat := t.GetRepeat().(type) {
	case *runtimev1.Timing_Every:
		w.Every, w.Zone = formatInterval(repeat.Every), repeat.Every.GetTimeZone()
	case *runtimev1.Timing_Cron:
		w.Cron, w.Zone = repeat.Cron.GetExpression(), repeat.Cron.GetTimeZone()
	}
	if t.GetUntil() != nil {
		w.Until = formatTime(t.GetUntil())
	}
	if t.GetJitter() != nil {
		w.Jitter = formatDuration(t.GetJitter().AsDuration())
	}
	for word, missed := range missedWords {
		if missed == t.GetMissed() {
			w.Missed = word
		}
	}
	return w
}

func formatTime(t *timestamppb.Timestamp) string { return t.AsTime().Format(time.RFC3339Nano) }

// formatDuration is Go's, without the zeros at its end.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// formatInterval writes an interval as Go does, or one with months or days as ISO 8601
// does.
func formatInterval(every *runtimev1.Interval) string {
	clock := every.GetTime().AsDuration()
	if every.GetMonths() == 0 && every.GetDays() == 0 {
		return formatDuration(clock)
	}
	var b strings.Builder
	b.WriteByte('P')
	if every.GetMonths() != 0 {
		fmt.Fprintf(&b, "%dM", every.GetMonths())
	}
	if every.GetDays() != 0 {
		fmt.Fprintf(&b, "%dD", every.GetDays())
	}
	if clock != 0 {
		seconds := fmt.Sprintf("%d.%09d", clock/time.Second, clock%time.Second)
		fmt.Fprintf(&b, "T%sS", strings.TrimRight(strings.TrimRight(seconds, "0"), "."))
	}
	return b.String()
}
