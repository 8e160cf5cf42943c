package behaviour

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/sdk"
)

// soon is a delay that can be told from none, and within which a busy machine makes a few
// calls in real time; afterIt is one that is longer.
const (
	soon    = time.Second
	afterIt = 3 * time.Second
)

func (s *setup) diary(id string) behaviourv1francis.DiaryActorProxy {
	return behaviourv1francis.NewDiaryActorProxy(s.host.Service(), id)
}

func entry(text string) *behaviourv1.WriteRequest { return &behaviourv1.WriteRequest{Entry: text} }

func planned(plans ...*behaviourv1.Plan) *behaviourv1.WriteRequest {
	return &behaviourv1.WriteRequest{Plans: plans}
}

// wantEntries waits until so many turns of a diary have begun, and checks what is written
// then.
func (s *setup) wantEntries(t *testing.T, id string, turns int, want ...string) {
	t.Helper()
	if got := s.entriesAfter(t, id, turns); !slices.Equal(got, want) {
		t.Errorf("the diary %s says %q, want %q", id, got, want)
	}
}

// entriesAfter waits until so many turns of a diary have begun, and returns what is written
// then.
func (s *setup) entriesAfter(t *testing.T, id string, turns int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.diaries.Await(ctx, id, turns); err != nil {
		t.Fatal(err)
	}
	res, err := s.diary(id).Look(ctx, &behaviourv1.LookRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetEntries()
}

// beforeDue makes changes to a diary that have to be made before what they are about comes
// due, soon. Where the machine took longer for them it takes another diary. It returns the
// one for which it did not.
func (s *setup) beforeDue(t *testing.T, change func(diary string)) string {
	t.Helper()
	for n := range 10 {
		diary, began := fmt.Sprint("a", n), time.Now()
		if change(diary); time.Since(began) < soon {
			return diary
		}
	}
	t.Fatalf("a few calls have taken more than %v each time", soon)
	return ""
}

// pass waits until a job has run that is due after everything else that a test has
// scheduled.
func (s *setup) pass(t *testing.T) {
	t.Helper()
	if _, err := s.diary("clock").EnqueueWrite(t.Context(), entry("late"), sdk.WithDelay(afterIt)); err != nil {
		t.Fatal(err)
	}
	s.wantEntries(t, "clock", 1, "late (job, attempt 1)")
}

// wantTasks checks which tasks there are, as "alarm name", "job" or "dead …: error".
func (s *setup) wantTasks(t *testing.T, id string, want ...string) {
	t.Helper()
	got := []string{}
	add := func(prefix string, tasks iter.Seq2[sdk.Task, error]) {
		for task, err := range tasks {
			if err != nil {
				t.Fatal(err)
			}
			name := prefix + "job"
			if task.Alarm != "" {
				name = prefix + "alarm " + task.Alarm
			}
			if task.Error != "" {
				name += fmt.Sprintf(": %s (%d)", task.Error, task.Failures)
			}
			got = append(got, name)
		}
	}
	add("", s.diary(id).Alarms(t.Context()))
	add("", s.diary(id).Jobs(t.Context()))
	add("dead ", s.diary(id).DeadLetters(t.Context()))
	if !slices.Equal(got, want) {
		t.Errorf("the diary %s has %q, want %q", id, got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func jobRunsOnce(t *testing.T, s *setup) {
	id, err := s.diary("a").EnqueueWrite(t.Context(), entry("one"))
	must(t, err)
	if id == "" {
		t.Error("the job has no id")
	}
	s.wantEntries(t, "a", 1, "one (job, attempt 1)")
	s.pass(t)
	s.wantEntries(t, "a", 1, "one (job, attempt 1)")
	s.wantTasks(t, "a")
}

func jobWaits(t *testing.T, s *setup) {
	began := time.Now()
	id, err := s.diary("a").EnqueueWrite(t.Context(), entry("one"), sdk.WithDelay(soon))
	must(t, err)
	s.wantEntries(t, "a", 1, "one (job, attempt 1)")
	if took := time.Since(began); took < soon {
		t.Errorf("it ran after %v, want %v at least", took, soon)
	}
	_, err = s.diary("a").Job(t.Context(), id)
	wantError(t, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK, sdk.OutcomeNothingHappened)

	id, err = s.diary("b").EnqueueWrite(t.Context(), entry("never"), sdk.WithDelay(time.Hour))
	must(t, err)
	task, err := s.diary("b").Job(t.Context(), id)
	must(t, err)
	if task.Job != id || !strings.HasSuffix(task.Procedure, "/Write") || task.Failures != 0 {
		t.Errorf("the job is %+v", task)
	}
}

func alarmComesDue(t *testing.T, s *setup) {
	began := time.Now()
	must(t, s.diary("a").ScheduleWrite(t.Context(), "tick", sdk.At(began.Add(soon)), entry("one")))
	s.wantEntries(t, "a", 1, "one (alarm tick, attempt 1)")
	if took := time.Since(began); took < soon {
		t.Errorf("it came after %v, want %v at least", took, soon)
	}
	s.wantTasks(t, "a")
}

func alarmRepeats(t *testing.T, s *setup) {
	began := time.Now()
	must(t, s.diary("a").ScheduleWrite(t.Context(), "tick", sdk.Every(time.Second), entry("again")))
	entries := s.entriesAfter(t, "a", 3)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it came three times in %v", took)
	}
	if n := len(entries); n < 3 || !slices.Equal(slices.Compact(entries), []string{"again (alarm tick, attempt 1)"}) {
		t.Errorf("of %d entries in the diary some differ: %q; want three at least, all alike", n, entries)
	}
	s.wantTasks(t, "a", "alarm tick")
	must(t, s.diary("a").DeleteAlarm(t.Context(), "tick"))
	s.wantTasks(t, "a")
	err := s.diary("a").DeleteAlarm(t.Context(), "tick")
	wantError(t, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK, sdk.OutcomeNothingHappened)
}

func alarmReplaced(t *testing.T, s *setup) {
	id := s.beforeDue(t, func(diary string) {
		must(t, s.diary(diary).ScheduleWrite(t.Context(), "tick", sdk.After(soon), entry("old")))
		must(t, s.diary(diary).ScheduleWrite(t.Context(), "tick", sdk.After(time.Hour), entry("later")))
	})
	s.wantTasks(t, id, "alarm tick")
	must(t, s.diary(id).ScheduleWrite(t.Context(), "tick", sdk.After(soon), entry("new")))
	s.pass(t)
	s.wantEntries(t, id, 1, "new (alarm tick, attempt 1)")
	s.wantTasks(t, id)
}

func deletedNeverRuns(t *testing.T, s *setup) {
	id := s.beforeDue(t, func(diary string) {
		must(t, s.diary(diary).ScheduleWrite(t.Context(), "tick", sdk.After(soon), entry("alarm")))
		job, err := s.diary(diary).EnqueueWrite(t.Context(), entry("job"), sdk.WithDelay(soon))
		must(t, err)
		_ = s.diary(diary).DeleteAlarm(t.Context(), "tick") // too late, perhaps
		_ = s.diary(diary).CancelJob(t.Context(), job)
	})
	s.wantTasks(t, id)
	s.pass(t)
	s.wantEntries(t, id, 0)
}

func turnSchedules(t *testing.T, s *setup) {
	must(t, s.diary("a").ScheduleWrite(t.Context(), "old", sdk.After(time.Hour), entry("old")))
	_, err := s.diary("a").Write(t.Context(), planned(
		&behaviourv1.Plan{Write: entry("to itself")},
		&behaviourv1.Plan{Alarm: "tick", After: durationpb.New(time.Hour), Write: entry("tick")},
		&behaviourv1.Plan{Diary: "b", Alarm: "tock", Write: entry("to another")},
		&behaviourv1.Plan{Alarm: "old"},
	))
	must(t, err)
	s.wantEntries(t, "a", 2, "to itself (job, attempt 1)")
	s.wantEntries(t, "b", 1, "to another (alarm tock, attempt 1)")
	s.wantTasks(t, "a", "alarm tick")
	s.wantTasks(t, "b")
}

func failedTurnSchedulesNothing(t *testing.T, s *setup) {
	must(t, s.diary("a").ScheduleWrite(t.Context(), "stays", sdk.After(time.Hour), entry("stays")))
	req := planned(&behaviourv1.Plan{Write: entry("to itself")}, &behaviourv1.Plan{Diary: "b", Write: entry("to another")}, &behaviourv1.Plan{Alarm: "stays"})
	req.Fail = "no"
	_, err := s.diary("a").Write(t.Context(), req)
	wantError(t, err, connect.CodeUnknown, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	s.pass(t)
	s.wantTasks(t, "a", "alarm stays")
	s.wantEntries(t, "a", 1)
	s.wantEntries(t, "b", 0)
}

func alarmSetsItself(t *testing.T, s *setup) {
	last := entry("third")
	second := entry("second")
	second.Plans = []*behaviourv1.Plan{{Alarm: "tick", Write: last}}
	first := entry("first")
	first.Plans = []*behaviourv1.Plan{{Alarm: "tick", Write: second}}
	must(t, s.diary("a").ScheduleWrite(t.Context(), "tick", sdk.After(0), first))
	s.wantEntries(t, "a", 3, "first (alarm tick, attempt 1)", "second (alarm tick, attempt 1)", "third (alarm tick, attempt 1)")
	s.wantTasks(t, "a")
}

func failureTriedAgain(t *testing.T, s *setup) {
	req := entry("at last")
	req.Fail, req.FailBefore = "not yet", 3
	_, err := s.diary("a").EnqueueWrite(t.Context(), req)
	must(t, err)
	s.wantEntries(t, "a", 3, "at last (job, attempt 3)")
	s.wantTasks(t, "a")
}

func failureDies(t *testing.T, s *setup) {
	req := entry("never")
	req.Fail = "no luck"
	must(t, s.diary("a").ScheduleWrite(t.Context(), "tick", sdk.After(0), req))
	s.wantEntries(t, "a", 4, "alarm tick of Write died after 3 attempts: no luck") // three attempts and the news
	s.wantTasks(t, "a", "dead alarm tick: no luck (3)")
}

func permanentFailureDies(t *testing.T, s *setup) {
	req := entry("never")
	req.Fail, req.Permanent = "hopeless", true
	_, err := s.diary("a").EnqueueWrite(t.Context(), req)
	must(t, err)
	s.wantEntries(t, "a", 2, "job of Write died after 1 attempts: hopeless")
	s.wantTasks(t, "a", "dead job: hopeless (1)")
}

func deadLetterDecided(t *testing.T, s *setup) {
	for _, diary := range []string{"a", "b"} {
		req := entry("never")
		req.Fail, req.Permanent = "hopeless", true
		_, err := s.diary(diary).EnqueueWrite(t.Context(), req)
		must(t, err)
		s.wantEntries(t, diary, 2, "job of Write died after 1 attempts: hopeless")
	}
	letter := s.deadLetter(t, "a")
	must(t, s.diary("a").RetryDeadLetter(t.Context(), letter))
	const died = "job of Write died after 1 attempts: hopeless"
	s.wantEntries(t, "a", 4, died, died)
	s.wantTasks(t, "a", "dead job: hopeless (1)")
	must(t, s.diary("b").DeleteDeadLetter(t.Context(), s.deadLetter(t, "b")))
	s.wantTasks(t, "b")
	err := s.diary("b").RetryDeadLetter(t.Context(), letter)
	wantError(t, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK, sdk.OutcomeNothingHappened)
}

// deadLetter is the only one of a diary.
func (s *setup) deadLetter(t *testing.T, id string) sdk.Task {
	t.Helper()
	for letter, err := range s.diary(id).DeadLetters(t.Context()) {
		must(t, err)
		return letter
	}
	t.Fatalf("the diary %s has no dead letter", id)
	return sdk.Task{}
}

func jobWithKey(t *testing.T, s *setup) {
	key := sdk.WithIdempotencyKey("k")
	first, err := s.diary("a").EnqueueWrite(t.Context(), entry("once"), key, sdk.WithDelay(soon))
	must(t, err)
	second, err := s.diary("a").EnqueueWrite(t.Context(), entry("once"), key)
	must(t, err)
	if first != second {
		t.Errorf("one key is two jobs, %s and %s", first, second)
	}
	_, err = s.diary("a").EnqueueWrite(t.Context(), entry("another"), key)
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY, sdk.OutcomeNothingHappened)
	s.wantEntries(t, "a", 1, "once (job, attempt 1)")
	s.pass(t)
	_, err = s.diary("a").EnqueueWrite(t.Context(), entry("once"), key)
	must(t, err)
	_, err = s.diary("a").EnqueueWrite(t.Context(), entry("another"))
	must(t, err)
	s.wantEntries(t, "a", 2, "once (job, attempt 1)", "another (job, attempt 1)")
}

func statelessLater(t *testing.T, s *setup) {
	relay := behaviourv1francis.NewRelayActorProxy(s.host.Service(), "r")
	for range 2 { // the second turn builds on what the first has left
		_, err := relay.EnqueueSend(t.Context(), &behaviourv1.SendRequest{Probe: "a", In: 1})
		must(t, err)
		_, err = relay.Send(t.Context(), &behaviourv1.SendRequest{Probe: "a", In: 10, Later: true})
		must(t, err)
	}
	s.awaitSum(t, "a", 22)
	s.pass(t)
	s.wantSum(t, "a", 22)
}

// awaitSum waits until a probe has the sum that alarms and jobs make.
func (s *setup) awaitSum(t *testing.T, id string, want int64) {
	t.Helper()
	for late := time.Now().Add(time.Minute); s.read(t, id).GetSum() < want && time.Now().Before(late); {
		time.Sleep(10 * time.Millisecond) // real time: where that of the runtime is real; nobody tells of a commit
	}
	s.wantSum(t, id, want)
}

func viewSchedulesNothing(t *testing.T, s *setup) {
	for _, p := range []*behaviourv1.Plan{{Write: entry("job")}, {Alarm: "tick", Write: entry("alarm")}, {Alarm: "old"}} {
		_, err := s.diary("a").Look(t.Context(), &behaviourv1.LookRequest{Plans: []*behaviourv1.Plan{p}})
		wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW, sdk.OutcomeNothingHappened)
	}
	s.wantTasks(t, "a")
}

func badInputRefused(t *testing.T, s *setup) {
	invalid := func(err error) {
		t.Helper()
		wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK, sdk.OutcomeNothingHappened)
	}
	for _, when := range []sdk.When{
		sdk.Cron("61 * * * *", ""), sdk.Cron("0 0 31 2 *", ""), sdk.Cron("* * * * *", "Europe/Atlantis"),
		sdk.Every(time.Millisecond), sdk.EveryISO("P", ""), sdk.After(-time.Second),
		sdk.At(time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)), sdk.At(time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)),
		sdk.After(0).Until(time.Unix(1, 0)),
	} {
		invalid(s.diary("a").ScheduleWrite(t.Context(), "tick", when, entry("no")))
	}
	for _, name := range []string{"", " ", "a\n", strings.Repeat("x", 200)} {
		invalid(s.diary("a").ScheduleWrite(t.Context(), name, sdk.After(0), entry("no")))
	}
	ref := s.diary("a").Ref
	_, err := sdk.Enqueue(t.Context(), ref, "/behaviour.v1.DiaryActor/Look", &behaviourv1.LookRequest{})
	invalid(err)
	_, err = sdk.Enqueue(t.Context(), ref, "/behaviour.v1.DiaryActor/Wipe", entry("no"))
	wantError(t, err, connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD, sdk.OutcomeNothingHappened)
	_, err = sdk.Enqueue(t.Context(), ref, "/behaviour.v1.DiaryActor/Write", &behaviourv1.LookRequest{})
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED, sdk.OutcomeNothingHappened)
	_, err = s.diary("a").EnqueueWrite(t.Context(), entry(strings.Repeat("x", limit.MaxTaskRequest)))
	wantError(t, err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE, sdk.OutcomeNothingHappened)
	_, err = s.diary("").EnqueueWrite(t.Context(), entry("no"))
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
	s.wantTasks(t, "a")
}

func metadataFollowsDelivery(t *testing.T, s *setup) {
	ctx := sdk.WithMetadata(t.Context(), "tenant", "acme")
	_, err := s.diary("a").Write(ctx, planned(&behaviourv1.Plan{Diary: "b", Write: entry("one")}))
	must(t, err)
	s.wantEntries(t, "b", 1, "one for acme (job, attempt 1)")
}
