package engine

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/runtime/store"
)

// ListActors lists the actors of a type that have a state. Every worker and every
// client may, as it may call every actor.
func (w *Worker) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.ListActorsResponse, error) {
		if err := checkListActors(req); err != nil {
			return nil, err
		}
		if e.board.gone(w.id) {
			return nil, store.ErrDead
		}
		return e.store.ListActors(ctx, req)
	})
}

func checkListActors(req *runtimev1.ListActorsRequest) error {
	if err := name.CheckType(req.GetType()); err != nil {
		return malformed(err)
	}
	if err := name.CheckPrefix(req.GetPrefix()); err != nil {
		return malformed(err)
	}
	if req.GetAfter() == "" {
		return nil
	}
	return checkActor(&runtimev1.Actor{Type: req.GetType(), Id: req.GetAfter()})
}
