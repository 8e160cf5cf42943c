package store

import (
	"context"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Store keeps what must outlive the runtime. All methods may be called at the same
// time. An error of a method that changes something leaves open whether it happened,
// unless it is one of the package's errors that says otherwise: every change may
// be sent again.
type Store interface {
	Members
	Placement
	Records
	Tasks
	Archive

	// Cluster returns the identity of the cluster, and its history until now. A branch
	// begins when the store is opened, or where it is a database, when another server or
	// another copy of it is about to be changed; it is durable with its first change.
	Cluster(ctx context.Context) (Cluster, error)
	// Now returns the time by the clock of the store, by which tasks are due and states
	// expire.
	Now(ctx context.Context) (time.Time, error)
	// Failed is closed when the store can promise nothing any more, for example
	// because its disk failed to sync. Every call then answers ErrFatal. The process
	// should end with an error, so that the next one recovers what is durable.
	Failed() <-chan struct{}
	// Close waits for what runs and releases the store. Calls after it, and those
	// that still wait, answer ErrClosed. It may be repeated.
	Close() error
}

// Shared is a store that other runtimes change too, at the same time.
type Shared interface {
	// Placements returns what changes with every change of members, types and shards,
	// whichever runtime makes it, but for beats. It costs little.
	Placements(ctx context.Context) (Placements, error)
}

// Placements counts the changes of members, types and shards, in a branch of the history.
type Placements struct{ Branch, Changes uint64 }

// Checked is a store that can be put back while a runtime uses it. What somebody has seen
// of its history is therefore looked at by the transaction that depends on it, which costs
// nothing; elsewhere [Cluster.Behind] says it before.
type Checked interface {
	// After returns the store for who has seen a point. Requests fail with ErrBehind, and
	// nothing of them happens, if the point is not in the history.
	After(seen Point) Requests
}

// Requests is what workers ask for with what they have seen.
type Requests interface {
	Records

	// Change is that of Tasks.
	Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, Moved, error)
}
