// Package francistest runs actors in one process, with their state in memory: for
// tests, and for trying a contract out. Its turns are the real ones; only the
// state does not outlive the process.
//
//	func TestIncrement(t *testing.T) {
//		host := francistest.Start(t)
//		err := myactorv1francis.RegisterMyActor(host, newCounter)
//		...
//		counter := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
//		res, err := counter.Increment(t.Context(), &myactorv1.IncrementRequest{In: 42})
//	}
//
// A host works inside a testing/synctest bubble: start it there, and idle times,
// deadlines, alarms and jobs pass in virtual time. To replace an actor that the tested one calls,
// register another implementation of its generated interface.
package francistest

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/gateway"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// Host runs actors in this process. Its methods may be called concurrently.
type Host struct {
	host    *host.Host
	cluster *solo
	gateway *gateway.Gateway
	// ready is closed.
	ready chan struct{}
}

var _ sdk.Host = (*Host)(nil)

// Option is a setting of a host.
type Option func(*host.Config)

// WithLogger sets where the host logs what callers are not told. Default: the log
// of the test for [Start], slog.Default() for [NewHost].
func WithLogger(logger *slog.Logger) Option {
	return func(c *host.Config) { c.Logger = logger }
}

// WithShutdownGracePeriod sets how long Run waits for turns when its context ends.
// Default: 30 seconds.
func WithShutdownGracePeriod(d time.Duration) Option {
	return func(c *host.Config) { c.ShutdownGrace = d }
}

// WithLimits bounds what the host takes on. Default: as [sdk.Limits] says.
func WithLimits(limits sdk.Limits) Option {
	return func(c *host.Config) { c.Limits = limits }
}

// NewHost returns a host. It serves as soon as an actor is registered; [Host.Run]
// ends it.
func NewHost(opts ...Option) (*Host, error) {
	return newHost(host.Config{}, opts)
}

// Start returns a host that runs until the test ends. It logs to the test, and
// fails it when a view writes to its state.
func Start(t testing.TB, opts ...Option) *Host {
	t.Helper()
	h, err := newHost(host.Config{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		ViewWrote: func(actor, method string) {
			t.Errorf("the view %s of %s wrote to its state; the write is never committed: make the method a turn (without NO_SIDE_EFFECTS), or change a clone", method, actor)
		},
	}, opts)
	if err != nil {
		t.Fatalf("francistest: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("francistest: %v", err)
		}
	})
	return h
}

func newHost(config host.Config, opts []Option) (*Host, error) {
	cluster := &solo{}
	config.Cluster = cluster
	for _, opt := range opts {
		opt(&config)
	}
	h, err := host.New(config)
	if err != nil {
		return nil, err
	}
	cluster.types, cluster.deliver = h.TypeNames, h.Deliver
	ready := make(chan struct{})
	close(ready)
	return &Host{host: h, cluster: cluster, gateway: gateway.New(h), ready: ready}, nil
}

// RegisterActor makes a Host an [sdk.Registrar]; generated code calls it.
func (h *Host) RegisterActor(typ *actor.Type) error { return h.host.RegisterActor(typ) }

// Service returns the caller for code outside turns.
func (h *Host) Service() sdk.Caller { return h.host.Service() }

// Gateway returns the HTTP endpoints of all actors that are registered now or
// later: Connect, gRPC and gRPC-Web at /package.Service/Method, with the actor's id
// in the header Francis-Actor-Id or in the request, and
// POST /invoke/{type}/{id}/{method}.
func (h *Host) Gateway() http.Handler { return h.gateway }

// Ready is closed: the host serves from the beginning.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Run serves until ctx ends, and then drains: it refuses new calls, lets the turns
// come to their end within the shutdown grace, and deactivates all actors. It is
// called once.
func (h *Host) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, h.cluster.stop)()
	return h.host.Run(ctx)
}
