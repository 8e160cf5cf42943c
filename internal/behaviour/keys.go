package behaviour

import (
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// addOnce calls Add(in) with an idempotency key.
func (s *setup) addOnce(t *testing.T, id, key string, in int64) (int64, error) {
	t.Helper()
	res, err := s.probe(id).Add(t.Context(), &behaviourv1.AddRequest{In: in}, sdk.WithIdempotencyKey(key))
	return res.GetSum(), err
}

func (s *setup) wantOnce(t *testing.T, id, key string, in, want int64) {
	t.Helper()
	if got, err := s.addOnce(t, id, key, in); err != nil || got != want {
		t.Errorf("Add(%d) to %s with the key %q: %d, %v; want %d", in, id, key, got, err, want)
	}
}

func keyRepeats(t *testing.T, s *setup) {
	s.wantOnce(t, "a", "k1", 1, 1)
	s.add(t, "a", 10)
	s.wantOnce(t, "a", "k1", 1, 1)
	s.wantOnce(t, "a", "k2", 1, 12)
	s.wantOnce(t, "a", "k1", 1, 1)
	s.wantOnce(t, "b", "k1", 1, 1)
	s.wantOnce(t, "a", "nothing changes", 0, 12)
	s.add(t, "a", 1)
	s.wantOnce(t, "a", "nothing changes", 0, 12)
	s.wantSum(t, "a", 13)
}

// keyConcurrent is what fails where keys are not looked at (G7).
func keyConcurrent(t *testing.T, s *setup) {
	const keys, times = 2, 3
	var calls sync.WaitGroup
	for key := range keys {
		for range times {
			calls.Go(func() {
				if _, err := s.addOnce(t, "a", strings.Repeat("k", key+1), 1); err != nil {
					t.Error(err)
				}
			})
		}
	}
	calls.Wait()
	s.wantSum(t, "a", keys)
}

func keyConflicts(t *testing.T, s *setup) {
	s.wantOnce(t, "a", "k", 1, 1)
	_, err := s.addOnce(t, "a", "k", 2)
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY, sdk.OutcomeNothingHappened)
	_, err = s.probe("a").Impatient(t.Context(), &behaviourv1.ImpatientRequest{}, sdk.WithIdempotencyKey("k"))
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY, sdk.OutcomeNothingHappened)
	s.wantSum(t, "a", 1)
}

func keyFailure(t *testing.T, s *setup) {
	req := &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{FailCode: int32(connect.CodeAborted)}}
	for range 2 {
		_, err := s.probe("a").Add(t.Context(), req, sdk.WithIdempotencyKey("k"))
		wantError(t, err, connect.CodeAborted, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	}
	s.wantOnce(t, "a", "k", 5, 5)
}

func keyOutlives(t *testing.T, s *setup) {
	s.wantOnce(t, "a", "k", 1, 1)
	s.halt(t, "a")
	s.wantOnce(t, "a", "k", 1, 1)
	_, err := s.addOnce(t, "a", "k", 2)
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY, sdk.OutcomeNothingHappened)
	s.wantSum(t, "a", 1)
}

func keyOfView(t *testing.T, s *setup) {
	for want := range int64(2) {
		res, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{}, sdk.WithIdempotencyKey("k"))
		if err != nil || res.GetSum() != want {
			t.Errorf("the view says %d, %v; want %d", res.GetSum(), err, want)
		}
		s.add(t, "a", 1)
	}
}

func keyStateless(t *testing.T, s *setup) {
	relay := behaviourv1francis.NewRelayActorProxy(s.host.Service(), "r")
	for range 3 {
		res, err := relay.Send(t.Context(), &behaviourv1.SendRequest{Probe: "a", In: 1}, sdk.WithIdempotencyKey("k"))
		if err != nil || res.GetSum() != 1 {
			t.Errorf("the relay answered %d, %v; want 1", res.GetSum(), err)
		}
	}
	s.wantSum(t, "a", 1)
}

func keyMalformed(t *testing.T, s *setup) {
	for _, key := range []string{"", " ", "ü", "a\n", strings.Repeat("k", 256)} {
		_, err := s.addOnce(t, "a", key, 1)
		wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY, sdk.OutcomeNothingHappened)
	}
	s.wantOnce(t, "a", strings.Repeat("k", 255), 1, 1)
}
