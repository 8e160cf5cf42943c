package behaviour

import (
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// later is a time at which nothing comes due while a test runs.
var later = durationpb.New(time.Hour)

func deletedBeginsAnew(t *testing.T, s *setup) {
	s.add(t, "a", 5)
	s.add(t, "b", 7)
	before := s.probes.Constructed("a")
	must(t, sdk.Delete(t.Context(), s.probe("a").Ref))
	s.wantSum(t, "a", 0)
	if got := s.probes.Constructed("a"); got != before+1 {
		t.Errorf("the actor was constructed %d times, want %d", got, before+1)
	}
	if got := s.probes.Ended("a"); got < 1 {
		t.Errorf("OnDeactivate ran %d times", got)
	}
	if got := s.add(t, "a", 1); got != 1 {
		t.Errorf("the first turn of the new actor says %d", got)
	}
	s.wantSum(t, "b", 7)
	for range 2 { // also one that is not there
		must(t, sdk.Delete(t.Context(), s.probe("nobody").Ref))
	}
	s.wantSum(t, "nobody", 0)
}

func deletionTakesTasks(t *testing.T, s *setup) {
	must(t, s.diary("a").ScheduleWrite(t.Context(), "tick", sdk.After(time.Hour), entry("never")))
	_, err := s.diary("a").EnqueueWrite(t.Context(), entry("never"), sdk.WithDelay(time.Hour))
	must(t, err)
	hopeless := entry("")
	hopeless.Fail, hopeless.Permanent = "no luck", true
	_, err = s.diary("a").EnqueueWrite(t.Context(), hopeless)
	must(t, err)
	s.wantEntries(t, "a", 2, "job of Write died after 1 attempts: no luck") // the attempt and the news
	must(t, s.diary("b").ScheduleWrite(t.Context(), "tick", sdk.After(time.Hour), entry("never")))

	must(t, sdk.Delete(t.Context(), s.diary("a").Ref))
	s.wantTasks(t, "a")
	s.wantEntries(t, "a", 2)
	s.wantTasks(t, "b", "alarm tick")
}

// turnDeletes says what becomes of what a turn does before and after it deletes its actor.
func turnDeletes(t *testing.T, s *setup) {
	_, err := s.diary("a").Write(t.Context(), entry("old"))
	must(t, err)
	must(t, s.diary("a").ScheduleWrite(t.Context(), "old", sdk.After(time.Hour), entry("never")))
	plans := []*behaviourv1.Plan{
		{Alarm: "before", Write: entry("never"), After: later},
		{Diary: "b", Alarm: "before", Write: entry("never"), After: later},
		{Delete: true},
		{Alarm: "after", Write: entry("never"), After: later},
		{Diary: "b", Alarm: "after", Write: entry("never"), After: later},
	}
	failing := planned(plans...)
	failing.Entry, failing.Fail = "failed", "no"
	if _, err := s.diary("a").Write(t.Context(), failing); err == nil {
		t.Error("the turn did not fail")
	}
	s.wantEntries(t, "a", 2, "old")
	s.wantTasks(t, "a", "alarm old")

	deleting := planned(plans...)
	deleting.Entry = "deleted"
	_, err = s.diary("a").Write(t.Context(), deleting)
	must(t, err)
	s.wantEntries(t, "a", 3)
	s.wantTasks(t, "a", "alarm after")
	s.wantTasks(t, "b", "alarm after", "alarm before")
	_, err = s.diary("a").Write(t.Context(), entry("new"))
	must(t, err)
	s.wantEntries(t, "a", 4, "new")
}

func jobDeletes(t *testing.T, s *setup) {
	_, err := s.diary("a").Write(t.Context(), entry("old"))
	must(t, err)
	must(t, s.diary("a").ScheduleWrite(t.Context(), "old", sdk.After(time.Hour), entry("never")))
	_, err = s.diary("a").EnqueueWrite(t.Context(), planned(&behaviourv1.Plan{Delete: true}))
	must(t, err)
	s.wantEntries(t, "a", 2)
	s.wantTasks(t, "a")

	// So does an alarm that repeats.
	must(t, s.diary("b").ScheduleWrite(t.Context(), "again", sdk.Every(time.Hour), planned(&behaviourv1.Plan{Delete: true})))
	s.wantEntries(t, "b", 1)
	s.wantTasks(t, "b")
}

func deletionOnce(t *testing.T, s *setup) {
	for id, remove := range map[string]func(to behaviourv1francis.DiaryActorProxy) error{
		"from outside": func(to behaviourv1francis.DiaryActorProxy) error {
			return sdk.Delete(t.Context(), to.Ref, sdk.WithIdempotencyKey("k"))
		},
		"in a turn": func(to behaviourv1francis.DiaryActorProxy) error {
			_, err := to.Write(t.Context(), planned(&behaviourv1.Plan{Delete: true}), sdk.WithIdempotencyKey("k"))
			return err
		},
	} {
		write := func() {
			_, err := s.diary(id).Write(t.Context(), entry("text"), sdk.WithIdempotencyKey("w"))
			must(t, err)
		}
		write()
		must(t, remove(s.diary(id)))
		write() // whose key has gone with the actor
		must(t, remove(s.diary(id)))
		res, err := s.diary(id).Look(t.Context(), &behaviourv1.LookRequest{})
		if err != nil || len(res.GetEntries()) != 1 {
			t.Errorf("%s: the diary says %q, %v; want one entry", id, res.GetEntries(), err)
		}
	}
}

func deletionWaits(t *testing.T, s *setup) {
	s.settle(t)
	first := make(chan error, 3)
	go func() { first <- s.play(t.Context(), "a", &behaviourv1.Script{Wait: "gate"}) }()
	s.probes.Arrived("gate")
	go func() { first <- s.play(t.Context(), "a", nil) }()
	s.settle(t)
	go func() { first <- sdk.Delete(t.Context(), s.probe("a").Ref) }()
	s.settle(t)
	last := make(chan int64, 1)
	go func() { last <- s.add(t, "a", 100) }()
	s.settle(t)
	s.probes.Open("gate")
	for range 3 {
		must(t, <-first)
	}
	if got := <-last; got != 100 {
		t.Errorf("the call after the deletion says %d, want 100", got)
	}
}

// A constructor that fails keeps everybody out but who deletes the actor.
func deletionOfBroken(t *testing.T, s *setup) {
	s.add(t, "a", 5)
	if err := s.play(t.Context(), "a", &behaviourv1.Script{Panic: "start anew"}); err == nil {
		t.Fatal("the probe did not panic")
	}
	s.probes.Refuse("a", errors.New("no"))
	if err := s.play(t.Context(), "a", nil); err == nil {
		t.Fatal("the constructor did not fail")
	}
	must(t, sdk.Delete(t.Context(), s.probe("a").Ref))
	s.probes.Refuse("a", nil)
	s.wantSum(t, "a", 0)
}

func deletionOfStateless(t *testing.T, s *setup) {
	relay := behaviourv1francis.NewRelayActorProxy(s.host.Service(), "r")
	for _, want := range []int64{1, 1, 2, 2} {
		if want == 2 && s.read(t, "a").GetSum() == 1 {
			must(t, sdk.Delete(t.Context(), relay.Ref))
		}
		res, err := relay.Send(t.Context(), &behaviourv1.SendRequest{Probe: "a", In: 1}, sdk.WithIdempotencyKey("k"))
		if err != nil || res.GetSum() != want {
			t.Errorf("the relay answered %d, %v; want %d", res.GetSum(), err, want)
		}
	}
}

func deletionInChain(t *testing.T, s *setup) {
	s.add(t, "a", 5)
	s.add(t, "b", 5)
	err := s.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"a"}, Delete: true})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, sdk.OutcomeNothingHappened)
	_, err = s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{Call: []string{"b"}, Delete: true}})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW, sdk.OutcomeNothingHappened)
	s.wantSum(t, "b", 5)
	must(t, s.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"b"}, Delete: true}))
	s.wantSum(t, "a", 6)
	s.wantSum(t, "b", 0)
}
