// Package local hosts actors together with their runtime in one process: no second binary,
// the same host. The state lies in a SQLite file, a PostgreSQL database, or in memory.
//
//	h, err := local.NewHost(local.WithSQLite("actors.db"))
//	err = myactorv1francis.RegisterMyActor(h, newCounter)
//	err = h.Run(ctx)
//
// The file or database belongs to one process at a time, and fits a runtime too: an
// application can begin embedded and become a cluster (sdk/remote) later, on the same data.
package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/engine"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/member"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// Host is the only worker of its cluster. Its methods may be called concurrently.
type Host struct {
	cfg    config
	worker *worker.Worker
	// runtime is set by Run, before the worker joins.
	runtime *engine.Engine
}

var _ sdk.Host = (*Host)(nil)

// NewHost returns a host that does not run yet: register the actors that it serves, and
// run it. It fails when the options contradict each other; it opens nothing.
func NewHost(opts ...Option) (*Host, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	h := &Host{cfg: cfg}
	h.worker, err = worker.New(worker.Config{
		Join: h.join, Address: func() string { return "" },
		Grace: cfg.grace, Limits: cfg.limits, Logger: cfg.logger,
	})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	return h, nil
}

// RegisterActor makes a Host an [sdk.Registrar]; generated code calls it. Actors are
// registered before Run.
func (h *Host) RegisterActor(typ *actor.Type) error { return h.worker.RegisterActor(typ) }

// Service returns the caller for code outside turns. Calls wait, within their
// deadlines, until Run has opened the store.
func (h *Host) Service() sdk.Caller { return h.worker.Host.Service() }

// Gateway returns the HTTP endpoints of all registered actors: Connect, gRPC and
// gRPC-Web at /package.Service/Method, with the actor's id in the header
// Francis-Actor-Id or in the request, and POST /invoke/{type}/{id}/{method}. The
// application mounts and protects it, on a server with limits ([sdk.NewServer]).
func (h *Host) Gateway() http.Handler { return h.worker.Gateway }

// Ready is closed once actors can be called.
func (h *Host) Ready() <-chan struct{} { return h.worker.Member.Ready() }

// Run opens the store and serves until ctx ends; then the turns come to their end and
// all actors leave memory, within the shutdown grace, and the store is closed. It fails
// when the store cannot be opened, or can promise nothing any more, and when turns do
// not obey their context in the end. It is called once.
func (h *Host) Run(ctx context.Context) error {
	if err := h.worker.Start(); err != nil {
		return fmt.Errorf("local: %w", err)
	}
	kept, err := h.cfg.open(h.cfg.logger)
	if err != nil {
		return fmt.Errorf("local: %w", err)
	}
	return errors.Join(h.serve(ctx, kept), kept.Close())
}

func (h *Host) serve(ctx context.Context, kept store.Store) error {
	err := h.takeOver(ctx, kept)
	if err == nil {
		h.runtime, err = engine.New(engine.Config{Store: kept, Local: true, Logger: h.cfg.logger})
	}
	if err != nil {
		return fmt.Errorf("local: %w", err)
	}
	return h.worker.Run(ctx, worker.Parts{Runtime: h.runtime.Run})
}

// takeOver ends the membership of all workers that the store knows. They belong to a
// process that has ended, since this one has the store alone: nobody needs to wait until
// their leases run out. A file is locked against a second process; where the store is a
// database, somebody who still renews a lease has it.
func (h *Host) takeOver(ctx context.Context, kept store.Store) error {
	left, err := living(ctx, kept)
	if err == nil && len(left) > 0 && h.cfg.database != "" {
		err = h.silent(ctx, kept, left)
	}
	for id := range left {
		if err == nil {
			_, _, err = kept.Evict(ctx, id, nil)
		}
	}
	if err != nil {
		return fmt.Errorf("end the membership of earlier processes: %w", err)
	}
	return nil
}

// listens is how long to listen for the renewals of others: two come in that time.
const listens = 2 * lease.Default / 5

// silent fails when somebody renews a lease.
func (h *Host) silent(ctx context.Context, kept store.Store, before map[string]uint64) error {
	if !deadline.Sleep(ctx, listens) {
		return ctx.Err()
	}
	now, err := living(ctx, kept)
	for id, beat := range now {
		if beat != before[id] && err == nil {
			err = fmt.Errorf("%w: worker %s renews its lease; end that process, or use another database", store.ErrLocked, id)
		}
	}
	return err
}

// living are the beats of the workers that live.
func living(ctx context.Context, kept store.Store) (map[string]uint64, error) {
	members, err := kept.Workers(ctx)
	beats := map[string]uint64{}
	for _, m := range members {
		if m.Alive {
			beats[m.Worker.GetId()] = m.Beat
		}
	}
	return beats, err
}

// join makes the worker a member of the runtime beside it.
func (h *Host) join(ctx context.Context) (*member.Membership, error) {
	admitted, err := h.runtime.Admit(ctx)
	if err != nil {
		return nil, err
	}
	return &member.Membership{
		Worker: admitted.WorkerID, Lease: admitted.Lease,
		Runtime: h.runtime.Worker(admitted.WorkerID), Close: func() {},
	}, nil
}
