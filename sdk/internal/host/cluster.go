package host

import (
	"context"
	"errors"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
)

// ErrUnsent says that a call or a record was not sent: nothing happened.
var ErrUnsent = errors.New("it was not sent")

// Cluster is what a host needs of the cluster it belongs to. Its methods may be
// called concurrently. Those that wait fail with the error of ctx when it ends, and
// with a coded one when the worker is no member any more.
type Cluster interface {
	Lease
	Directory
	// Forward sends a call to the worker that hosts the actor, and sets res, which is empty,
	// to its answer. It fails with [ErrUnsent] where the call has not left, and else with
	// what the other worker answered or with an error whose outcome is unknown. Neither
	// message is kept.
	Forward(ctx context.Context, worker string, req *peerv1.InvokeRequest, res *peerv1.InvokeResponse) error
	// Load reads the state of an actor.
	Load(ctx context.Context, read *runtimev1.LoadRequest_Read) (*runtimev1.LoadResponse_Result, error)
	// ListActors lists the actors of a type that have a state.
	ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error)
	// Commit writes the record of a sender, on any goroutine, also before it returns.
	Commit(from Sender)
	Tasks
}

// Sender has a record to be written. Its methods do not block.
type Sender interface {
	// Seal returns the record. It is called once, when the record leaves: until then more
	// turns may find a place in it. It returns nil where there is none any more. The record
	// and the messages in it that name actor, fence and identities are the sender's again
	// when it has been answered without an error.
	Seal() *runtimev1.Record
	// Answered is called once after that. The record is repeated until it is answered; it
	// fails only when that can no longer be: with [ErrUnsent] where the record has
	// certainly not been applied, else the outcome is unknown.
	Answered(res *runtimev1.CommitResponse_Result, err error)
}

// Tasks are the alarms and jobs of a cluster.
type Tasks interface {
	// Change changes a task of any actor. It fails with [ErrUnsent] where certainly nothing
	// has happened.
	Change(ctx context.Context, change *runtimev1.TaskChange) (runtimev1.ChangeResponse_Result, error)
	// List lists tasks.
	List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error)
	// Settle ends a delivery that no record completes, and calls settled, once, on any
	// goroutine, also before it returns, when it has ended or will not be answered any more;
	// settled does not block.
	Settle(settlement *runtimev1.Settlement, settled func())
}

// Lease is a worker's right to run, in time.
type Lease interface {
	// Active reports whether the worker's lease is active.
	Active() bool
	// ActiveForForwarded reports the same to calls of other workers. It costs less: it
	// takes no notice of what the machine slept since the last of them came.
	ActiveForForwarded() bool
	// Pass returns at once while the worker's lease is active, and waits while it has
	// lapsed. It fails when ctx ends.
	Pass(ctx context.Context) error
}

// Directory says who serves what, as far as this worker knows.
type Directory interface {
	// Worker is the id of this worker.
	Worker() string
	// AwaitTable waits until the table of the cluster is known, or ctx ends.
	AwaitTable(ctx context.Context) error
	// Types lists the actor types that some worker serves, and Serves reports whether one
	// is among them.
	Types() []string
	Serves(typ string) bool
	// Contract is the contract of an actor type that other workers serve; nil for one that
	// none is known to serve.
	Contract(typ string) *contract.Contract
	// Entry is what the table says of a shard; nil where it says nothing.
	Entry(typ string, shard uint32) *runtimev1.Shard
	// Await waits until the entry of a shard has at least the given epoch and an
	// owner, or ctx ends.
	Await(ctx context.Context, typ string, shard uint32, epoch uint64) error
}
