package local

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// meet opens the port at which the other processes of the cluster reach this one.
func (h *Host) meet(ctx context.Context, kept store.Store) (parts worker.Parts, err error) {
	if err := missed(ctx, kept); err != nil {
		return parts, err
	}
	return h.worker.Meet()
}

// missed fails when a host that believes to have the database alone uses it: nobody could
// reach its actors.
func missed(ctx context.Context, kept store.Store) error {
	loners, err := living(ctx, kept, alone)
	if err == nil && len(loners) > 0 {
		err = silent(ctx, kept, loners, alone)
	}
	return err
}

// alone reports whether a worker hosts actors where nobody else reaches them.
func alone(w *runtimev1.Worker) bool { return w.GetAddress() == "" && len(w.GetTypes()) > 0 }

// issuer gives this host, and any other worker of the cluster, its certificate.
func (h *Host) issuer() join.Issuer { return join.Issuer{Authority: h.cfg.authority} }
