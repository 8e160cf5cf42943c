// Package worker puts a worker together: a host, its membership of a cluster, and the
// gateway before both. sdk/remote and sdk/local are workers that join in different ways,
// and a client of sdk/remote is one that hosts nothing; the order in which a worker starts
// and stops is here, once.
package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/francis-actors/francis/internal/boottime"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/gateway"
	"github.com/francis-actors/francis/sdk/internal/host"
	"github.com/francis-actors/francis/sdk/internal/member"
)

// Config is what a worker is made of.
type Config struct {
	Settings

	// Client makes it a client: no actors are registered, and it has no Place.
	Client bool
	// Join makes the worker a member of its cluster, with a new id.
	Join func(ctx context.Context) (*member.Membership, error)
	// Clock counts the lease. Default: as a member has it.
	Clock boottime.Clock
}

// Worker is a worker. Its methods may be called concurrently.
type Worker struct {
	Host    *host.Host
	Member  *member.Member
	Gateway *gateway.Gateway

	cfg     Config
	started atomic.Bool
	// address is set by Meet, before the worker joins.
	address string
}

// New returns a worker that has not joined yet.
func New(cfg Config) (*Worker, error) {
	w := &Worker{cfg: cfg}
	w.Member = member.New(member.Config{Client: cfg.Client, Join: cfg.Join, Announce: w.announcement, Logger: cfg.Logger, Clock: cfg.Clock})
	var err error
	w.Host, err = host.New(host.Config{Cluster: w.Member, Logger: cfg.Logger, ShutdownGrace: cfg.Grace, Limits: cfg.Limits})
	if err != nil {
		return nil, err
	}
	w.Member.Serve(w.Host)
	w.Gateway = gateway.New(newCatalog(w))
	return w, nil
}

// RegisterActor makes the worker serve an actor type. It fails after Start.
func (w *Worker) RegisterActor(typ *actor.Type) error {
	if w.started.Load() {
		return fmt.Errorf("register %s: the host runs already; register before Run", typ.Service.FullName())
	}
	return w.Host.RegisterActor(typ)
}

// Start comes before Run, and before what Run needs is opened. It fails the second time.
func (w *Worker) Start() error {
	if !w.started.CompareAndSwap(false, true) {
		return errors.New("a stopped host does not start again: Run was called twice")
	}
	return nil
}

// Meet opens the port at which other workers reach this one, and returns the parts that
// serve there. It comes between Start and Run, if at all; where it fails, Abandon follows.
func (w *Worker) Meet() (Parts, error) {
	listener, address, err := w.cfg.Place.Listen()
	if err != nil {
		return Parts{}, err
	}
	peers, err := w.newPeers(listener)
	if err != nil {
		_ = listener.Close() // nobody has used it
		return Parts{}, err
	}
	w.address = address
	return Parts{Serve: peers.serve, Shutdown: peers.shutdown}, nil
}

// Address is where other workers reach this one, from Meet on; "" is nowhere.
func (w *Worker) Address() string { return w.address }

// Parts are what a worker runs beside its host and its membership. A part that is nil
// is not there.
type Parts struct {
	// Serve answers other workers until Shutdown, which waits for the calls that run.
	Serve    func() error
	Shutdown func(grace time.Duration)
	// Runtime is the runtime of the cluster, in this process, until its context ends. It
	// is the first to start and the last to stop.
	Runtime func(ctx context.Context) error
}

// serve is Serve as a part, which Shutdown ends.
func (p Parts) serve() func(context.Context) error {
	if p.Serve == nil {
		return nil
	}
	return func(context.Context) error { return p.Serve() }
}

// Run joins the cluster and serves until ctx ends or a part fails; then it hands the
// actors over and leaves, within the grace. Without a runtime nothing can be handed over
// and no turn can commit: when that fails, all ends at once.
func (w *Worker) Run(ctx context.Context, parts Parts) error {
	runtime, membership, port := start(parts.Runtime), start(w.Member.Run), start(parts.serve())
	grace := w.cfg.Grace
	select {
	case <-ctx.Done():
	case <-port.over:
	case <-membership.over:
	case <-runtime.over:
		grace = 0
	}
	ends := time.Now().Add(grace)
	if !runtime.ended() {
		w.Member.Drain(grace)
	}
	if parts.Shutdown != nil {
		parts.Shutdown(time.Until(ends))
	}
	drained := w.Host.Drain(time.Until(ends)) // its last turns still commit
	return errors.Join(drained, port.end(), membership.end(), runtime.end())
}

// Abandon ends a worker that was started and cannot run, since something that it needs
// could not be opened: whoever calls is told so instead of waiting for it.
func (w *Worker) Abandon() {
	ended, end := context.WithCancel(context.Background())
	end()
	_ = w.Member.Run(ended) // joins nothing
	_ = w.Host.Drain(w.cfg.Grace)
}

// part is a goroutine of a worker.
type part struct {
	stop context.CancelFunc
	// over is closed when the part has ended, with err.
	over chan struct{}
	err  error
}

// start runs a part; nil is one that does nothing until it is stopped.
func start(run func(ctx context.Context) error) *part {
	ctx, stop := context.WithCancel(context.Background())
	p := &part{stop: stop, over: make(chan struct{})}
	go func() {
		defer close(p.over)
		if run == nil {
			<-ctx.Done()
			return
		}
		p.err = run(ctx)
	}()
	return p
}

// ended reports whether a part has ended by itself.
func (p *part) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// end stops a part, waits for it, and returns how it ended.
func (p *part) end() error {
	p.stop()
	<-p.over
	return p.err
}
