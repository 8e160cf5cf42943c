// Package remote hosts actors as a worker of a cluster: a runtime decides where each
// actor lives and keeps its state, and the workers run the actors.
//
//	h, err := remote.NewHost(
//		remote.WithAddress("127.0.0.1:7571"),
//		remote.WithRuntimeAddresses("127.0.0.1:7400"),
//		remote.WithHostBootstrapPSK(psk),
//		remote.WithPinnedCA(caPEM),
//	)
//	err = myactorv1francis.RegisterMyActor(h, newCounter)
//	err = h.Run(ctx)
//
// A process that only calls actors is a [Client]; see [Dial].
//
// A worker whose link to the runtime is cut keeps its actors and goes on when the
// link is back; one that was away for longer than its lease joins again by itself.
package remote

import (
	"context"
	"fmt"
	"net/http"

	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// Host is a worker. Its methods may be called concurrently.
type Host struct {
	cfg    config
	worker *worker.Worker
}

var _ sdk.Host = (*Host)(nil)

// NewHost returns a worker that has not joined yet: register the actors that it
// serves, and run it. It fails when the options contradict each other.
func NewHost(opts ...Option) (*Host, error) {
	cfg, err := hostConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	h := &Host{cfg: cfg}
	h.worker, err = worker.New(worker.Config{Settings: cfg.Settings, Join: h.join})
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	return h, nil
}

// RegisterActor makes a Host an [sdk.Registrar]; generated code calls it. Actors are
// registered before Run.
func (h *Host) RegisterActor(typ *actor.Type) error { return h.worker.RegisterActor(typ) }

// Service returns the caller for code outside turns. Calls wait, within their
// deadlines, while the host has not joined yet.
func (h *Host) Service() sdk.Caller { return h.worker.Host.Service() }

// Gateway returns the HTTP endpoints of all actors of the cluster, whichever worker
// hosts them: Connect, gRPC and gRPC-Web at /package.Service/Method, with the
// actor's id in the header Francis-Actor-Id or in the request, and
// POST /invoke/{type}/{id}/{method}. The application mounts and protects it, on a server with
// limits ([sdk.NewServer]).
func (h *Host) Gateway() http.Handler { return h.worker.Gateway }

// Ready is closed once the host has joined and knows where the actors live.
func (h *Host) Ready() <-chan struct{} { return h.worker.Member.Ready() }

// Run joins the cluster and serves until ctx ends; then it hands its actors over to
// the other workers and leaves, within the shutdown grace. It fails when the host
// cannot listen on its address, when the cluster refuses it, and when turns do not
// obey their context in the end. It is called once.
func (h *Host) Run(ctx context.Context) error {
	if err := h.worker.Start(); err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	parts, err := h.worker.Meet()
	if err != nil {
		h.worker.Abandon()
		return fmt.Errorf("remote: %w", err)
	}
	return h.worker.Run(ctx, parts)
}
