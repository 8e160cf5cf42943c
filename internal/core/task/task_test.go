package task_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/task"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)

// job is a job with three attempts, changed by each option.
func job(options ...func(*runtimev1.Task)) *runtimev1.Task {
	made := &runtimev1.Task{
		Key:       &runtimev1.TaskKey{Type: "cart", Id: "1", Name: &runtimev1.TaskKey_Job{Job: "a"}},
		Procedure: "/shop.v1.Cart/Ship", Request: []byte("request"),
		Retry:    &runtimev1.Retry{Attempts: 3, InitialBackoff: durationpb.New(time.Second), MaxBackoff: durationpb.New(time.Minute), Multiplier: 2},
		Metadata: map[string]string{"tenant": "t"},
	}
	for _, option := range options {
		option(made)
	}
	return made
}

func alarm(made *runtimev1.Task) { made.Key.Name = &runtimev1.TaskKey_Alarm{Alarm: "a"} }

// hourly is due each hour from an hour before now on.
func hourly(made *runtimev1.Task) {
	made.Timing = &runtimev1.Timing{
		First:  &runtimev1.Timing_At{At: timestamppb.New(now.Add(-time.Hour))},
		Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(time.Hour)}},
	}
}

func skipping(made *runtimev1.Task) { made.Timing.Missed = runtimev1.Missed_MISSED_SKIP }

func told(made *runtimev1.Task) { made.OnDeath = "/shop.v1.Cart/Died" }

// want compares a stage of a task with the one that is expected, and holds that the task
// it came from was not touched.
func want(t *testing.T, what string, got, want *runtimev1.ScheduledTask) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("%s is\n%v\nwant\n%v", what, got, want)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		task      *runtimev1.Task
		random    float64
		scheduled time.Duration // from now
		due       time.Duration // from then
	}{
		"at once":                 {task: job()},
		"after a delay":           {task: job(after(time.Minute)), scheduled: time.Minute},
		"late by jitter":          {task: job(after(time.Minute), jitter(time.Minute)), random: 0.25, scheduled: time.Minute, due: 15 * time.Second},
		"a time that was missed":  {task: job(hourly), scheduled: -time.Hour},
		"left out what was":       {task: job(hourly, skipping), scheduled: time.Hour},
		"nothing to leave out":    {task: job(after(0), skipping)},
		"jitter without a number": {task: job(jitter(time.Hour))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := now.Add(test.scheduled)
			if test.task.GetTiming().GetAt() != nil {
				first = test.task.GetTiming().GetAt().AsTime()
			}
			want(t, "it", task.Set(test.task, now, 7, test.random), &runtimev1.ScheduledTask{
				Task: test.task, Revision: 7, First: timestamppb.New(first),
				Scheduled: timestamppb.New(now.Add(test.scheduled)), Due: timestamppb.New(now.Add(test.scheduled + test.due)),
			})
		})
	}
	if got := task.Set(job(until(now)), now, 1, 0); got != nil {
		t.Errorf("what ends now is %v", got)
	}
}

func after(d time.Duration) func(*runtimev1.Task) {
	return func(made *runtimev1.Task) {
		made.Timing = &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(d)}}
	}
}

func jitter(d time.Duration) func(*runtimev1.Task) {
	return func(made *runtimev1.Task) {
		if made.Timing == nil {
			made.Timing = &runtimev1.Timing{}
		}
		made.Timing.Jitter = durationpb.New(d)
	}
}

func until(end time.Time) func(*runtimev1.Task) {
	return func(made *runtimev1.Task) {
		if made.Timing == nil {
			made.Timing = &runtimev1.Timing{}
		}
		made.Timing.Until = timestamppb.New(end)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	if got := task.Complete(task.Set(job(), now, 1, 0), now, 2, 0); got != nil {
		t.Errorf("a job that is done is %v", got)
	}
	repeating := job(hourly, jitter(time.Minute))
	failed, _, _ := task.Fail(task.Set(repeating, now, 1, 0), &runtimev1.Failure{Error: "boom"}, now, 2, 0)
	failed.Alone = true
	want(t, "a job that goes on", task.Complete(failed, now.Add(time.Second), 3, 0.5), &runtimev1.ScheduledTask{
		Task: repeating, Revision: 3, First: timestamppb.New(now.Add(-time.Hour)),
		Scheduled: timestamppb.New(now.Add(time.Hour)), Due: timestamppb.New(now.Add(time.Hour + 30*time.Second)),
	})
	if got := task.Complete(task.Set(job(hourly, until(now.Add(time.Hour))), now, 1, 0), now, 2, 0); got != nil {
		t.Errorf("a job that has ended is %v", got)
	}
}

// A job that fails is tried again, later each time, and then it is a dead letter.
func TestFail(t *testing.T) {
	t.Parallel()
	s := task.Set(job(), now, 1, 0)
	s.Alone = true
	for attempt, backoff := range []time.Duration{time.Second, 2 * time.Second} {
		before := proto.CloneOf(s)
		next, dead, notice := task.Fail(s, &runtimev1.Failure{Error: "boom"}, now, s.GetRevision()+1, 0)
		want(t, "what it came from", s, before)
		if dead != nil || notice != nil {
			t.Fatalf("dead after attempt %d", attempt+1)
		}
		want(t, "the next attempt", next, &runtimev1.ScheduledTask{
			Task: job(), Revision: s.GetRevision() + 1, First: timestamppb.New(now), Scheduled: timestamppb.New(now),
			Due: timestamppb.New(now.Add(backoff)), Failures: uint32(attempt + 1), Error: "boom",
		})
		s = next
	}
	later := now.Add(time.Minute)
	next, dead, notice := task.Fail(s, &runtimev1.Failure{Error: "bang"}, later, 9, 0)
	if next != nil || notice != nil {
		t.Errorf("after the last attempt: next %v, notice %v", next, notice)
	}
	want(t, "the dead letter", dead, &runtimev1.ScheduledTask{
		Task: job(onceAt(now)), Revision: 9, First: timestamppb.New(now), Scheduled: timestamppb.New(now),
		Due: s.GetDue(), Failures: 3, Error: "bang", Died: timestamppb.New(later),
	})
}

func onceAt(at time.Time) func(*runtimev1.Task) {
	return func(made *runtimev1.Task) {
		made.Timing = &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}}
	}
}

// One time of a task that repeats dies, and the task goes on.
func TestFailOfARepeatingTask(t *testing.T) {
	t.Parallel()
	repeating := job(hourly, alarm)
	next, dead, _ := task.Fail(task.Set(repeating, now, 1, 0), &runtimev1.Failure{Permanent: true}, now, 2, 0)
	want(t, "the next time", next, task.Complete(task.Set(repeating, now, 1, 0), now, 2, 0))
	want(t, "the dead letter", dead, &runtimev1.ScheduledTask{
		Task: job(alarm, onceAt(now.Add(-time.Hour))), Revision: 2, Failures: 1, Died: timestamppb.New(now),
		First: timestamppb.New(now.Add(-time.Hour)), Scheduled: timestamppb.New(now.Add(-time.Hour)), Due: timestamppb.New(now.Add(-time.Hour)),
	})
	revived := task.Revive(dead, now.Add(time.Hour), 3)
	if got := task.Complete(revived, now.Add(2*time.Hour), 4, 0); got != nil {
		t.Errorf("the dead letter, revived and completed, goes on as %v", got)
	}
}

// The actor is told by a job of another id, which tells of nothing itself.
func TestFailTellsTheActor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind func(*runtimev1.Task)
		want *francisv1.DeadLetter
	}{
		"alarm": {alarm, &francisv1.DeadLetter{Task: &francisv1.DeadLetter_Alarm{Alarm: "a"}}},
		"job":   {func(*runtimev1.Task) {}, &francisv1.DeadLetter{Task: &francisv1.DeadLetter_Job{Job: "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dead, notice := task.Fail(task.Set(job(test.kind, told), now, 1, 0), &runtimev1.Failure{Error: "boom", Permanent: true}, now, 2, 0)
			if dead == nil || notice == nil {
				t.Fatalf("dead %v, notice %v", dead, notice)
			}
			letter := &francisv1.DeadLetter{}
			if err := proto.Unmarshal(notice.GetTask().GetRequest(), letter); err != nil {
				t.Fatal(err)
			}
			test.want.Method, test.want.Request, test.want.Error, test.want.Attempts = "Ship", []byte("request"), "boom", 1
			test.want.Scheduled, test.want.Died = timestamppb.New(now), timestamppb.New(now)
			if !proto.Equal(letter, test.want) {
				t.Errorf("the actor is told %v\nwant %v", letter, test.want)
			}
			got := notice.GetTask()
			if got.GetProcedure() != "/shop.v1.Cart/Died" || got.GetOnDeath() != "" || got.GetKey().GetJob() == "a" || got.GetKey().GetId() != "1" {
				t.Errorf("the notice is %v", got)
			}
			if err := task.Check(got); err != nil {
				t.Errorf("the notice is refused: %v", err)
			}
			_, _, again := task.Fail(task.Set(job(test.kind, told), now, 1, 0), &runtimev1.Failure{Permanent: true}, now, 2, 0)
			_, _, later := task.Fail(task.Set(job(test.kind, told), now, 1, 0), &runtimev1.Failure{Permanent: true}, now, 3, 0)
			if id := got.GetKey().GetJob(); again.GetTask().GetKey().GetJob() != id || later.GetTask().GetKey().GetJob() == id {
				t.Errorf("the ids of the same death %s and %s, of a later one %s", id, again.GetTask().GetKey().GetJob(), later.GetTask().GetKey().GetJob())
			}
		})
	}
}

// A backoff grows up to its bound, loses up to a fifth, and is one whatever the numbers are.
func TestBackoff(t *testing.T) {
	t.Parallel()
	backoff := func(failures uint32, random float64, multiplier float64) time.Duration {
		s := task.Set(job(func(made *runtimev1.Task) { made.Retry.Attempts, made.Retry.Multiplier = limit.MaxAttempts, multiplier }), now, 1, 0)
		s.Failures = failures
		next, _, _ := task.Fail(s, &runtimev1.Failure{}, now, 2, random)
		return next.GetDue().AsTime().Sub(now)
	}
	for _, test := range []struct {
		failures           uint32
		random, multiplier float64
		want               time.Duration
	}{
		{0, 0, 2, time.Second},
		{0, 0.5, 2, 900 * time.Millisecond},
		{5, 0, 2, 32 * time.Second},
		{6, 0, 2, time.Minute},
		{6, 0.5, 2, 54 * time.Second},
		{998, 0, 100, time.Minute},
		{998, 0, math.Inf(1), time.Minute},
		{3, 0, 1, time.Second},
	} {
		if got := backoff(test.failures, test.random, test.multiplier); got != test.want {
			t.Errorf("after %d failures, at %v and by %v: %v, want %v", test.failures, test.random, test.multiplier, got, test.want)
		}
	}
}

// What was out while its worker died is due at once and alone; if it was alone, it failed.
func TestStrand(t *testing.T) {
	t.Parallel()
	s := task.Set(job(told), now, 1, 0)
	stranded, dead, notice := task.Strand(s, now.Add(time.Second), 2, 0)
	if dead != nil || notice != nil {
		t.Fatalf("dead %v, notice %v", dead, notice)
	}
	want(t, "what was stranded", stranded, &runtimev1.ScheduledTask{
		Task: job(told), Revision: 2, First: s.GetFirst(), Scheduled: s.GetScheduled(), Due: s.GetDue(), Alone: true,
	})
	for attempt := range 2 {
		stranded, dead, _ = task.Strand(stranded, now, stranded.GetRevision()+1, 0)
		if !stranded.GetAlone() || stranded.GetFailures() != uint32(attempt+1) || dead != nil || stranded.GetError() != "its worker died while it ran alone" {
			t.Fatalf("after %d deaths it is %v, dead %v", attempt+2, stranded, dead)
		}
	}
	if stranded, dead, notice = task.Strand(stranded, now, 9, 0); stranded != nil || dead.GetFailures() != 3 || notice == nil || dead.GetAlone() {
		t.Errorf("after the last death: next %v, dead %v, notice %v", stranded, dead, notice)
	}
	next, dead, _ := task.Strand(aloneAndLast(), now, 9, 0)
	if dead == nil || next == nil || next.GetAlone() {
		t.Errorf("a repeating one after its last death: next %v, dead %v", next, dead)
	}
}

// aloneAndLast runs alone, for the last time.
func aloneAndLast() *runtimev1.ScheduledTask {
	s := task.Set(job(hourly), now, 1, 0)
	s.Alone, s.Failures = true, 2
	return s
}

func TestReturn(t *testing.T) {
	t.Parallel()
	s := task.Set(job(), now, 1, 0)
	s.Failures, s.Alone, s.Error = 2, true, "boom"
	returned := proto.CloneOf(s)
	for after, due := range map[time.Duration]time.Duration{time.Second: time.Second, 0: 0, -time.Hour: 0, 1 << 62: limit.MaxBackoff} {
		returned.Revision, returned.Due = 2, timestamppb.New(now.Add(due))
		want(t, "what was returned", task.Return(s, after, now, 2, 0), returned)
	}
	skips := job(hourly, skipping)
	late := &runtimev1.ScheduledTask{Task: skips, Revision: 1, First: skips.GetTiming().GetAt(), Scheduled: skips.GetTiming().GetAt(), Due: skips.GetTiming().GetAt()}
	want(t, "what is left out", task.Return(late, time.Second, now.Add(time.Minute), 2, 0), &runtimev1.ScheduledTask{
		Task: skips, Revision: 2, First: late.GetFirst(), Scheduled: timestamppb.New(now.Add(time.Hour)), Due: timestamppb.New(now.Add(time.Hour)),
	})
}

func TestRevive(t *testing.T) {
	t.Parallel()
	_, dead, _ := task.Fail(task.Set(job(), now, 1, 0), &runtimev1.Failure{Error: "boom", Permanent: true}, now, 2, 0)
	later := now.Add(time.Hour)
	want(t, "what was revived", task.Revive(dead, later, 3), &runtimev1.ScheduledTask{
		Task: job(onceAt(now)), Revision: 3, First: timestamppb.New(now), Scheduled: timestamppb.New(now), Due: timestamppb.New(later),
	})
}

func TestErrorsAreClipped(t *testing.T) {
	t.Parallel()
	next, _, _ := task.Fail(task.Set(job(), now, 1, 0), &runtimev1.Failure{Error: strings.Repeat("é", limit.MaxFailure)}, now, 2, 0)
	if n := len(next.GetError()); n != limit.MaxFailure || !utf8.ValidString(next.GetError()) {
		t.Errorf("the error has %d bytes", n)
	}
	odd, _, _ := task.Fail(task.Set(job(), now, 1, 0), &runtimev1.Failure{Error: "x" + strings.Repeat("é", limit.MaxFailure)}, now, 2, 0)
	if n := len(odd.GetError()); n != limit.MaxFailure-1 || !utf8.ValidString(odd.GetError()) {
		t.Errorf("the error has %d bytes", n)
	}
}

func TestJobID(t *testing.T) {
	t.Parallel()
	id := task.JobID("cart", "1", "order-7")
	if id != "bqors265kwyfqjxo3566atssvi" {
		t.Errorf("the id is %q: jobs that wait are not recognised after an upgrade", id)
	}
	for _, other := range []string{task.JobID("cart", "2", "order-7"), task.JobID("carts", "1", "order-7"), task.JobID("cart", "1", "order-8"), task.JobID("cart", "1o", "rder-7")} {
		if other == id {
			t.Error("two jobs have one id")
		}
	}
}
