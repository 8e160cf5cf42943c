package store

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Placement keeps the actor types and the owners of their shards.
type Placement interface {
	// RegisterType makes a type known, with the given number of shards, all at epoch
	// 0 without an owner. A known type keeps its number of shards and takes over the
	// service and the files; when they are equal, nothing is written. It returns the
	// type as it is now, and the shards that were made.
	RegisterType(ctx context.Context, typ *runtimev1.ActorType, shards uint32) (Type, Placed, error)
	// Types returns all types by name.
	Types(ctx context.Context) ([]Type, error)
	// Shards returns all shards, by type and number.
	Shards(ctx context.Context) (Placed, error)
	// Assign says who shall own shards. A shard without an owner moves at once, to
	// the next epoch. One that a live worker owns stays where it is and keeps the
	// given worker as its next; it moves when its owner releases it. To name the
	// owner itself, or nobody, withdraws a next.
	//
	// Each assignment stands alone: one that finds another epoch, an unknown shard, or
	// a worker that is unknown, dead or leaving is left out, so that a plan that is
	// old in one shard holds for the others. It returns the shards that changed.
	Assign(ctx context.Context, assignments []Assignment) (Placed, error)
	// Release gives back shards of a worker: each moves to its next owner, or to
	// nobody, at the next epoch. A release that finds another epoch or owner changes
	// nothing, so that it may be repeated. It returns the shards as they are now, in
	// order, without those that are unknown.
	Release(ctx context.Context, worker string, releases []*runtimev1.ReleaseRequest_Release) (Placed, error)
}

// Assignment says who shall own a shard.
type Assignment struct {
	// Type and Shard name the shard.
	Type  string
	Shard uint32
	// Epoch is that at which the caller saw the shard.
	Epoch uint64
	// Worker shall own it; empty for nobody.
	Worker string
}

// Placed is the answer to a change of placement.
type Placed struct {
	// Shards are the entries of the cluster table that the answer is about.
	Shards []*runtimev1.Shard
	// Counter is the counter of the store after it.
	Counter Counter
}

// Type is an actor type.
type Type struct {
	// Type is what its workers announced last.
	Type *runtimev1.ActorType
	// Shards is the number of its shards, fixed when it was registered first.
	Shards uint32
}
