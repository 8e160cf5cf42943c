package store

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Records keeps the state of actors.
type Records interface {
	// Load reads the state of actors for a worker and answers each read, in order:
	// APPLIED with the state, STALE_EPOCH when the worker does not own the actor's
	// shard at that epoch, DAMAGED when the stored state does not fit its checksum, with no
	// more of it than a record needs that deletes the actor.
	// It sees every record that was acknowledged before it. A state that has expired by the
	// store's clock is answered as none, with its identity and version; of one that will
	// expire the answer says in what time.
	//
	// Beside the state a read brings the idempotency keys of the actor that are younger
	// than keys.Life by the store's clock, without their replies: the oldest first, and
	// the youngest keys.Max of them. One that recalls a key brings that key with its
	// reply instead of the state; no key when it has expired.
	Load(ctx context.Context, worker string, reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error)
	// Commit writes records of a worker, together with those of other calls in one
	// transaction, and answers each, in order: APPLIED, ALREADY_APPLIED, STALE_EPOCH,
	// STALE_BASE, SUPERSEDED when the delivery that it completes is not the stage that the
	// task has, TOO_MANY_TASKS when it deletes an actor that has more tasks and dead
	// letters than limit.MaxDeleted, or DAMAGED when what the store holds of the actor or its
	// tasks cannot be read. A refused record never fails its neighbours.
	//
	// A record that applies first completes its delivery, which gives the task its next
	// time or ends it, and then makes its changes in order, as [Tasks] has it; that one of
	// them is not done does not keep the record from being applied.
	//
	// One that deletes its actor drops all its keys, tasks and dead letters after the
	// completion, and before its own keys and its changes.
	//
	// A call carries at most one record of an actor, and every record is well formed;
	// otherwise the call is ErrInvalid and nothing of it happens. A record without a
	// message leaves the actor without state: only its identity and its keys stay, until
	// Forget.
	//
	// A record that has been answered is the caller's again: a store keeps its data, its keys
	// and what it does to tasks, which nobody changes, and none of the messages that name its
	// actor, its fence and its identities.
	//
	// After ErrFull nothing was written; after any other error it is unknown, and the
	// same records sent again tell.
	Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, Moved, error)
	// ListActors lists the actors of a type that have a state, in the order of their ids, byte
	// by byte, a page at a time. A page looks at no more actors than it may list, and reads no
	// state. It sees every record that was acknowledged before it.
	ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error)
}
