package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/sdk"
)

// pages is a caller that answers with the pages that it has, by what they come after.
type pages struct {
	sdk.Caller

	of   map[string]*runtimev1.ListActorsResponse
	asks []*runtimev1.ListActorsRequest
}

func (p *pages) ListActors(_ context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	p.asks = append(p.asks, proto.CloneOf(req))
	if page := p.of[req.GetAfter()]; page != nil {
		return page, nil
	}
	return nil, errors.New("the runtime is away")
}

// three are pages of which the second one is empty.
func three() *pages {
	info := func(id string) *runtimev1.ListedActor { return &runtimev1.ListedActor{Id: id, Version: 3, Size: 7} }
	return &pages{of: map[string]*runtimev1.ListActorsResponse{
		"":  {Actors: []*runtimev1.ListedActor{info("a"), info("b")}, Next: "b"},
		"b": {Next: "m"},
		"m": {Actors: []*runtimev1.ListedActor{info("n")}},
	}}
}

func TestListActors(t *testing.T) {
	t.Parallel()
	caller := three()
	list := sdk.ListActors(t.Context(), caller, "cart")
	for range 2 { // each loop begins anew
		var got []sdk.ActorInfo
		for actor, err := range list {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, actor)
		}
		want := []sdk.ActorInfo{{"a", 3, 7}, {"b", 3, 7}, {"n", 3, 7}}
		if !slices.Equal(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
	}
	var asked []string
	for _, req := range caller.asks {
		asked = append(asked, fmt.Sprintf("%s after %q: %d", req.GetType(), req.GetAfter(), req.GetLimit()))
	}
	want := []string{`cart after "": 0`, `cart after "b": 1000`, `cart after "m": 1000`}
	if want = append(want, want...); !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestListActorsOptions(t *testing.T) {
	t.Parallel()
	caller := three()
	for _, err := range sdk.ListActors(t.Context(), caller, "cart", sdk.WithIDPrefix("n"), sdk.StartAfter("b")) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(caller.asks[0].GetPrefix(), caller.asks[0].GetAfter(), caller.asks[1].GetPrefix(), caller.asks[1].GetAfter()); got != "nbnm" {
		t.Errorf("the pages were asked for as %s", got)
	}
}

func TestListActorsStopsEarly(t *testing.T) {
	t.Parallel()
	caller := three()
	for actor := range sdk.ListActors(t.Context(), caller, "cart") {
		if actor.ID == "b" {
			break
		}
	}
	if len(caller.asks) != 1 {
		t.Errorf("%d pages were read for a loop that ended in the first", len(caller.asks))
	}
}

func TestListActorsFails(t *testing.T) {
	t.Parallel()
	caller := three()
	delete(caller.of, "m")
	var ids []string
	var failed error
	for actor, err := range sdk.ListActors(t.Context(), caller, "cart") {
		if failed = err; err == nil {
			ids = append(ids, actor.ID)
		}
	}
	if failed == nil || !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("listed %q and failed with %v; want a and b, and then the error", ids, failed)
	}
	for _, err := range sdk.ListActors(t.Context(), nil, "cart") {
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("a list without a caller: %v", err)
		}
	}
}

func TestGatewayListsNoActors(t *testing.T) {
	t.Parallel()
	for _, err := range sdk.ListActors(t.Context(), sdk.Gateway(nil, "http://localhost"), "cart") {
		if connect.CodeOf(err) != connect.CodePermissionDenied || sdk.Retryable(err) {
			t.Errorf("a list through a gateway: %v", err)
		}
		return
	}
	t.Error("a list through a gateway is empty; want an error")
}
