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
type increments struct{ actors int }

// embedded measures them in this process.
func (i increments) embedded(ctx context.Context, l *lab, callers int) (result, error) {
	path, tally := l.newPath("increments.db"), make(tally, i.actors)
	res, err := embedded(ctx, path, func(caller sdk.Caller, _ []*child) (result, error) {
		return tally.measure(ctx, caller, work{callers: callers, span: l.cfg.span})
	})
	return res, errors.Join(err, tally.check(ctx, path))
}

// acrossWorkers measures them on another worker, with the runtime in a third process.
func (i increments) acrossWorkers(ctx context.Context, l *lab, callers int) (result, error) {
	path, tally := l.newPath("increments.db"), make(tally, i.actors)
	res, err := l.acrossWorkers(ctx, path, func(caller sdk.Caller, children []*child) (result, error) {
		return tally.measure(ctx, caller, work{callers: callers, span: l.cfg.span, children: children})
	})
	return res, errors.Join(err, tally.check(ctx, path))
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

// check wants exactly what was acknowledged in the file, whose processes have ended.
func (t tally) check(ctx context.Context, path string) error {
	_, err := embedded(ctx, path, func(caller sdk.Caller, _ []*child) (result, error) {
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
