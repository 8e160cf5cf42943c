package host

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// schedule stores a call for later.
func (h *Host) schedule(context.Context, origin, *actor.Call) error {
	return fault.NotOffered("keep alarms and jobs")
}

// schedule stages a call for later: it is stored with the turn.
func (r *run) schedule(*actor.Call) error {
	return fault.NotOffered("keep alarms and jobs")
}

// Change changes a task at once.
func (s service) Change(ctx context.Context, change *runtimev1.TaskChange) error {
	_, err := s.host.cfg.Cluster.Change(ctx, []*runtimev1.TaskChange{change})
	return err
}

// List lists tasks.
func (s service) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return s.host.cfg.Cluster.List(ctx, req)
}

// Change stages a change of a task: it is done with the turn.
func (r *run) Change(context.Context, *runtimev1.TaskChange) error {
	return fault.NotOffered("keep alarms and jobs")
}

// List lists tasks, as they are stored.
func (r *run) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return r.host.cfg.Cluster.List(ctx, req)
}

// Delivery is the task that the turn handles; nil for a call.
func (r *run) Delivery() *actor.Delivery { return nil }
