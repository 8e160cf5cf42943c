package behaviour

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
)

func wantPath(t *testing.T, err error, path ...string) {
	t.Helper()
	if got := fault.Detail(err).GetPath(); !slices.Equal(got, path) {
		t.Errorf("path %q, want %q", got, path)
	}
}

func cycleFails(t *testing.T, s *setup) {
	err := s.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"b", "c", "a"}})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, sdk.OutcomeNothingHappened)
	wantPath(t, err, "probe/a", "probe/b", "probe/c", "probe/a")
	if text := "probe/a → probe/b → probe/c → probe/a"; !strings.Contains(err.Error(), text) {
		t.Errorf("the error %q does not show the path %q", err, text)
	}
	s.wantSum(t, "c", 0)
	if err := s.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"b", "c"}}); err != nil {
		t.Errorf("a chain without a cycle: %v", err)
	}
}

func cycleThroughService(t *testing.T, s *setup) {
	err := s.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"b", "a"}, CallService: true})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, sdk.OutcomeNothingHappened)
	wantPath(t, err, "probe/a", "probe/b", "probe/a")
}

func cycleOfViews(t *testing.T, s *setup) {
	_, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{Call: []string{"a"}, CallViews: true}})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, sdk.OutcomeNothingHappened)
	wantPath(t, err, "probe/a", "probe/a")
}

func chainTooDeep(t *testing.T, s *setup) {
	var path []string
	for i := range limit.ChainDepth {
		path = append(path, fmt.Sprintf("p%d", i+1))
	}
	if err := s.play(t.Context(), "p0", &behaviourv1.Script{Call: path[:limit.ChainDepth-1]}); err != nil {
		t.Errorf("a chain of %d: %v", limit.ChainDepth, err)
	}
	err := s.play(t.Context(), "p0", &behaviourv1.Script{Call: path})
	wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CHAIN_TOO_DEEP, sdk.OutcomeNothingHappened)
}

func viewCallsOnlyViews(t *testing.T, s *setup) {
	read := func(script *behaviourv1.Script) error {
		_, err := s.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{Script: script})
		return err
	}
	if err := read(&behaviourv1.Script{Call: []string{"b"}, CallViews: true}); err != nil {
		t.Errorf("a view that calls a view: %v", err)
	}
	for _, service := range []bool{false, true} {
		err := read(&behaviourv1.Script{Call: []string{"b"}, CallService: service})
		wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW, sdk.OutcomeNothingHappened)
	}
	s.wantSum(t, "b", 0)
}

func callerLeaves(t *testing.T, s *setup) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.play(ctx, "a", &behaviourv1.Script{Wait: "gate"}) }()
	s.probes.Arrived("gate")
	cancel()
	wantError(t, <-done, connect.CodeCanceled, francisv1.Reason_REASON_DEADLINE, sdk.OutcomeUnknown)
	s.probes.Open("gate")
	s.wantSum(t, "a", 1) // the method went on and was committed
}

func waitingCallLeaves(t *testing.T, s *setup) {
	first := s.begin(t, "a", "gate")
	s.probes.Arrived("gate")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.play(ctx, "a", nil) }()
	cancel()
	err := <-done
	outcome := sdk.OutcomeNothingHappened
	if s.Forwards && sdk.OutcomeOf(err) == sdk.OutcomeUnknown {
		outcome = sdk.OutcomeUnknown // it had left already
	}
	wantError(t, err, connect.CodeCanceled, francisv1.Reason_REASON_DEADLINE, outcome)
	s.probes.Open("gate")
	if err := <-first; err != nil {
		t.Error(err)
	}
	if outcome == sdk.OutcomeUnknown && s.read(t, "a").GetSum() == 2 {
		return // the gate was open before the other worker had heard that the caller has left
	}
	s.wantSum(t, "a", 1)
}

func errorKeepsCode(t *testing.T, s *setup) {
	err := s.play(t.Context(), "a", &behaviourv1.Script{FailCode: int32(connect.CodeOutOfRange)})
	wantError(t, err, connect.CodeOutOfRange, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	if want := "out_of_range: as told"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func plainErrorHidden(t *testing.T, s *setup) {
	for _, script := range []*behaviourv1.Script{{Fail: "secret"}, {Panic: "secret"}} {
		err := s.play(t.Context(), "a", script)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the text of the error travelled: %v", err)
		}
		if id := fault.Detail(err).GetCallId(); id == "" || !strings.Contains(err.Error(), id) {
			t.Errorf("the error does not say under which call it was logged: %v", err)
		}
	}
}

func idsChecked(t *testing.T, s *setup) {
	for _, id := range []string{"", ".", "..", " a", "a ", "a\n", "\xff", strings.Repeat("x", 513)} {
		err := s.play(t.Context(), id, nil)
		wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
	}
	for _, id := range []string{"a/b", "ü", "日本", "...", "a b", strings.Repeat("x", 512), "%2F"} {
		if err := s.play(t.Context(), id, nil); err != nil {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func idFieldCompleted(t *testing.T, s *setup) {
	req := &behaviourv1.SendRequest{Probe: "a", In: 3}
	res, err := behaviourv1francis.NewRelayActorProxy(s.host.Service(), "r1").Send(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if res.GetRelay() != "r1" || res.GetSum() != 3 {
		t.Errorf("relay %q, sum %d; want r1, 3", res.GetRelay(), res.GetSum())
	}
	if req.GetRelay() != "" {
		t.Error("the host wrote to the caller's request")
	}
	number, err := behaviourv1francis.NewRelayActorProxy(s.host.Service(), "17").Number(t.Context(), &behaviourv1.NumberRequest{})
	if err != nil || number.GetNumber() != 17 {
		t.Errorf("number %v, %v; want 17", number, err)
	}
}

func idFieldDisagrees(t *testing.T, s *setup) {
	r1 := behaviourv1francis.NewRelayActorProxy(s.host.Service(), "r1")
	_, err := r1.Send(t.Context(), &behaviourv1.SendRequest{Relay: "r2", Probe: "a"})
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
	for _, id := range []string{"r1", "017", "+17", "-1", "18446744073709551616"} {
		_, err := behaviourv1francis.NewRelayActorProxy(s.host.Service(), id).Number(t.Context(), &behaviourv1.NumberRequest{})
		wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
	}
	_, err = behaviourv1francis.NewRelayActorProxy(s.host.Service(), "17").Number(t.Context(), &behaviourv1.NumberRequest{Number: proto.Uint64(0)})
	wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
}

func metadataFollows(t *testing.T, s *setup) {
	ctx := sdk.WithMetadata(sdk.WithMetadata(t.Context(), "tenant", "acme"), "trace", "7")
	res, err := s.probe("a").Read(ctx, &behaviourv1.ReadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if res.GetMetadata()["tenant"] != "acme" || res.GetMetadata()["trace"] != "7" {
		t.Errorf("metadata %v, want tenant and trace", res.GetMetadata())
	}
}

func metadataBounded(t *testing.T, s *setup) {
	ctx := sdk.WithMetadata(t.Context(), "k", strings.Repeat("x", limit.MaxMetadata))
	_, err := s.probe("a").Read(ctx, &behaviourv1.ReadRequest{})
	wantError(t, err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE, sdk.OutcomeNothingHappened)
}

func unknownNames(t *testing.T, s *setup) {
	ref := sdk.NewRef(s.host.Service(), "prob", "a")
	_, err := sdk.CallTurn[behaviourv1.AddResponse](t.Context(), ref, "/behaviour.v1.ProbeActor/Add", &behaviourv1.AddRequest{})
	wantError(t, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TYPE, sdk.OutcomeNothingHappened)
	ref = sdk.NewRef(s.host.Service(), "probe", "a")
	_, err = sdk.CallTurn[behaviourv1.AddResponse](t.Context(), ref, "/behaviour.v1.ProbeActor/Ad", &behaviourv1.AddRequest{})
	wantError(t, err, connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD, sdk.OutcomeNothingHappened)
}
