package cluster

import (
	"context"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Driver holds a table.
type Driver interface {
	// Change makes what a transition returns durable and applies it, with no other
	// change between, and returns the counter after it. When it returns an error the
	// transition may still run, now or later; the caller then leaves alone what the
	// transition writes.
	Change(ctx context.Context, transition func(*Table) (Change, error)) (store.Counter, error)
	// Read shows the table between two changes.
	Read(read func(*Table)) error
}

// Keeper is store.Members and store.Placement over a driver, but for Forget, which
// also concerns records; and it tells the identity and the time of the store.
type Keeper struct {
	driver Driver
	now    func() time.Time
}

// NewKeeper keeps the table of a driver, by whose clock the dead are forgotten.
func NewKeeper(driver Driver, now func() time.Time) Keeper { return Keeper{driver: driver, now: now} }

// Cluster implements store.Store.
func (k Keeper) Cluster(context.Context) (cluster store.Cluster, err error) {
	err = k.driver.Read(func(t *Table) { cluster = t.Cluster })
	return cluster, err
}

// Now implements store.Store.
func (k Keeper) Now(ctx context.Context) (now time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	err = k.driver.Read(func(*Table) { now = k.now() })
	return now, err
}

// AddWorker implements store.Members.
func (k Keeper) AddWorker(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	return k.driver.Change(ctx, func(t *Table) (Change, error) { return t.Add(worker) })
}

// Announce implements store.Members.
func (k Keeper) Announce(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	return k.driver.Change(ctx, func(t *Table) (Change, error) { return t.Announce(worker) })
}

// SetLeaving implements store.Members.
func (k Keeper) SetLeaving(ctx context.Context, worker string) (store.Placed, error) {
	return k.place(ctx, func(t *Table) (Change, error) { return t.SetLeaving(worker) })
}

// Beat implements store.Members.
func (k Keeper) Beat(ctx context.Context, worker string) error {
	_, err := k.driver.Change(ctx, func(t *Table) (Change, error) { return t.Beat(worker) })
	return err
}

// Workers implements store.Members.
func (k Keeper) Workers(context.Context) (members []store.Member, err error) {
	err = k.driver.Read(func(t *Table) { members = t.Members() })
	return members, err
}

// DeclareDead implements store.Members.
func (k Keeper) DeclareDead(ctx context.Context, worker string, beat uint64, heirs []store.Assignment) (bool, store.Placed, error) {
	return k.decree(ctx, func(t *Table) Change { return t.DeclareDead(worker, beat, heirs, k.now()) })
}

// Evict implements store.Members.
func (k Keeper) Evict(ctx context.Context, worker string, heirs []store.Assignment) (bool, store.Placed, error) {
	return k.decree(ctx, func(t *Table) Change { return t.Evict(worker, heirs, k.now()) })
}

// Regenerate implements store.Members.
func (k Keeper) Regenerate(ctx context.Context, seen store.Point) (bool, store.Placed, error) {
	var happened bool
	placed, err := k.place(ctx, func(t *Table) (Change, error) {
		change := t.Regenerate(seen, k.now())
		happened = change.Generation != nil
		return change, nil
	})
	if err != nil {
		return false, store.Placed{}, err
	}
	return happened, placed, nil
}

// RegisterType implements store.Placement.
func (k Keeper) RegisterType(ctx context.Context, typ *runtimev1.ActorType, shards uint32) (store.Type, store.Placed, error) {
	var registered store.Type
	placed, err := k.place(ctx, func(t *Table) (Change, error) {
		change, err := t.Register(typ, shards)
		registered = t.kinds[typ.GetName()].public()
		if len(change.Types) > 0 {
			registered = change.Types[0]
		}
		return change, err
	})
	if err != nil {
		return store.Type{}, store.Placed{}, err
	}
	return registered, placed, nil
}

// Types implements store.Placement.
func (k Keeper) Types(context.Context) (types []store.Type, err error) {
	err = k.driver.Read(func(t *Table) { types = t.Types() })
	return types, err
}

// Shards implements store.Placement.
func (k Keeper) Shards(context.Context) (placed store.Placed, err error) {
	err = k.driver.Read(func(t *Table) { placed = store.Placed{Shards: t.Shards(), Counter: t.Cluster.Counter} })
	return placed, err
}

// Assign implements store.Placement.
func (k Keeper) Assign(ctx context.Context, assignments []store.Assignment) (store.Placed, error) {
	return k.place(ctx, func(t *Table) (Change, error) { return t.Assign(assignments), nil })
}

// Release implements store.Placement.
func (k Keeper) Release(ctx context.Context, worker string, releases []*runtimev1.ReleaseRequest_Release) (store.Placed, error) {
	var now []*runtimev1.Shard
	counter, err := k.driver.Change(ctx, func(t *Table) (change Change, _ error) {
		change, now = t.Release(worker, releases)
		return change, nil
	})
	if err != nil {
		return store.Placed{}, err
	}
	return store.Placed{Shards: now, Counter: counter}, nil
}

// place returns the shards that a transition changes.
func (k Keeper) place(ctx context.Context, transition func(*Table) (Change, error)) (store.Placed, error) {
	var shards []*runtimev1.Shard
	counter, err := k.driver.Change(ctx, func(t *Table) (Change, error) {
		change, err := transition(t)
		shards = change.Shards
		return change, err
	})
	if err != nil {
		return store.Placed{}, err
	}
	return store.Placed{Shards: shards, Counter: counter}, nil
}

// decree returns whether a transition made somebody dead, and the shards it moved.
func (k Keeper) decree(ctx context.Context, transition func(*Table) Change) (bool, store.Placed, error) {
	var happened bool
	placed, err := k.place(ctx, func(t *Table) (Change, error) {
		change := transition(t)
		happened = len(change.Members) > 0
		return change, nil
	})
	if err != nil {
		return false, store.Placed{}, err
	}
	return happened, placed, nil
}
