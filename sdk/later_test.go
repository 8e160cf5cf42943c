package sdk_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// tasks is a caller of alarms and jobs that remembers what it is told, and lists what it has.
type tasks struct {
	sdk.Caller

	calls   []actor.Call
	changes []*runtimev1.TaskChange
	lists   []*runtimev1.ListRequest
	stored  []*runtimev1.ScheduledTask
	err     error
}

func (t *tasks) Invoke(_ context.Context, call actor.Call) (proto.Message, error) {
	t.calls = append(t.calls, call)
	return nil, t.err
}

func (t *tasks) Change(_ context.Context, change *runtimev1.TaskChange) error {
	t.changes = append(t.changes, change)
	return t.err
}

// List lists pages of two.
func (t *tasks) List(_ context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	t.lists = append(t.lists, proto.CloneOf(req))
	from := 0
	if req.GetAfter() != nil {
		from = 1 + slices.IndexFunc(t.stored, func(s *runtimev1.ScheduledTask) bool { return proto.Equal(s.GetTask().GetKey(), req.GetAfter()) })
	}
	to := min(from+2, len(t.stored))
	return &runtimev1.ListResponse{Tasks: t.stored[from:to], More: to < len(t.stored)}, t.err
}

var (
	at   = time.Date(2030, time.January, 31, 9, 30, 0, 0, time.UTC)
	late = at.AddDate(1, 0, 0)
)

func TestWhen(t *testing.T) {
	t.Parallel()
	hour := &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(time.Hour)}}
	for name, test := range map[string]struct {
		when   sdk.When
		want   *runtimev1.Timing
		header string
	}{
		"at once":              {sdk.When{}, nil, ""},
		"at":                   {sdk.At(at), &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}}, "at=2030-01-31T09:30:00Z"},
		"after":                {sdk.After(90 * time.Second), &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(90 * time.Second)}}, "after=1m30s"},
		"every":                {sdk.Every(time.Hour), &runtimev1.Timing{Repeat: hour}, "every=1h"},
		"every, after":         {sdk.Every(time.Hour).After(0), &runtimev1.Timing{First: &runtimev1.Timing_After{After: &durationpb.Duration{}}, Repeat: hour}, "after=0s; every=1h"},
		"every, from, until":   {sdk.Every(time.Hour).From(at).Until(late), &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}, Repeat: hour, Until: timestamppb.New(late)}, "at=2030-01-31T09:30:00Z; every=1h; until=2031-01-31T09:30:00Z"},
		"the last first holds": {sdk.Every(time.Hour).After(time.Hour).From(at), &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}, Repeat: hour}, "at=2030-01-31T09:30:00Z; every=1h"},
		"every month": {sdk.EveryISO("P1M2DT3H", "Europe/Rome"), &runtimev1.Timing{Repeat: &runtimev1.Timing_Every{
			Every: &runtimev1.Interval{Months: 1, Days: 2, Time: durationpb.New(3 * time.Hour), TimeZone: "Europe/Rome"},
		}}, "every=P1M2DT10800S; tz=Europe/Rome"},
		"cron": {sdk.Cron("0 9 * * *", "Europe/Rome").After(time.Minute), &runtimev1.Timing{
			First:  &runtimev1.Timing_After{After: durationpb.New(time.Minute)},
			Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "0 9 * * *", TimeZone: "Europe/Rome"}},
		}, `after=1m; cron="0 9 * * *"; tz=Europe/Rome`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := &tasks{}
			if err := sdk.Schedule(t.Context(), sdk.NewRef(caller, "a", "1"), "/a.A/M", "x", test.when, &francisv1.DeadLetter{}); err != nil {
				t.Fatal(err)
			}
			if got := caller.calls[0].Later.Timing; !proto.Equal(got, test.want) {
				t.Errorf("the timing is %v, want %v", got, test.want)
			}
			if got := test.when.String(); got != test.header {
				t.Errorf("it reads %q, want %q", got, test.header)
			}
		})
	}
}

// A change makes another value.
func TestWhenIsAValue(t *testing.T) {
	t.Parallel()
	hourly := sdk.Every(time.Hour)
	for _, changed := range []sdk.When{hourly.From(at), hourly.After(time.Second), hourly.Until(late)} {
		if changed.String() == hourly.String() {
			t.Errorf("%v is not changed", changed)
		}
	}
	if got := hourly.String(); got != "every=1h" {
		t.Errorf("it reads %q by now", got)
	}
}

func TestScheduleOptions(t *testing.T) {
	t.Parallel()
	caller, when := &tasks{}, sdk.Every(time.Hour)
	req := &francisv1.DeadLetter{Error: "e"}
	err := sdk.Schedule(t.Context(), sdk.NewRef(caller, "a", "1"), "/a.A/M", "x", when, req, sdk.WithJitter(time.Minute), sdk.WithMissed(sdk.CatchUp))
	if err != nil {
		t.Fatal(err)
	}
	call := caller.calls[0]
	if call.Type != "a" || call.ID != "1" || call.Procedure != "/a.A/M" || call.View || call.Key != "" || call.Request != req || call.Later.Alarm != "x" || call.Later.Job != "" {
		t.Errorf("the call is %+v, %+v", call, call.Later)
	}
	if timing := call.Later.Timing; timing.GetJitter().AsDuration() != time.Minute || timing.GetMissed() != runtimev1.Missed_MISSED_CATCH_UP || timing.GetEvery() == nil {
		t.Errorf("the timing is %v", timing)
	}
	if when.String() != "every=1h" {
		t.Errorf("the options have changed what they were given: %v", when)
	}
}

func TestEnqueue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts   []sdk.EnqueueOption
		key    string
		timing *runtimev1.Timing
	}{
		"at once":       {},
		"with a delay":  {opts: []sdk.EnqueueOption{sdk.WithDelay(time.Second)}, timing: &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(time.Second)}}},
		"with a when":   {opts: []sdk.EnqueueOption{sdk.WithWhen(sdk.At(at)), sdk.WithMissed(sdk.Skip)}, timing: &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}, Missed: sdk.Skip}},
		"only a jitter": {opts: []sdk.EnqueueOption{sdk.WithJitter(time.Second)}, timing: &runtimev1.Timing{Jitter: durationpb.New(time.Second)}},
		"with a key":    {opts: []sdk.EnqueueOption{sdk.WithIdempotencyKey("k")}, key: "k"},
		"with no key":   {opts: []sdk.EnqueueOption{sdk.WithIdempotencyKey("")}, key: " "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := &tasks{}
			id, err := sdk.Enqueue(t.Context(), sdk.NewRef(caller, "a", "1"), "/a.A/M", &francisv1.DeadLetter{}, test.opts...)
			if err != nil {
				t.Fatal(err)
			}
			call := caller.calls[0]
			if call.Key != test.key || call.Later.Alarm != "" || !proto.Equal(call.Later.Timing, test.timing) {
				t.Errorf("the call is %+v, %+v", call, call.Later)
			}
			if want := task.JobID("a", "1", test.key); test.key != "" && (call.Later.Job != "" || string(id) != want) {
				t.Errorf("the job %q of the key has the id %q, want %q", call.Later.Job, id, want)
			}
			if test.key == "" && (call.Later.Job != string(id) || len(id) < 20) {
				t.Errorf("the job %q has the id %q", call.Later.Job, id)
			}
		})
	}
}

// Two jobs have two ids.
func TestJobIDsDiffer(t *testing.T) {
	t.Parallel()
	ref := sdk.NewRef(&tasks{}, "a", "1")
	one, _ := sdk.Enqueue(t.Context(), ref, "/a.A/M", &francisv1.DeadLetter{})
	other, _ := sdk.Enqueue(t.Context(), ref, "/a.A/M", &francisv1.DeadLetter{})
	if one == other {
		t.Errorf("both have the id %s", one)
	}
}

// What cannot be, is refused before anything leaves.
func TestLaterRefuses(t *testing.T) {
	t.Parallel()
	schedule := func(ref sdk.Ref, when sdk.When) error {
		return sdk.Schedule(t.Context(), ref, "/a.A/M", "x", when, &francisv1.DeadLetter{})
	}
	caller := &tasks{}
	fits := sdk.NewRef(caller, "a", "1")
	for name, test := range map[string]struct {
		err    error
		reason francisv1.Reason
	}{
		"an interval":       {schedule(fits, sdk.EveryISO("P1X", "")), francisv1.Reason_REASON_INVALID_TASK},
		"changed afterward": {schedule(fits, sdk.EveryISO("P1X", "").From(at)), francisv1.Reason_REASON_INVALID_TASK},
		"no caller":         {schedule(sdk.NewRef(nil, "a", "1"), sdk.When{}), francisv1.Reason_REASON_UNSPECIFIED},
	} {
		if connect.CodeOf(test.err) != connect.CodeInvalidArgument || fault.Detail(test.err).GetReason() != test.reason {
			t.Errorf("%s: %v", name, test.err)
		}
	}
	if len(caller.calls) > 0 {
		t.Errorf("%d calls have left", len(caller.calls))
	}
}

// A job without a key is sent again only where nothing has happened: it might have run and
// be gone.
func TestEnqueueAgain(t *testing.T) {
	t.Parallel()
	unknown := fault.CommitUnanswered("a/1", "id")
	for name, test := range map[string]struct {
		plan     []error
		opts     []sdk.EnqueueOption
		attempts int
	}{
		"nothing happened":   {plan: times(1, fault.Superseded("a/1")), attempts: 2},
		"unknown":            {plan: times(1, unknown), attempts: 1},
		"unknown with a key": {plan: times(1, unknown), opts: []sdk.EnqueueOption{sdk.WithIdempotencyKey("k")}, attempts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := &flaky{plan: test.plan}
			_, _ = sdk.Enqueue(t.Context(), sdk.NewRef(caller, "a", "1"), "/a.A/M", &francisv1.DeadLetter{}, test.opts...)
			if len(caller.calls) != test.attempts {
				t.Errorf("%d attempts, want %d", len(caller.calls), test.attempts)
			}
			if last := caller.calls[len(caller.calls)-1].Later; *last != *caller.calls[0].Later {
				t.Errorf("the last attempt is of the job %+v, the first of %+v", last, caller.calls[0].Later)
			}
		})
	}
}

func jobs(n int) []*runtimev1.ScheduledTask {
	var all []*runtimev1.ScheduledTask
	for i := range n {
		all = append(all, &runtimev1.ScheduledTask{
			Task: &runtimev1.Task{
				Key:       &runtimev1.TaskKey{Type: "a", Id: "1", Name: &runtimev1.TaskKey_Job{Job: strconv.Itoa(i)}},
				Procedure: "/a.A/M", Request: []byte{1}, Timing: &runtimev1.Timing{Jitter: durationpb.New(time.Second)},
			},
			Due: timestamppb.New(at), Failures: 2, Error: "no",
		})
	}
	return all
}

func TestLists(t *testing.T) {
	t.Parallel()
	caller := &tasks{stored: jobs(5)}
	later := sdk.NewLater(caller, "a", "1")
	listed := later.Jobs(t.Context())
	for range 2 { // each loop begins anew
		var got []sdk.JobID
		for job, err := range listed {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, job.Job)
		}
		if want := []sdk.JobID{"0", "1", "2", "3", "4"}; !slices.Equal(got, want) {
			t.Errorf("listed are %v, want %v", got, want)
		}
	}
	if len(caller.lists) != 6 {
		t.Errorf("%d pages were read", len(caller.lists))
	}
	for range listed {
		break
	}
	if len(caller.lists) != 7 {
		t.Errorf("%d pages were read, one of them for a loop that stopped", len(caller.lists))
	}
}

func TestListsAsk(t *testing.T) {
	t.Parallel()
	caller := &tasks{}
	later := sdk.NewLater(caller, "a", "1")
	for range later.Alarms(t.Context()) {
	}
	for range later.Jobs(t.Context()) {
	}
	for range later.DeadLetters(t.Context()) {
	}
	_, _ = later.Alarm(t.Context(), "x")
	_, _ = later.Job(t.Context(), "y")
	for i, want := range []*runtimev1.ListRequest{
		{Type: "a", Id: "1", Kind: runtimev1.ListRequest_KIND_ALARMS},
		{Type: "a", Id: "1", Kind: runtimev1.ListRequest_KIND_JOBS},
		{Type: "a", Id: "1", Dead: true},
		{Type: "a", Id: "1", Kind: runtimev1.ListRequest_KIND_ALARMS, Name: "x"},
		{Type: "a", Id: "1", Kind: runtimev1.ListRequest_KIND_JOBS, Name: "y"},
	} {
		if got := caller.lists[i]; !proto.Equal(got, want) {
			t.Errorf("it asks for %v, want %v", got, want)
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	later := sdk.NewLater(&tasks{stored: jobs(1)}, "a", "1")
	got, err := later.Job(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	if got.Job != "0" || got.Alarm != "" || got.Procedure != "/a.A/M" || len(got.Request) != 1 || got.When.String() != "jitter=1s" ||
		!got.Due.Equal(at) || got.Failures != 2 || got.Error != "no" || !got.Died.IsZero() {
		t.Errorf("the job is %+v", got)
	}
	_, err = sdk.NewLater(&tasks{}, "a", "1").Alarm(t.Context(), "x")
	if connect.CodeOf(err) != connect.CodeNotFound || fault.Detail(err).GetReason() != francisv1.Reason_REASON_UNKNOWN_TASK {
		t.Errorf("of no alarm it says %v", err)
	}
	if got, err := later.Alarm(t.Context(), ""); fault.Detail(err).GetReason() != francisv1.Reason_REASON_INVALID_TASK {
		t.Errorf("an alarm without a name is %+v, %v", got, err)
	}
}

// An empty id would list all actors of the type.
func TestListRefusesBadID(t *testing.T) {
	t.Parallel()
	caller := &tasks{stored: jobs(1)}
	for job, err := range sdk.NewLater(caller, "a", "").Jobs(t.Context()) {
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("listed are %v, %v", job, err)
		}
	}
	if len(caller.lists) > 0 {
		t.Error("it was listed")
	}
}

func TestListEndsWithAnError(t *testing.T) {
	t.Parallel()
	failed := errors.New("no")
	loops := 0
	for _, err := range sdk.NewLater(&tasks{stored: jobs(1), err: failed}, "a", "1").Jobs(t.Context()) {
		if loops++; !errors.Is(err, failed) {
			t.Errorf("the error is %v", err)
		}
	}
	if loops != 1 {
		t.Errorf("%d loops", loops)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	caller := &tasks{}
	later := sdk.NewLater(caller, "a", "1")
	for _, err := range []error{
		later.DeleteAlarm(t.Context(), "x"),
		later.CancelJob(t.Context(), "y"),
		later.RetryDeadLetter(t.Context(), sdk.Task{Alarm: "x"}),
		later.DeleteDeadLetter(t.Context(), sdk.Task{Job: "y"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	alarm := &runtimev1.TaskKey{Type: "a", Id: "1", Name: &runtimev1.TaskKey_Alarm{Alarm: "x"}}
	job := &runtimev1.TaskKey{Type: "a", Id: "1", Name: &runtimev1.TaskKey_Job{Job: "y"}}
	for i, want := range []*runtimev1.TaskChange{
		{Change: &runtimev1.TaskChange_Delete{Delete: alarm}},
		{Change: &runtimev1.TaskChange_Delete{Delete: job}},
		{Change: &runtimev1.TaskChange_Revive{Revive: alarm}},
		{Change: &runtimev1.TaskChange_Bury{Bury: job}},
	} {
		if got := caller.changes[i]; !proto.Equal(got, want) {
			t.Errorf("the change is %v, want %v", got, want)
		}
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	cause := connect.Errorf(connect.CodeNotFound, "no such order")
	err := sdk.Permanent(cause)
	if !actor.IsPermanent(err) || actor.IsPermanent(cause) || err.Error() != cause.Error() || connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("the mark of %v is %v", cause, err)
	}
	if sdk.Permanent(nil) != nil || actor.IsPermanent(nil) {
		t.Error("nil is marked")
	}
}
