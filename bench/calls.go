package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// counter is the actor of all rows.
type counter struct {
	myactorv1francis.UnimplementedMyActor
}

// activations counts the counters that were made in this process.
var activations atomic.Int64

func newCounter(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	activations.Add(1)
	return &counter{}, nil
}

// Increment adds; adding nothing is a turn that changes nothing.
func (*counter) Increment(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	if req.GetIn() != 0 {
		turn.State().Counter += req.GetIn()
	}
	out := turn.State().GetCounter()
	return &myactorv1.IncrementResponse{Out: &out}, nil
}

// Get returns what was counted.
func (*counter) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	out := view.State().GetCounter()
	return &myactorv1.GetResponse{Out: &out}, nil
}

// roundTrip measures a hand-off between two goroutines and back.
func roundTrip(ctx context.Context, l *lab, callers int) (result, error) {
	there, back := make(chan int), make(chan int)
	defer close(there)
	go func() {
		for n := range there {
			back <- n
		}
	}()
	return work{callers: callers, span: l.cfg.span, op: func(_, n int) error {
		there <- n
		if got := <-back; got != n {
			return fmt.Errorf("%d came back as %d", n, got)
		}
		return nil
	}}.measure(ctx)
}

// calls are calls of turns that change nothing.
type calls struct {
	// actors is how many there are.
	actors int
	// timeout is the deadline of a call; 0 is none.
	timeout time.Duration
}

// inProcess measures calls of actors in this process.
func (c calls) inProcess(ctx context.Context, l *lab, callers int) (res result, err error) {
	host, err := francistest.NewHost(francistest.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return result{}, err
	}
	if err := myactorv1francis.RegisterMyActor(host, newCounter, sdk.WithIdleTimeout(time.Hour)); err != nil {
		return result{}, err
	}
	drained, drain := context.WithCancel(context.Background())
	defer func() {
		drain()
		err = errors.Join(err, host.Run(drained))
	}()
	return c.measure(ctx, host.Service(), work{callers: callers, span: l.cfg.span})
}

// acrossWorkers measures calls of actors on another worker.
func (c calls) acrossWorkers(ctx context.Context, l *lab, callers int) (result, error) {
	return l.acrossWorkers(ctx, l.newPath("calls.db"), func(caller sdk.Caller, children []process) (result, error) {
		return c.measure(ctx, caller, work{callers: callers, span: l.cfg.span, children: children})
	})
}

// measure seeds the actors, each with a number of its own, and measures calls that
// must answer with it.
func (c calls) measure(ctx context.Context, caller sdk.Caller, w work) (result, error) {
	proxies := make([]myactorv1francis.MyActorProxy, c.actors)
	for i := range proxies {
		proxies[i] = myactorv1francis.NewMyActorProxy(caller, actorID(i))
		if _, err := proxies[i].Increment(ctx, &myactorv1.IncrementRequest{In: int32(i + 1)}); err != nil {
			return result{}, fmt.Errorf("seed actor %d: %w", i, err)
		}
	}
	w.op = func(caller, n int) error {
		ctx := context.Background()
		if c.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, c.timeout)
			defer cancel()
		}
		i := (n*w.callers + caller) % len(proxies)
		res, err := proxies[i].Increment(ctx, &myactorv1.IncrementRequest{})
		if err == nil && res.GetOut() != int32(i+1) {
			err = fmt.Errorf("actor %d answers %d, want %d", i, res.GetOut(), i+1)
		}
		return err
	}
	return w.measure(ctx)
}
