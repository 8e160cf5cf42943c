package host

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/fault"
)

// ListActors lists actors, as they are stored: what earlier turns have done, and not what
// this one does.
func (r *run) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	if err := r.activation.settled(ctx); err != nil {
		return nil, ended(err)
	}
	return read(ctx, r.host, req, r.host.listActors)
}

// ListActors lists actors.
func (s service) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return read(ctx, s.host, req, s.host.listActors)
}

// listActors lists the actors of a type that somebody serves: a name that nobody knows is
// mistyped.
func (h *Host) listActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	if err := h.served(ctx, req.GetType()); err != nil {
		return nil, err
	}
	return h.cfg.Cluster.ListActors(ctx, req)
}

// served checks that this worker or another one serves an actor type. It waits until the
// table of the cluster is known.
func (h *Host) served(ctx context.Context, typ string) error {
	cluster := h.cfg.Cluster
	if h.types.all()[typ] != nil || cluster.Serves(typ) {
		return nil
	}
	if err := cluster.AwaitTable(ctx); err != nil {
		return err
	}
	if !cluster.Serves(typ) {
		return fault.UnknownType(typ, cluster.Types())
	}
	return nil
}
