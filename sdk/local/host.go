// Package local hosts actors together with their runtime in one process: no second binary,
// the same host. The state lies in a SQLite file, a PostgreSQL database, or in memory.
//
//	h, err := local.NewHost(local.WithSQLite("actors.db"))
//	err = myactorv1francis.RegisterMyActor(h, newCounter)
//	err = h.Run(ctx)
//
// The file or database belongs to one process at a time, and fits a runtime too: an
// application can begin embedded and become a cluster (sdk/remote) later, on the same data.
//
// # Several processes
//
// With PostgreSQL several processes form a cluster without a second binary: each has a
// runtime of its own over the database that they share, and a worker that the others reach
// at its address, over TLS with certificates that are derived from a secret.
//
//	h, err := local.NewHost(
//		local.WithPostgreSQL("postgres://francis@db/app"),
//		local.WithCluster("10.0.0.7:7571", secret),
//	)
//
// A call to an actor goes to the process that hosts it, from any of them; each judges the
// others, so the actors of one that crashed go on elsewhere after the lease and a second. A
// process that ends, or is restarted, hands its actors over, and no call fails.
package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/engine"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/member"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// Host is a runtime and a worker of it. Its methods may be called concurrently.
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
	h.worker, err = worker.New(worker.Config{Settings: cfg.Settings, Join: h.join, Clock: cfg.clock()})
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
	kept, err := h.cfg.open(ctx)
	if err != nil {
		h.worker.Abandon()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to stop, and did
		}
		return fmt.Errorf("local: %w", err)
	}
	return errors.Join(h.serve(ctx, kept), kept.Close())
}

func (h *Host) serve(ctx context.Context, kept store.Store) error {
	parts, err := h.assemble(ctx, kept)
	if err != nil {
		h.worker.Abandon()
		return fmt.Errorf("local: %w", err)
	}
	return h.worker.Run(ctx, parts)
}

// assemble makes the parts of a host that has the store alone, or is one of a cluster.
func (h *Host) assemble(ctx context.Context, kept store.Store) (parts worker.Parts, err error) {
	settings := engine.Config{Store: kept, Lease: h.cfg.lease, Local: true, Logger: h.cfg.Logger}
	if h.cfg.clusters {
		settings.Local, settings.Probe, settings.Certify = false, h.issuer().Probe, h.issuer().Certify
	}
	if h.runtime, err = engine.New(settings); err != nil {
		return parts, err
	}
	if h.cfg.clusters {
		parts, err = h.meet(ctx, kept)
	} else {
		err = h.takeOver(ctx, kept)
	}
	parts.Runtime = h.runtime.Run
	return parts, err
}

// takeOver ends the membership of all workers that the store knows. They belong to a
// process that has ended, since this one has the store alone: nobody needs to wait until
// their leases run out. A file is locked against a second process; where the store is a
// database, somebody who still renews a lease has it.
func (h *Host) takeOver(ctx context.Context, kept store.Store) error {
	left, err := living(ctx, kept, anybody)
	if err == nil && len(left) > 0 && h.cfg.database != "" {
		err = silent(ctx, kept, left, anybody)
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

// silent fails when one of some workers renews its lease, or another one has come.
func silent(ctx context.Context, kept store.Store, before map[string]uint64, of func(*runtimev1.Worker) bool) error {
	if !deadline.Sleep(ctx, listens) {
		return ctx.Err()
	}
	now, err := living(ctx, kept, of)
	for id, beat := range now {
		if seen, known := before[id]; (!known || seen != beat) && err == nil {
			err = fmt.Errorf("%w: worker %s renews its lease; end that process, use another database, or make a cluster of all processes (WithCluster)", store.ErrLocked, id)
		}
	}
	return err
}

// living are the beats of some workers, those that live.
func living(ctx context.Context, kept store.Store, of func(*runtimev1.Worker) bool) (map[string]uint64, error) {
	members, err := kept.Workers(ctx)
	beats := map[string]uint64{}
	for _, m := range members {
		if m.Alive && of(m.Worker) {
			beats[m.Worker.GetId()] = m.Beat
		}
	}
	return beats, err
}

func anybody(*runtimev1.Worker) bool { return true }

// join makes the worker a member of the runtime beside it.
func (h *Host) join(ctx context.Context) (*member.Membership, error) {
	admitted, err := h.runtime.Admit(ctx)
	if err != nil {
		return nil, err
	}
	membership := &member.Membership{
		Worker: admitted.WorkerID, Lease: admitted.Lease,
		Runtime: h.runtime.Worker(admitted.WorkerID), Close: func() {},
	}
	if h.cfg.clusters {
		membership.Holder, err = h.issuer().Holder(admitted.WorkerID)
	}
	return membership, err
}
