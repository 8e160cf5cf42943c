package francistest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// The tests in this file are the examples of docs/alarms-and-jobs.md.

func TestRemind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := francistest.Start(t)
		if err := myactorv1francis.RegisterMyActor(host, newThirsty); err != nil {
			t.Fatal(err)
		}
		proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
		daily := sdk.Cron("0 9 * * *", "Europe/Rome")
		if err := proxy.ScheduleRemind(t.Context(), "tea", daily, &myactorv1.RemindRequest{Text: "tea", In: 1}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(7 * 24 * time.Hour) // virtual: a week passes at once
		synctest.Wait()

		res, err := proxy.Get(t.Context(), &myactorv1.GetRequest{})
		if err != nil || res.GetOut() != 7 {
			t.Errorf("got %v, %v; want 7", res, err)
		}
	})
}

// thirsty is a counter that reminds itself, and passes every increment on.
type thirsty struct {
	myactorv1francis.UnimplementedMyActor
}

func newThirsty(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return thirsty{}, nil
}

func (thirsty) Increment(ctx context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	turn.State().Counter += req.GetIn()
	// The alarm is set if this turn is committed, and only then.
	err := turn.Self().ScheduleRemind(ctx, "drink", sdk.After(time.Hour), &myactorv1.RemindRequest{Text: "drink", In: 100})
	if err != nil {
		return nil, err
	}
	// So is this job of another actor.
	other := myactorv1francis.NewMyActorProxy(turn, "total")
	if _, err := other.EnqueueRemind(ctx, &myactorv1.RemindRequest{Text: turn.ID(), In: req.GetIn()}); err != nil {
		return nil, err
	}
	return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
}

func (thirsty) Remind(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.RemindRequest) (*myactorv1.RemindResponse, error) {
	if req.GetIn() < 0 {
		return nil, sdk.Permanent(connect.Errorf(connect.CodeInvalidArgument, "there is nothing to take away"))
	}
	turn.State().Counter += req.GetIn()
	return &myactorv1.RemindResponse{}, nil
}

func (thirsty) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	return &myactorv1.GetResponse{Out: proto.Int32(view.State().GetCounter())}, nil
}

func TestSelf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := francistest.Start(t)
		if err := myactorv1francis.RegisterMyActor(host, newThirsty); err != nil {
			t.Fatal(err)
		}
		proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
		for range 2 { // the second one replaces the alarm of the first
			if _, err := proxy.Increment(t.Context(), &myactorv1.IncrementRequest{In: 1}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for id, want := range map[string]int32{"id1": 102, "total": 2} {
			res, err := myactorv1francis.NewMyActorProxy(host.Service(), id).Get(t.Context(), &myactorv1.GetRequest{})
			if err != nil || res.GetOut() != want {
				t.Errorf("%s is %v, %v; want %d", id, res, err, want)
			}
		}
	})
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := francistest.Start(t)
		if err := myactorv1francis.RegisterMyActor(host, newThirsty); err != nil {
			t.Fatal(err)
		}
		proxy := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
		id, err := proxy.EnqueueRemind(t.Context(), &myactorv1.RemindRequest{In: -1})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		found := 0
		for letter, err := range proxy.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			found++
			if letter.Job != id || letter.Failures != 1 {
				t.Errorf("the dead letter is %+v", letter)
			}
			if err := proxy.DeleteDeadLetter(t.Context(), letter); err != nil {
				t.Error(err)
			}
		}
		if found != 1 {
			t.Errorf("%d dead letters", found)
		}
	})
}
