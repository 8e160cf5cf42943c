package engine

import (
	"context"
	"errors"
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/store"
)

// errRefused means that the store took nothing of a plan that was made of what it
// says itself.
var errRefused = errors.New("the store refused the whole plan")

// plan reads the store and then plans whenever something has changed.
func (e *Engine) plan(ctx context.Context) {
	for !e.load(ctx) {
		if !deadline.Sleep(ctx, retryInterval) {
			return
		}
	}
	for e.settleOrRetry(ctx) {
		select {
		case <-ctx.Done():
		case <-e.woken:
		}
	}
}

// load reads the store for the first time, and reports whether it could.
func (e *Engine) load(ctx context.Context) bool {
	if err := e.read(ctx); err != nil {
		if ctx.Err() == nil {
			e.log.Error("the store cannot be read; nothing is placed until it can", "error", err)
		}
		return false
	}
	close(e.loaded)
	return true
}

// settleOrRetry settles the placement, if need be in several attempts. It reports
// whether ctx goes on.
func (e *Engine) settleOrRetry(ctx context.Context) bool {
	for {
		err := e.settle(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		e.log.Warn("the shards could not be placed; it is tried again", "error", err, "after", retryInterval)
		e.doubtful.Store(true)
		if !deadline.Sleep(ctx, retryInterval) {
			return false
		}
	}
}

// settle plans until nothing is left to do.
func (e *Engine) settle(ctx context.Context) error {
	if err := e.planning.take(ctx); err != nil {
		return err
	}
	defer e.planning.give()
	if e.doubtful.Swap(false) {
		if err := e.read(ctx); err != nil {
			return err
		}
	}
	for {
		table := e.board.table()
		plan := table.Plan(e.cfg.MovesInFlight)
		if len(plan) == 0 {
			return nil
		}
		if err := e.carryOut(ctx, table, plan); err != nil {
			return err
		}
	}
}

// carryOut writes the plan for a table. When the store takes nothing of it, the table
// was old.
func (e *Engine) carryOut(ctx context.Context, table *placement.Table, plan []placement.Assignment) error {
	placed, err := e.store.Assign(ctx, assignments(plan))
	if err != nil {
		return fmt.Errorf("assign %d shards: %w", len(plan), err)
	}
	if e.board.merge(shardsOf(placed)) {
		e.log.Debug("shards were assigned", "shards", len(placed.Shards))
		return nil
	}
	if err := e.read(ctx); err != nil {
		return err
	}
	if e.board.table() == table {
		return errRefused
	}
	return nil
}

// read takes over what the store holds.
func (e *Engine) read(ctx context.Context) error {
	if err := e.reading.take(ctx); err != nil {
		return err
	}
	defer e.reading.give()
	counter := e.board.counter()
	types, err := e.readTypes(ctx)
	if err != nil {
		return err
	}
	members, err := e.store.Workers(ctx)
	if err != nil {
		return fmt.Errorf("read the workers: %w", err)
	}
	shards, err := e.store.Shards(ctx)
	if err != nil {
		return fmt.Errorf("read the shards: %w", err)
	}
	e.board.merge(placement.Change{Counter: counter, Types: types})
	e.board.members(counter, living(members))
	e.board.merge(shardsOf(shards))
	return nil
}

func (e *Engine) readTypes(ctx context.Context) ([]*runtimev1.ActorType, error) {
	stored, err := e.store.Types(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the actor types: %w", err)
	}
	types := make([]*runtimev1.ActorType, len(stored))
	for i, typ := range stored {
		if typ.Shards != placement.Shards {
			return nil, fmt.Errorf("actor type %q has %d shards in the store; this release knows only %d", typ.Type.GetName(), typ.Shards, placement.Shards)
		}
		types[i] = typ.Type
	}
	return types, nil
}

func living(members []store.Member) []*runtimev1.Worker {
	var living []*runtimev1.Worker
	for _, member := range members {
		if member.Alive {
			living = append(living, member.Worker)
		}
	}
	return living
}

func shardsOf(placed store.Placed) placement.Change {
	return placement.Change{Counter: uint64(placed.Counter), Shards: placed.Shards}
}

func assignments(plan []placement.Assignment) []store.Assignment {
	assignments := make([]store.Assignment, len(plan))
	for i, a := range plan {
		assignments[i] = store.Assignment{
			Type: a.Shard.GetType(), Shard: a.Shard.GetShard(), Epoch: a.Shard.GetEpoch(), Worker: a.Worker,
		}
	}
	return assignments
}
