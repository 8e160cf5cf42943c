package sdk

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// State is the constraint of an actor's state: a pointer to a generated message.
type State interface{ proto.Message }

// Turn is one run of a method that may change its actor. It is a value that a
// method receives, valid until the method returns. Generated code embeds it in a
// turn type for each actor.
type Turn[S State] struct{ StatelessTurn }

// State is the live state of the actor. What the method does to it is committed
// when the method returns nil, and undone when it does not. It belongs to the
// running turn: no goroutine may use it after the method has returned.
func (t Turn[S]) State() S { return t.turn.State().(S) }

// View is one run of a method that reads its actor, beside other views.
type View[S State] struct{ StatelessView }

// State is a snapshot of the actor's state, shared with other views. A write to it
// is never committed, and the test kit reports it.
func (v View[S]) State() S { return v.turn.State().(S) }

// StatelessTurn is the turn of an actor without state. It is also a [Caller]: the
// calls it makes belong to the chain of the call that it answers.
type StatelessTurn struct{ turn actor.Turn }

// ID is the id of the actor.
func (t StatelessTurn) ID() string { return t.turn.ID() }

// Version counts the records that the actor had committed before this turn.
func (t StatelessTurn) Version() uint64 { return t.turn.Version() }

// Metadata is what came along with the call, see [WithMetadata].
func (t StatelessTurn) Metadata() Metadata { return Metadata{t.turn.Metadata()} }

// Halt lets the activation end after this turn, however the turn ends: its OnDeactivate
// hooks run, and whoever waits already is served by a new activation, which begins from what
// is committed. State, alarms and jobs stay. Another actor is halted by [Halt].
func (t StatelessTurn) Halt() { t.turn.Halt() }

// Delivery is the alarm or the job that the turn handles; false for a call that somebody
// waits for.
func (t StatelessTurn) Delivery() (Delivery, bool) {
	d := t.turn.Delivery()
	if d == nil {
		return Delivery{}, false
	}
	return Delivery{Alarm: d.Alarm, Job: JobID(d.Job), Scheduled: d.Scheduled, Attempt: d.Attempt}, true
}

// Delete deletes the actor when the turn is committed, in that one commit: its state, its
// alarms, jobs and dead letters, and its idempotency keys but for that of this call. What
// the turn sets for its own actor afterwards is kept, and so is what it sets for others.
// The next call finds an actor without state, whose constructor runs again. It waits until
// the turns before are durable. A turn that fails deletes nothing.
//
// An actor with more than 10,000 alarms, jobs and dead letters together is not deleted: the
// turn fails with resource_exhausted.
func (t StatelessTurn) Delete(ctx context.Context) error { return t.turn.Delete(ctx) }

// Log is the host's logger, with the names of the actor and the method.
func (t StatelessTurn) Log() *slog.Logger { return t.turn.Log() }

// Invoke makes a turn a [Caller] for proxies. It fails once the method has
// returned.
func (t StatelessTurn) Invoke(ctx context.Context, call actor.Call) (proto.Message, error) {
	return t.turn.Invoke(ctx, call)
}

// Change belongs to the turn as a [Caller]: what it does is committed with the turn.
func (t StatelessTurn) Change(ctx context.Context, change *runtimev1.TaskChange) error {
	return t.turn.Change(ctx, change)
}

// List belongs to the turn as a [Caller]. It does not see what the turn itself has done.
func (t StatelessTurn) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return t.turn.List(ctx, req)
}

// ListActors belongs to the turn as a [Caller]. It does not see what the turn itself has done.
func (t StatelessTurn) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return t.turn.ListActors(ctx, req)
}

// StatelessView is the view of an actor without state. As a [Caller] it may call
// only views.
type StatelessView struct{ turn actor.Turn }

// ID is the id of the actor.
func (v StatelessView) ID() string { return v.turn.ID() }

// Version counts the records that the actor had committed before this view.
func (v StatelessView) Version() uint64 { return v.turn.Version() }

// Metadata is what came along with the call, see [WithMetadata].
func (v StatelessView) Metadata() Metadata { return Metadata{v.turn.Metadata()} }

// Log is the host's logger, with the names of the actor and the method.
func (v StatelessView) Log() *slog.Logger { return v.turn.Log() }

// Invoke makes a view a [Caller] for proxies, of views only. It fails once the
// method has returned.
func (v StatelessView) Invoke(ctx context.Context, call actor.Call) (proto.Message, error) {
	return v.turn.Invoke(ctx, call)
}

// Change belongs to the view as a [Caller]. It fails: a view changes nothing.
func (v StatelessView) Change(ctx context.Context, change *runtimev1.TaskChange) error {
	return v.turn.Change(ctx, change)
}

// List belongs to the view as a [Caller].
func (v StatelessView) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return v.turn.List(ctx, req)
}

// ListActors belongs to the view as a [Caller].
func (v StatelessView) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return v.turn.ListActors(ctx, req)
}
