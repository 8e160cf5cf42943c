// Package serve puts a runtime together and runs it in this process: the store, the
// engine over it, and the one port on which workers meet it.
//
//	port ── no certificate → join    → engine.Admit
//	     └─ a member's     → members → engine.Handler → store
//
// The runtime binary and the dev command call it; it calls runtime/config,
// runtime/engine, the stores, internal/join and internal/pki, and holds no rule of
// the domain.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/dispatch"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/engine"
	"github.com/francis-actors/francis/runtime/store"
)

// Runtime is a runtime in this process. Make it with [New] and run it once.
type Runtime struct {
	cfg       *config.Config
	log       *slog.Logger
	authority *pki.Authority
	holder    *pki.Holder
	store     store.Store
	engine    *engine.Engine
	port      *join.Port
	joiners   *http.Server
	members   *http.Server
	// closing is closed when members shall ask nothing more on their links.
	closing chan struct{}
	address net.Addr
}

// New opens the address and the store, and fails when ctx ends before they are open. What it
// opened is closed by Run.
func New(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Runtime, error) {
	r := &Runtime{cfg: cfg, log: log, closing: make(chan struct{})}
	if err := r.identify(); err != nil {
		return nil, err
	}
	listener, err := listen(cfg.Bind)
	if err != nil {
		return nil, err
	}
	if err := r.open(ctx, listener); err != nil {
		listener.Close()
		return nil, err
	}
	return r, nil
}

func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; end what has the address, or choose another bind", err)
	}
	return listener, nil
}

// identify derives the authority, and issues the runtime's own certificate.
func (r *Runtime) identify() (err error) {
	if r.authority, err = r.cfg.Authority(); err != nil {
		return err
	}
	certificate, err := r.authority.IssueRuntime(pki.NewID(), time.Now())
	if err != nil {
		return err
	}
	r.holder = pki.NewHolder(certificate, r.authority.Bundle())
	return nil
}

func (r *Runtime) open(ctx context.Context, listener net.Listener) (err error) {
	r.address = listener.Addr()
	if r.store, err = openStore(ctx, r.cfg.Provider, r.log); err != nil {
		return err
	}
	if err = r.assemble(listener); err != nil {
		return errors.Join(err, r.store.Close())
	}
	return nil
}

// ratesOf are the rates of the types that have their own; what one leaves out is that of the
// others.
func ratesOf(deliveries config.Deliveries) map[string]dispatch.Rate {
	rates := map[string]dispatch.Rate{}
	for _, typ := range deliveries.Types {
		rates[typ.Type] = rateOf(cmp.Or(typ.PerSecond, deliveries.PerSecond), cmp.Or(typ.Burst, deliveries.Burst))
	}
	return rates
}

func rateOf(perSecond, burst int) dispatch.Rate {
	return dispatch.Rate{PerSecond: float64(perSecond), Burst: float64(burst)}
}

// assemble makes the engine and the two servers before it.
func (r *Runtime) assemble(listener net.Listener) (err error) {
	issuer := join.Issuer{Authority: r.authority}
	r.engine, err = engine.New(engine.Config{
		Store: r.store, Lease: r.cfg.Lease, Probe: issuer.Probe, Certify: issuer.Certify, Logger: r.log,
		Deliveries: rateOf(r.cfg.Deliveries.PerSecond, r.cfg.Deliveries.Burst), DeliveriesOf: ratesOf(r.cfg.Deliveries),
	})
	if err != nil {
		return err
	}
	joining, err := join.NewServer(join.Config{
		Secret: r.cfg.Bootstrap.HostPSK, Bundle: r.authority.Bundle, Admit: r.admit, Logger: r.log,
	})
	if err != nil {
		return err
	}
	r.joiners, r.members = joining.HTTPServer(), newMemberServer(r.engine, r.log, r.closing)
	r.port, err = join.NewPort(join.PortConfig{
		Listener: listener, TLS: r.holder.JoinServer(pki.RoleWorker, pki.RoleClient), Logger: r.log,
	})
	return err
}

// Address is where the runtime listens.
func (r *Runtime) Address() net.Addr { return r.address }

// Workers returns the workers that live and have announced what they serve.
func (r *Runtime) Workers(ctx context.Context) ([]*runtimev1.Worker, error) {
	all, err := r.store.Workers(ctx)
	if err != nil {
		return nil, err
	}
	var workers []*runtimev1.Worker
	for _, member := range all {
		if member.Alive && len(member.Worker.GetTypes()) > 0 {
			workers = append(workers, member.Worker)
		}
	}
	return workers, nil
}

// Types returns the actor types that workers have ever announced.
func (r *Runtime) Types(ctx context.Context) ([]*runtimev1.ActorType, error) {
	all, err := r.store.Types(ctx)
	if err != nil {
		return nil, err
	}
	types := make([]*runtimev1.ActorType, len(all))
	for i, typ := range all {
		types[i] = typ.Type
	}
	return types, nil
}
