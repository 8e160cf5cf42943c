package store

import "context"

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

	// Cluster returns the identity of the cluster, and its history until now. Where
	// it has branches, one begins when the store is opened, and is durable with the
	// first change of it.
	Cluster(ctx context.Context) (Cluster, error)
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
	// Placements returns a number that changes with every change of members, types and
	// shards, whichever runtime makes it, but for beats. It costs little.
	Placements(ctx context.Context) (uint64, error)
}
