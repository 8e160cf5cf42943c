package francistest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// The tests in this file are the examples of docs/testing.md.

func TestIncrement(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
		t.Fatal(err)
	}
	proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
	for _, want := range []int32{42, 84} {
		res, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: 42})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetOut() != want {
			t.Errorf("the counter is %d, want %d", res.GetOut(), want)
		}
	}
}

func TestStateOutlivesActivation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := francistest.Start(t)
		if err := myactorv1francis.RegisterMyActor(host, newCounter, sdk.WithIdleTimeout(time.Hour)); err != nil {
			t.Fatal(err)
		}
		proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
		if _, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: 1}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(2 * time.Hour) // virtual: the activation is idle and ends, at once

		res, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: 1})
		if err != nil || res.GetOut() != 2 {
			t.Errorf("got %v, %v; want 2", res, err)
		}
	})
}

func TestAlarmComesDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := francistest.Start(t)
		if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
			t.Fatal(err)
		}
		proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
		daily := sdk.Cron("0 9 * * *", "Europe/Rome")
		if err := proxy.ScheduleIncrement(t.Context(), "daily", daily, &myactorv1.IncrementRequest{In: 1}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(7 * 24 * time.Hour) // virtual: a week of alarms, at once

		res, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{})
		if err != nil || res.GetOut() != 7 {
			t.Errorf("got %v, %v; want 7", res, err)
		}
	})
}

// full refuses every increment.
type full struct {
	myactorv1francis.UnimplementedMyActor
}

func (full) Increment(context.Context, myactorv1francis.MyActorTurn, *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	return nil, connect.NewError(connect.CodeResourceExhausted, "the counter is full")
}

func TestReplacedActor(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	newFull := func(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
		return full{}, nil
	}
	if err := myactorv1francis.RegisterMyActor(host, newFull); err != nil {
		t.Fatal(err)
	}
	_, err := myactorv1francis.NewMyActorProxy(host.Service(), "id1").Increment(t.Context(), &myactorv1.IncrementRequest{In: 1})
	if connect.CodeOf(err) != connect.CodeResourceExhausted || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
		t.Errorf("got the error %v", err)
	}
}
