// Package host runs actors: it keeps their activations, lets turns and views in
// one after the other, and commits what they changed. There is one host; what
// differs between topologies is the [Cluster] it is given.
//
// The path of a call: [Host.Service], a running turn or a peer ([Host.Serve]) →
// prepare (id, chain, metadata, deadline) → locate the shard's owner → forward it,
// or resolve (type, method, request) → slot of the actor (queue) → activation
// (load, construct) → method → commit or roll back → reply.
//
// Decisions about admission and call chains are made by the pure packages
// internal/core/turn and internal/core/chain; this package feeds them.
package host

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Config are the settings of a host.
type Config struct {
	// Cluster is where the host belongs. Required.
	Cluster Cluster
	// Logger receives what callers are not told: the text of plain errors, stacks
	// of panics. Default: slog.Default().
	Logger *slog.Logger
	// ShutdownGrace is how long Run waits for turns when its context ends.
	// Default: limit.ShutdownGrace.
	ShutdownGrace time.Duration
	// Limits bound what the host takes on; zero fields have their defaults.
	Limits limit.Limits
	// ViewWrote, when set, gives every view a state of its own and is told the
	// actor and method of each view that wrote to it. It serves test kits.
	ViewWrote func(actor, method string)
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.ShutdownGrace == 0 {
		c.ShutdownGrace = limit.ShutdownGrace
	}
	c.Limits = c.Limits.WithDefaults()
	return c
}

func (c Config) validate() error {
	if c.Cluster == nil {
		return errors.New("host: no cluster given")
	}
	if c.ShutdownGrace < 0 {
		return errors.New("host: the shutdown grace is negative")
	}
	return c.Limits.Check()
}

// Host runs the actors of one process. Its methods may be called concurrently.
type Host struct {
	cfg       Config
	types     types
	deadlines *deadline.Queue
	pool      *pool
	budget    budget
	held      held
	wakes     wakes
	// waiting is how many calls wait outside of the queue of an actor.
	waiting atomic.Int64

	started atomic.Bool
	// closing is set once no call from outside is accepted any more.
	closing atomic.Bool
	// ctx ends when the shutdown grace is over, and all turns with it.
	ctx  context.Context
	stop context.CancelFunc
}

// New returns a host. It accepts calls at once; Run only ends it.
func New(cfg Config) (*Host, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Host{cfg: cfg, deadlines: deadline.NewQueue(), pool: newPool(), ctx: ctx, stop: stop}, nil
}

// RegisterActor makes the host serve an actor type.
func (h *Host) RegisterActor(t *actor.Type) error { return h.types.add(h, t) }

// Types lists the registered actor types.
func (h *Host) Types() []*actor.Type { return h.types.list() }

// TypeNames lists the names of the registered actor types.
func (h *Host) TypeNames() []string { return slices.Sorted(maps.Keys(h.types.all())) }

// ContractOf returns the contract of a registered actor type, nil for any other.
func (h *Host) ContractOf(typ string) *contract.Contract {
	if table, ok := h.types.all()[typ]; ok {
		return table.typ.Contract
	}
	return nil
}

// Serving reports whether the host takes calls from outside.
func (h *Host) Serving() bool { return !h.closing.Load() }

// Service returns the caller for code outside turns. A context that descends from
// a turn carries the chain of its calls along.
func (h *Host) Service() actor.Caller { return service{h} }

// InvokeEncoded delivers a call of the gateway, whose request is encoded, and returns
// the reply encoded alike.
func (h *Host) InvokeEncoded(ctx context.Context, call actor.Call) ([]byte, error) {
	from := originIn(ctx)
	from.edge = true
	a, err := h.invoke(ctx, from, &call)
	return a.encoded, err
}

type service struct{ host *Host }

func (s service) Invoke(ctx context.Context, call actor.Call) (proto.Message, error) {
	if call.Later != nil {
		return nil, s.host.schedule(ctx, originIn(ctx), &call)
	}
	a, err := s.host.invoke(ctx, originIn(ctx), &call)
	return a.reply, err
}

// originIn is the origin of a call that is made with ctx: the run that ctx belongs
// to, or none.
func originIn(ctx context.Context) origin {
	if r := runningIn(ctx); r != nil {
		return r.origin()
	}
	return origin{}
}
