package store

import (
	"context"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Members keeps the workers of the cluster.
type Members interface {
	// AddWorker adds a worker, alive, with no beat. Its id must be fresh: one that
	// the store knows, dead or alive, is ErrWorkerExists.
	AddWorker(ctx context.Context, worker *runtimev1.Worker) (Counter, error)
	// Announce replaces the address and the types of a worker. What it says about
	// leaving is not looked at. A dead or unknown worker is ErrDead.
	Announce(ctx context.Context, worker *runtimev1.Worker) (Counter, error)
	// SetLeaving marks a worker as leaving, for good: it is given no shards any
	// more, and is the next owner of none. A dead or unknown worker is ErrDead.
	SetLeaving(ctx context.Context, worker string) (Placed, error)
	// Beat adds 1 to the beat of a worker. A dead or unknown worker is ErrDead. Beats
	// are compared, never interpreted: a store that one runtime has alone may keep
	// them in memory, and then they begin at 0 when it is opened. So a beat succeeds
	// also while the disk is full.
	Beat(ctx context.Context, worker string) error
	// Workers returns all workers that were not forgotten, dead ones too, by id.
	Workers(ctx context.Context) ([]Member, error)
	// DeclareDead marks a worker as dead, if it is alive and its beat is still the
	// given one, and moves all its shards to the next epoch, in one transaction. A
	// shard goes to the heir that names it at its epoch; without one, to its next
	// owner; without that, or to somebody who is dead or leaving, to nobody. It
	// returns whether it happened.
	DeclareDead(ctx context.Context, worker string, beat uint64, heirs []Assignment) (bool, Placed, error)
	// Evict is DeclareDead whatever the beat: the worker leaves, or somebody wants it
	// gone.
	Evict(ctx context.Context, worker string, heirs []Assignment) (bool, Placed, error)
	// Regenerate begins a new generation if the store is behind what was seen: then the
	// store was put back to an older copy, and what happened since is lost. All workers
	// are dead, and all shards without an owner, at epochs that no earlier generation
	// can have had, so that nothing which began before is accepted. It returns whether it
	// happened.
	//
	// It does not wait for the leases of those workers. What they write is refused by its
	// epoch; but one that has not heard of it, for the rest of its lease at most, may answer
	// views from what was lost, while the next owner has begun from what is there.
	Regenerate(ctx context.Context, seen Point) (bool, Placed, error)
	// Forget drops the workers that have been dead, and the identities of the actors
	// that have been without state or live keys, for longer than age on the store's own
	// clock, and the keys that have expired; and it takes the states that have expired. It
	// does a bounded piece of that and returns whether there is more.
	Forget(ctx context.Context, age time.Duration) (more bool, err error)
}

// Member is a worker and what the store knows of it.
type Member struct {
	// Worker is what it announced.
	Worker *runtimev1.Worker
	// Alive is true until the worker is declared dead or evicted; a dead worker never
	// comes back under its id.
	Alive bool
	// Beat counts the worker's renewals.
	Beat uint64
}
