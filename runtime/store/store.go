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

	// Cluster returns the identity of the cluster and the counter now.
	Cluster(ctx context.Context) (Cluster, error)
	// Failed is closed when the store can promise nothing any more, for example
	// because its disk failed to sync. Every call then answers ErrFatal. The process
	// should end with an error, so that the next one recovers what is durable.
	Failed() <-chan struct{}
	// Close waits for what runs and releases the store. Calls after it, and those
	// that still wait, answer ErrClosed. It may be repeated.
	Close() error
}

// Counter counts the changes of a store.
type Counter uint64

// Cluster is the identity of the cluster whose state a store keeps.
type Cluster struct {
	// ID is random, drawn when the store was made.
	ID string
	// Generation counts from 1 how often the store was put back to an older copy.
	Generation uint64
	// Counter is the store's counter now.
	Counter Counter
}

// Behind reports whether a cluster that was seen like other has lost something since: a
// later generation, or a higher counter of the same one. An earlier generation says
// nothing of this one, whatever its counter was.
func (c Cluster) Behind(other Cluster) bool {
	return c.Generation < other.Generation || c.Generation == other.Generation && c.Counter < other.Counter
}
