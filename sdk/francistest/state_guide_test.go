package francistest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// The tests in this file are the examples of docs/state.md.

// leaver is a counter that deletes itself when nothing is added.
type leaver struct {
	myactorv1francis.UnimplementedMyActor
}

func (leaver) Increment(ctx context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	if req.GetIn() == 0 { // the last word
		return &myactorv1.IncrementResponse{}, turn.Delete(ctx)
	}
	turn.State().Counter += req.GetIn()
	return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
}

func TestDeleteGuide(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	err := myactorv1francis.RegisterMyActor(host, func(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
		return leaver{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
	increment := func(in, want int32) {
		t.Helper()
		res, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: in})
		if err != nil || res.GetOut() != want {
			t.Errorf("got %v, %v; want %d", res, err, want)
		}
	}
	increment(42, 42)
	increment(0, 0)
	increment(1, 1)
	if err := sdk.Delete(t.Context(), proxy.Ref); err != nil {
		t.Fatal(err)
	}
	increment(2, 2)
}

func TestExpiryGuide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := francistest.Start(t)
		if err := myactorv1francis.RegisterMyActor(host, newCounter, sdk.WithStateTTL(time.Hour), sdk.WithIdleTimeout(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
		increment := func(in, want int32) {
			t.Helper()
			res, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: in})
			if err != nil || res.GetOut() != want {
				t.Errorf("got %v, %v; want %d", res, err, want)
			}
		}
		increment(1, 1)
		time.Sleep(time.Hour - 1)
		increment(1, 2) // and another hour
		time.Sleep(time.Hour - 1)
		increment(0, 2) // no record
		time.Sleep(1)
		increment(0, 0)
		increment(1, 1)

		time.Sleep(time.Hour) // virtual: the state expires, at once

		increment(1, 1)
	})
}
