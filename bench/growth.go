package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/francis-actors/francis/bench/internal/load"
	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/sdk"
)

// collections is how many times as long these rows are measured: so that the garbage of
// a million actors is collected in that time, as it is of a thousand.
const collections = 8

// warm are calls of stored actors that are in memory, on another worker.
type warm struct {
	// part of the stored actors are called: one of so many.
	part int
}

func (w warm) measure(ctx context.Context, l *lab, callers int) (result, error) {
	path, err := l.stored(ctx)
	if err != nil {
		return result{}, err
	}
	count := l.cfg.stored / w.part
	return l.acrossWorkers(ctx, path, func(caller sdk.Caller, children []process) (result, error) {
		if err := callEach(count, func(n int) error { return callStored(caller, n) }); err != nil {
			return result{}, err
		}
		return work{callers: callers, span: collections * l.cfg.span, children: children, op: func(at, n int) error {
			return callStored(caller, scattered(n*callers+at, count))
		}}.measure(ctx)
	})
}

// spread are calls of actors that live on so many other workers, each in a process.
type spread struct{ workers int }

func (s spread) measure(ctx context.Context, l *lab, callers int) (result, error) {
	return l.measureCluster(ctx, clusterSize{runtimes: 1, workers: s.workers}, l.newPath("spread.db"), func(caller sdk.Caller, children []process) (result, error) {
		return calls{actors: actors}.measure(ctx, caller, work{callers: callers, span: l.cfg.span, children: children})
	})
}

// settleTime bounds the wait until the actors have spread.
const settleTime = time.Minute

// settle calls all actors until they live on all workers, and stay.
func settle(ctx context.Context, caller sdk.Caller, workers []*child) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	proxies := proxiesOf(caller, actors)
	for before := -1; ctx.Err() == nil; {
		err := callEach(actors, func(n int) error {
			_, err := proxies[n].Get(ctx, &myactorv1.GetRequest{})
			return err
		})
		if err != nil {
			return err
		}
		sum, least := 0, actors
		for _, w := range workers {
			used, err := w.used()
			if err != nil {
				return err
			}
			sum, least = sum+used.Activations, min(least, used.Activations)
		}
		if sum == before && least >= actors/len(workers)/2 {
			return nil
		}
		before = sum
	}
	return fmt.Errorf("the actors have not spread to %d workers: %w", len(workers), ctx.Err())
}

const roleCrowd = "crowd"

// crowdOrders say who calls, and for how long.
type crowdOrders struct {
	Place   place         `json:"place"`
	Callers int           `json:"callers"`
	Span    time.Duration `json:"span"`
}

// crowd measures many callers through one host, which is in a process of its own with
// them, and the most memory that it has held.
func crowd(ctx context.Context, l *lab, callers int) (res result, err error) {
	c, ready, err := l.start(ctx, roleCrowd, crowdOrders{l.newPath("crowd.db"), callers, l.cfg.span})
	if err != nil {
		return result{}, err
	}
	return res, errors.Join(json.Unmarshal([]byte(ready), &res), c.stop())
}

// startCrowd measures, and says what came out.
func startCrowd(ctx context.Context, text []byte) (ready string, stop func() error, err error) {
	var orders crowdOrders
	if err := json.Unmarshal(text, &orders); err != nil {
		return "", nil, err
	}
	res, err := embedded(ctx, orders.Place, func(caller sdk.Caller, _ []process) (result, error) {
		work := work{callers: orders.Callers, span: orders.Span}
		return calls{actors: actors, timeout: time.Minute}.measure(ctx, caller, work)
	})
	if err != nil {
		return "", nil, err
	}
	res.RSS = float64(load.Peak())
	said, err := json.Marshal(res)
	return string(said), func() error { return nil }, err
}
