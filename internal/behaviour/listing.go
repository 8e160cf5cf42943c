package behaviour

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/sdk"
)

// wantActors checks which actors of a type are listed.
func (s *setup) wantActors(t *testing.T, typ string, want []string, opts ...sdk.ListOption) {
	t.Helper()
	got := []string{}
	for actor, err := range sdk.ListActors(t.Context(), s.host.Service(), typ, opts...) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, actor.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the list of %s has %q, want %q", typ, got, want)
	}
}

func actorsListed(t *testing.T, s *setup) {
	s.wantActors(t, "probe", []string{})
	for _, id := range []string{"b2", "c", "é", "a", "b1"} {
		s.add(t, id, 1)
	}
	s.add(t, "c", 1)
	s.read(t, "only read")
	s.wantActors(t, "probe", []string{"a", "b1", "b2", "c", "é"})
	s.wantActors(t, "probe", []string{"b1", "b2"}, sdk.WithIDPrefix("b"))
	s.wantActors(t, "probe", []string{"b2", "c", "é"}, sdk.StartAfter("b1"))
	s.wantActors(t, "probe", []string{"b2"}, sdk.WithIDPrefix("b"), sdk.StartAfter("b1"))
	s.wantActors(t, "relay", []string{})
	want := sdk.ActorInfo{ID: "c", Version: 2, StateSize: uint64(proto.Size(&behaviourv1.ProbeState{Sum: 2}))}
	for actor, err := range sdk.ListActors(t.Context(), s.host.Service(), "probe", sdk.WithIDPrefix("c")) {
		if err != nil || actor != want {
			t.Errorf("listed %+v, error %v; want %+v", actor, err, want)
		}
	}
	for i := range 110 { // more than the first page has
		s.add(t, fmt.Sprintf("m%03d", i), 1)
	}
	listed := 0
	for _, err := range sdk.ListActors(t.Context(), s.host.Service(), "probe", sdk.WithIDPrefix("m")) {
		if err != nil {
			t.Fatal(err)
		}
		listed++
	}
	if listed != 110 {
		t.Errorf("listed %d actors, want 110", listed)
	}
}

func unknownTypeListed(t *testing.T, s *setup) {
	for _, err := range sdk.ListActors(t.Context(), s.host.Service(), "prob") {
		wantError(t, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TYPE, sdk.OutcomeNothingHappened)
		return
	}
	t.Error("the list of a type that nobody knows is empty; want an error")
}
