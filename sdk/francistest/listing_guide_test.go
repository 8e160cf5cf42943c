package francistest_test

import (
	"testing"

	"connectrpc.com/connect/v2"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

func TestListGuide(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"eu-2", "us-1", "eu-1"} {
		if _, err := myactorv1francis.NewMyActorProxy(host.Service(), id).Increment(t.Context(), &myactorv1.IncrementRequest{In: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for actor, err := range sdk.ListActors(t.Context(), host.Service(), "myactor", sdk.WithIDPrefix("eu-")) {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(actor.ID, actor.Version, actor.StateSize)
	}
	var ids []string
	for actor := range sdk.ListActors(t.Context(), host.Service(), "myactor", sdk.StartAfter("eu-1")) {
		ids = append(ids, actor.ID)
	}
	if len(ids) != 2 || ids[0] != "eu-2" || ids[1] != "us-1" {
		t.Errorf("behind eu-1 are listed %q", ids)
	}
}

func TestHaltGuide(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
		t.Fatal(err)
	}
	proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
	if _, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: 1}); err != nil {
		t.Fatal(err)
	}
	if err := sdk.Halt(t.Context(), proxy.Ref); err != nil {
		t.Fatal(err)
	}
	_, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: 1}, sdk.OnlyIfActive())
	if err != nil && connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Fatal(err)
	}
	if err == nil {
		t.Error("an actor that was halted is in memory")
	}
}
