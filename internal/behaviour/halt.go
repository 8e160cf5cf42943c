package behaviour

import (
	"testing"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/sdk"
)

// halt halts a probe; it must succeed.
func (s *setup) halt(t *testing.T, id string) {
	t.Helper()
	if err := sdk.Halt(t.Context(), s.probe(id).Ref); err != nil {
		t.Errorf("halt %s: %v", id, err)
	}
}

// wantLives checks how often a probe was constructed, and how often it has ended.
func (s *setup) wantLives(t *testing.T, id string, constructed, ended int32) {
	t.Helper()
	if made, over := s.probes.Constructed(id), s.probes.Ended(id); made != constructed || over != ended {
		t.Errorf("%s was constructed %d times and has ended %d times, want %d and %d", id, made, over, constructed, ended)
	}
}

func actorHalted(t *testing.T, s *setup) {
	s.halt(t, "a") // which is not in memory
	s.wantLives(t, "a", 0, 0)
	s.add(t, "a", 7)
	s.halt(t, "a")
	s.wantLives(t, "a", 1, 1)
	s.halt(t, "a")
	s.wantLives(t, "a", 1, 1)
	s.wantSum(t, "a", 7)
	s.wantLives(t, "a", 2, 1)
	err := sdk.Halt(t.Context(), sdk.NewRef(s.host.Service(), "prob", "a"))
	wantError(t, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TYPE, sdk.OutcomeNothingHappened)
	err = sdk.Halt(t.Context(), sdk.NewRef(s.host.Service(), "probe", " a"))
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
}

// What waits already is served by the activation that ends, and what comes later by the next
// one.
func haltWaits(t *testing.T, s *setup) {
	s.settle(t)
	running := s.begin(t, "a", "running")
	s.probes.Arrived("running")
	waiting := s.begin(t, "a", "waiting")
	s.settle(t)
	halted := make(chan error, 1)
	go func() { halted <- sdk.Halt(t.Context(), s.probe("a").Ref) }()
	s.settle(t)
	later := s.begin(t, "a", "later")
	s.settle(t)
	s.probes.Open("running")
	s.probes.Arrived("waiting")
	s.settle(t)
	if len(halted) > 0 {
		t.Error("an actor was halted before a call that came earlier")
	}
	s.wantLives(t, "a", 1, 0)
	s.probes.Open("waiting")
	s.probes.Arrived("later")
	s.wantLives(t, "a", 2, 1)
	s.probes.Open("later")
	for _, done := range []<-chan error{running, waiting, halted, later} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	s.wantSum(t, "a", 3)
}

func turnHalts(t *testing.T, s *setup) {
	if err := s.play(t.Context(), "a", &behaviourv1.Script{Halt: true}); err != nil {
		t.Fatal(err)
	}
	s.wantSum(t, "a", 1)
	s.wantLives(t, "a", 2, 1)
	// Also one that fails: nothing of it has happened, but for that.
	err := s.play(t.Context(), "a", &behaviourv1.Script{Halt: true, Fail: "told to"})
	wantError(t, err, connect.CodeUnknown, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	s.wantSum(t, "a", 1)
	s.wantLives(t, "a", 3, 2)
}

func haltedByOther(t *testing.T, s *setup) {
	s.add(t, "b", 1)
	if err := s.play(t.Context(), "a", &behaviourv1.Script{HaltOther: "b"}); err != nil {
		t.Fatal(err)
	}
	s.wantLives(t, "b", 1, 1)
	for _, script := range []*behaviourv1.Script{{HaltOther: "a"}, {HaltOther: "a", CallService: true}} {
		err := s.play(t.Context(), "a", script)
		wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, sdk.OutcomeNothingHappened)
	}
	_, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{HaltOther: "b"}})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW, sdk.OutcomeNothingHappened)
}

func onlyIfActive(t *testing.T, s *setup) {
	const key = "key"
	add := func() error {
		_, err := s.probe("a").Add(t.Context(), &behaviourv1.AddRequest{In: 1}, sdk.OnlyIfActive(), sdk.WithIdempotencyKey(key))
		return err
	}
	read := func() error {
		_, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{}, sdk.OnlyIfActive())
		return err
	}
	absent := func() {
		t.Helper()
		for _, call := range []func() error{add, read} {
			err := call()
			wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_ACTIVE, sdk.OutcomeNothingHappened)
			if sdk.Retryable(err) {
				t.Error("a call for an actor that is not in memory is said to be worth a repetition")
			}
		}
	}
	absent()
	s.wantLives(t, "a", 0, 0)
	s.wantSum(t, "a", 0)
	if err := add(); err != nil {
		t.Errorf("a call for an actor in memory: %v", err)
	}
	if err := read(); err != nil {
		t.Errorf("a view of an actor in memory: %v", err)
	}
	s.wantSum(t, "a", 1)
	s.halt(t, "a")
	absent()
	s.wantLives(t, "a", 1, 1)
}
