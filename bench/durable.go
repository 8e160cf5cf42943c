package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
)

// increments are turns that add 1, of so many actors; each is durable when it is
// answered.
type increments struct {
	actors int
	// on is where they are kept.
	on storage
}

// embedded measures them in this process.
func (i increments) embedded(ctx context.Context, l *lab, callers int) (result, error) {
	return i.measure(ctx, l, callers, embedded)
}

// acrossWorkers measures them on another worker, with the runtime in a third process.
func (i increments) acrossWorkers(ctx context.Context, l *lab, callers int) (result, error) {
	return i.measure(ctx, l, callers, l.acrossWorkers)
}

// across measures them in a cluster.
func (i increments) across(size clusterSize) func(context.Context, *lab, int) (result, error) {
	return func(ctx context.Context, l *lab, callers int) (result, error) {
		return i.measure(ctx, l, callers, func(ctx context.Context, at place, measure measurement) (result, error) {
			return l.measureCluster(ctx, size, at, measure)
		})
	}
}

func (i increments) measure(ctx context.Context, l *lab, callers int, in topology) (result, error) {
	at, err := l.newPlace(ctx, i.on, "increments.db")
	if err != nil {
		return result{}, err
	}
	tally := make(tally, i.actors)
	res, err := in(ctx, at, func(caller sdk.Caller, children []process) (result, error) {
		return tally.measure(ctx, caller, work{callers: callers, span: l.cfg.span, children: children})
	})
	return res, errors.Join(err, tally.check(ctx, at))
}

// tally counts the increments of each actor that were acknowledged.
type tally []atomic.Int32

// measure measures increments of actors that are in memory already.
func (t tally) measure(ctx context.Context, caller sdk.Caller, w work) (result, error) {
	proxies := proxiesOf(caller, len(t))
	if err := t.compare(ctx, proxies); err != nil {
		return result{}, err
	}
	w.op = func(caller, n int) error {
		at := (n*w.callers + caller) % len(t)
		_, err := proxies[at].Increment(context.Background(), &myactorv1.IncrementRequest{In: 1})
		if err == nil {
			t[at].Add(1)
		}
		return err
	}
	return w.measure(ctx)
}

// check wants exactly what was acknowledged, where the processes have ended that kept it.
func (t tally) check(ctx context.Context, at place) error {
	_, err := embedded(ctx, at, func(caller sdk.Caller, _ []process) (result, error) {
		return result{}, t.compare(ctx, proxiesOf(caller, len(t)))
	})
	return err
}

// compare asks every actor what it has counted.
func (t tally) compare(ctx context.Context, proxies []myactorv1francis.MyActorProxy) error {
	for at, proxy := range proxies {
		res, err := proxy.Get(ctx, &myactorv1.GetRequest{})
		if err != nil {
			return err
		}
		if want := t[at].Load(); res.GetOut() != want {
			return fmt.Errorf("actor %d has counted %d; %d increments were acknowledged", at, res.GetOut(), want)
		}
	}
	return nil
}

// proxiesOf are the first actors.
func proxiesOf(caller sdk.Caller, count int) []myactorv1francis.MyActorProxy {
	proxies := make([]myactorv1francis.MyActorProxy, count)
	for i := range proxies {
		proxies[i] = myactorv1francis.NewMyActorProxy(caller, actorID(i))
	}
	return proxies
}
