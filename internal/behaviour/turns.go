package behaviour

import (
	"context"
	"errors"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/sdk"
)

func commitsState(t *testing.T, s *setup) {
	s.add(t, "a", 1)
	if got := s.add(t, "a", 41); got != 42 {
		t.Errorf("sum %d, want 42", got)
	}
	if got := s.read(t, "a").GetVersion(); got != 2 {
		t.Errorf("version %d after two commits, want 2", got)
	}
	s.wantSum(t, "b", 0)
}

func errorUndoes(t *testing.T, s *setup) {
	s.add(t, "a", 1)
	err := s.play(t.Context(), "a", &behaviourv1.Script{FailCode: int32(connect.CodeAborted)})
	wantError(t, err, connect.CodeAborted, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	s.wantSum(t, "a", 1)
	if got := s.add(t, "a", 1); got != 2 {
		t.Errorf("the next turn saw sum %d, want 2", got)
	}
	if got := s.probes.Constructed("a"); got != 1 {
		t.Errorf("an error made the constructor run again: %d times", got)
	}
}

func panicUndoes(t *testing.T, s *setup) {
	s.add(t, "a", 1)
	err := s.play(t.Context(), "a", &behaviourv1.Script{Panic: "secret"})
	wantError(t, err, connect.CodeInternal, francisv1.Reason_REASON_PANICKED, sdk.OutcomeNothingHappened)
	s.wantSum(t, "a", 1)
	if made, ended := s.probes.Constructed("a"), s.probes.Ended("a"); made != 2 || ended != 1 {
		t.Errorf("constructed %d times and ended %d; want 2 and 1", made, ended)
	}
	s.wantSum(t, "b", 0)
}

func goexitUndoes(t *testing.T, s *setup) {
	s.add(t, "a", 1)
	ctx, cancel := context.WithCancel(t.Context()) // so that the test's own goroutine goes on
	defer cancel()
	err := s.play(ctx, "a", &behaviourv1.Script{Goexit: true})
	wantError(t, err, connect.CodeInternal, francisv1.Reason_REASON_PANICKED, sdk.OutcomeNothingHappened)
	s.wantSum(t, "a", 1)
}

func stateOutlivesActivation(t *testing.T, s *setup) {
	s.add(t, "a", 7)
	s.halt(t, "a")
	if got := s.probes.Ended("a"); got != 1 {
		t.Errorf("the hook ran %d times, want 1", got)
	}
	res := s.read(t, "a")
	if res.GetSum() != 7 || res.GetVersion() != 1 || res.GetConstructed() != 2 {
		t.Errorf("sum %d, version %d, constructed %d; want 7, 1, 2", res.GetSum(), res.GetVersion(), res.GetConstructed())
	}
}

func replyIsACopy(t *testing.T, s *setup) {
	res, err := s.probe("a").Add(t.Context(), &behaviourv1.AddRequest{In: 5, Script: &behaviourv1.Script{ReturnState: true}})
	if err != nil {
		t.Fatal(err)
	}
	res.GetState().Sum = 99
	s.wantSum(t, "a", 5)
	seen, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{ReturnState: true}})
	if err != nil {
		t.Fatal(err)
	}
	seen.GetState().Sum = 98
	s.wantSum(t, "a", 5)
}

func requestIsACopy(t *testing.T, s *setup) {
	req := &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Wait: "gate"}}
	done := make(chan error, 1)
	go func() {
		_, err := s.probe("a").Add(t.Context(), req)
		done <- err
	}()
	s.probes.Arrived("gate")
	req.Script.Fail = "changed by the caller"
	s.probes.Open("gate")
	if err := <-done; err != nil {
		t.Errorf("the method saw a change of the caller's request: %v", err)
	}
}

func unchangedCommitsNothing(t *testing.T, s *setup) {
	s.add(t, "a", 1)
	s.add(t, "a", 0)
	if got := s.read(t, "a").GetVersion(); got != 1 {
		t.Errorf("version %d, want 1: a turn without a change was committed", got)
	}
}

func constructorFails(t *testing.T, s *setup) {
	s.probes.Refuse("a", errors.New("secret"))
	err := s.play(t.Context(), "a", nil)
	wantError(t, err, connect.CodeUnknown, francisv1.Reason_REASON_ACTIVATION_FAILED, sdk.OutcomeNothingHappened)
	s.probes.Refuse("a", connect.NewError(connect.CodeUnavailable, "the database is away"))
	err = s.play(t.Context(), "a", nil)
	wantError(t, err, connect.CodeUnavailable, francisv1.Reason_REASON_ACTIVATION_FAILED, sdk.OutcomeNothingHappened)
	s.probes.Refuse("a", nil)
	if got := s.add(t, "a", 1); got != 1 {
		t.Errorf("sum %d, want 1", got)
	}
	if made, ended := s.probes.Constructed("a"), s.probes.Ended("a"); made != 3 || ended != 2 {
		t.Errorf("constructed %d times and ended %d; want 3 and 2: a failed constructor's hooks run", made, ended)
	}
}

func stateTooLarge(t *testing.T, s *setup) {
	s.add(t, "a", 1)
	err := s.play(t.Context(), "a", &behaviourv1.Script{Ballast: limit.MaxState})
	wantError(t, err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE, sdk.OutcomeNothingHappened)
	if got := s.add(t, "a", 1); got != 2 {
		t.Errorf("sum %d, want 2", got)
	}
}

// begin starts a call that waits at the gate of its name.
func (s *setup) begin(t *testing.T, id, gate string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.play(t.Context(), id, &behaviourv1.Script{Wait: gate}) }()
	return done
}

func turnsInOrder(t *testing.T, s *setup) {
	s.settle(t)
	first := s.begin(t, "a", "gate") // adds 1
	s.probes.Arrived("gate")
	var sums [5]int64
	var calls sync.WaitGroup
	for i, in := range []int64{10, 100, 1000, 10_000, 100_000} {
		calls.Go(func() { sums[i] = s.add(t, "a", in) })
		s.settle(t) // each call arrives before the next one is made
	}
	s.probes.Open("gate")
	calls.Wait()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if want := [5]int64{11, 111, 1111, 11_111, 111_111}; sums != want {
		t.Errorf("in order of arrival the turns saw the sums %v, want %v", sums, want)
	}
}

func viewsTogether(t *testing.T, s *setup) {
	read := func() {
		if _, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{Wait: "gate"}}); err != nil {
			t.Error(err)
		}
	}
	done := make(chan struct{})
	for range 3 {
		go func() {
			read()
			done <- struct{}{}
		}()
	}
	for range 3 {
		s.probes.Arrived("gate") // all are inside before any leaves
	}
	s.probes.Open("gate")
	for range 3 {
		<-done
	}
}

func turnNotStarved(t *testing.T, s *setup) {
	s.settle(t)
	done := make(chan struct{}, 2)
	read := func(gate string) {
		_, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{Wait: gate}})
		if err != nil {
			t.Error(err)
		}
		done <- struct{}{}
	}
	go read("first")
	s.probes.Arrived("first")
	turn := s.begin(t, "a", "turn")
	s.settle(t)
	go read("second")
	s.settle(t)
	s.probes.Open("first")
	s.probes.Arrived("turn") // the turn runs; the second view waits behind it
	select {
	case <-s.probes.gate("second").arrived:
		t.Error("a view overtook a turn")
	default:
	}
	s.probes.Open("turn")
	s.probes.Open("second")
	if err := <-turn; err != nil {
		t.Error(err)
	}
	<-done
	<-done
}

func queueBounded(t *testing.T, s *setup) {
	first := s.begin(t, "a", "gate")
	s.probes.Arrived("gate")
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- s.play(t.Context(), "a", nil) }()
	}
	for range 12 { // 20 calls, 8 places
		err := <-results
		wantError(t, err, connect.CodeResourceExhausted, francisv1.Reason_REASON_QUEUE_FULL, sdk.OutcomeNothingHappened)
		if !sdk.Retryable(err) || sdk.RetryAfter(err) <= 0 {
			t.Errorf("retryable %v after %v; want advice to try again", sdk.Retryable(err), sdk.RetryAfter(err))
		}
	}
	s.probes.Open("gate")
	if err := <-first; err != nil {
		t.Error(err)
	}
	for range 8 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	s.wantSum(t, "a", 9)
}
