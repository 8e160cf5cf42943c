package engine

import (
	"context"
	"fmt"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store"
)

// judge reads the beats at each tick and declares dead who has none any more.
func (e *Engine) judge(ctx context.Context) {
	tick, start := lease.Tick(e.cfg.Lease), time.Now()
	judge := lease.NewJudge(tick)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := e.sit(ctx, judge, func() time.Duration { return time.Since(start) })
		if err != nil && !failing && ctx.Err() == nil {
			e.log.Warn("the workers cannot be judged; nobody is declared dead meanwhile", "error", err)
		}
		failing = err != nil
	}
}

// sit is one session of the judge, by its own clock.
func (e *Engine) sit(ctx context.Context, judge *lease.Judge, now func() time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Lease)
	defer cancel()
	reading, err := e.look(ctx, now)
	if err != nil {
		return err
	}
	return e.execute(ctx, judge.Read(reading))
}

// look reads the beats. What else the reading says of the members goes to the board.
func (e *Engine) look(ctx context.Context, now func() time.Duration) (lease.Reading, error) {
	if err := e.reading.take(ctx); err != nil {
		return lease.Reading{}, err
	}
	defer e.reading.give()
	counter, began := e.board.counter(), now()
	members, err := e.store.Workers(ctx)
	if err != nil {
		return lease.Reading{}, fmt.Errorf("read the beats: %w", err)
	}
	reading := lease.Reading{Began: began, Ended: now(), Signs: e.signs(members)}
	if e.board.members(counter, living(members)) {
		e.wake()
	}
	return reading, nil
}

func (e *Engine) signs(members []store.Member) []lease.Sign {
	var signs []lease.Sign
	for _, member := range members {
		if member.Alive {
			signs = append(signs, lease.Sign{Worker: member.Worker.GetId(), Beat: member.Beat, Lease: e.leaseOf(member.Worker)})
		}
	}
	return signs
}

// leaseOf is the lease that a worker was told when it joined.
func (e *Engine) leaseOf(worker *runtimev1.Worker) time.Duration {
	if worker.GetLease() == nil {
		return e.cfg.Lease
	}
	return worker.GetLease().AsDuration()
}

// execute carries decrees out. The shards of each worker go straight to the living.
func (e *Engine) execute(ctx context.Context, decrees []lease.Decree) error {
	doomed := make([]string, len(decrees))
	for i, decree := range decrees {
		doomed[i] = decree.Worker
	}
	for _, decree := range decrees {
		heirs := assignments(e.board.table().Heirs(decree.Worker, doomed))
		happened, placed, err := e.store.DeclareDead(ctx, decree.Worker, decree.Beat, heirs)
		if err != nil {
			e.doubt()
			return fmt.Errorf("declare worker %s dead: %w", decree.Worker, err)
		}
		if happened {
			e.bury(decree.Worker, placed)
			e.log.Warn("a worker was declared dead: it has not renewed its lease", "worker", decree.Worker, "shards", len(placed.Shards))
		}
	}
	return nil
}

// bury takes a death over.
func (e *Engine) bury(worker string, placed store.Placed) {
	e.merge(placement.Change{Counter: uint64(placed.Counter), Shards: placed.Shards, Gone: []string{worker}})
}
