package store

import (
	"context"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Tasks keeps the alarms and the jobs of actors, and the dead letters of both. What
// becomes of a task is decided by package task; times are by the clock of the store.
type Tasks interface {
	// Change makes changes in order, all of them together with those of other calls in one
	// transaction, and answers each. One that is not done keeps none from being done. A
	// change that is not well formed makes the call ErrInvalid, and nothing happens; so do
	// more than limit.MaxRevived revivals, whose tasks are larger than what asks for them.
	//
	// A set of a task whose timing has no time left is done, and leaves no task. To set an
	// alarm again replaces it; a job that waits stays as it is: EXISTS, or CONFLICT if its
	// method or request is another one. To revive a dead letter whose key has a task by
	// now is a CONFLICT: a task that repeats goes on while an occurrence of it lies dead.
	Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, Moved, error)
	// Settle ends deliveries of a worker that no record completes, and answers each:
	// APPLIED, STALE_EPOCH when the worker does not own the actor's shard at that epoch,
	// SUPERSEDED when the task has another revision or is gone, or DAMAGED when it cannot be
	// read. One that is refused never fails its neighbours.
	Settle(ctx context.Context, worker string, settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, Moved, error)
	// Strand marks tasks that were out with a worker when it was declared dead. There is
	// no fence: a task that has another revision by now is left as it is.
	Strand(ctx context.Context, out []*runtimev1.Completion) (Moved, error)
	// Due returns tasks of a type in the order in which they are due. It sees everything
	// that was acknowledged before it. A task whose row is damaged is left out, which is
	// said aloud.
	Due(ctx context.Context, query DueQuery) (Due, error)
	// List lists tasks or dead letters, in the order of their keys. A task whose row is
	// damaged has its key, the revision 0 and [ErrDamagedTask] as its error: it is never
	// delivered. To delete, to bury or to set it again ends that; for everything else it
	// is not there. A request with a name and no id is ErrInvalid.
	List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error)
}

// Moved is what a call did to tasks, for who keeps track of what is due. Who got an error
// instead, or left before the answer, has to read what is due anew.
type Moved struct {
	// Moves has each task that was set, changed or deleted. It is empty for what was
	// refused.
	Moves []Move
	// Point is where the store is after the call.
	Point
}

// And is what two calls did, one after the other.
func (m Moved) And(later Moved) Moved {
	return Moved{Moves: append(m.Moves, later.Moves...), Point: later.Point}
}

// Move is a task as a transaction left it. Of all that is known of a task, that of the
// highest counter holds: all calls of a transaction report the same.
type Move struct {
	// Key names it.
	Key TaskKey
	// Task is what is stored; nil if there is no such task any more.
	Task *runtimev1.ScheduledTask
	// Counter is that of the transaction, and so the revision of the task.
	Counter Counter
}

// DueQuery asks what is due.
type DueQuery struct {
	// Type is the actor type.
	Type string
	// ID is that of the only actor that is looked at; empty for all.
	ID string
	// After is the place behind which the answer begins. The zero value is the beginning.
	After Position
	// Until is the latest time, itself included.
	Until time.Time
	// Limit is how many tasks are looked at, at most 10,000.
	Limit int
}

// MaxDue bounds DueQuery.Limit.
const MaxDue = 10_000

// Due is the answer to it.
type Due struct {
	// Tasks are those that are due, the earliest first, until Limit or 8 MiB are reached.
	Tasks []*runtimev1.ScheduledTask
	// More is true when there may be more of them behind End, where the answer ends.
	More bool
	End  Position
	// Now is the time by the clock of the store.
	Now time.Time
}
