package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	// remember is for how long the store remembers the dead.
	remember = time.Hour
	// sweepInterval is the time between two sweeps.
	sweepInterval = time.Minute
	// retryInterval is how long a loop waits after the store failed.
	retryInterval = time.Second
)

// Engine is the runtime. Its methods may be called concurrently, from New on; what
// needs the cluster table waits until Run has read it.
type Engine struct {
	cfg   Config
	store store.Store
	log   *slog.Logger
	gate  *gate
	marks *marks
	board *board
	tasks *dispatcher
	// follower keeps the board up with other engines.
	follower *follower

	// loaded is closed when the board holds what the store does.
	loaded chan struct{}
	// planning is held by whoever plans, announcing by whoever registers types: both
	// decide on what they see, and write it.
	planning, announcing slot
	// reading is held by whoever reads what the store says of the cluster, until the board has
	// it: what comes from other engines has no counter of its own, so a late reading would be
	// taken for a newer one, and bury who has joined meanwhile.
	reading slot
	// woken wakes the planner.
	woken chan struct{}
	// doubtful is true when a change of placement failed, so that nobody knows
	// whether the board is still right.
	doubtful atomic.Bool
	ran      atomic.Bool
	// newID draws a worker id.
	newID func() string
}

// New makes an engine over a store.
func New(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cluster, err := cfg.Store.Cluster(context.Background())
	if err != nil {
		return nil, fmt.Errorf("engine: read the identity of the cluster: %w", err)
	}
	e := &Engine{
		cfg: cfg, store: cfg.Store, log: cfg.Logger,
		gate:     newGate(),
		marks:    newMarks(cluster.ID),
		board:    newBoard(rand.Text()),
		loaded:   make(chan struct{}),
		planning: newSlot(), announcing: newSlot(), reading: newSlot(),
		woken: make(chan struct{}, 1),
		newID: func() string { return strings.ToLower(rand.Text()) },
	}
	e.tasks = newDispatcher(e)
	e.follower = newFollower(e)
	return e, nil
}

// Lease is how long the lease of a worker lasts.
func (e *Engine) Lease() time.Duration { return e.cfg.Lease }

// Run judges the workers, places the shards and dispatches what is due until ctx ends.
// Then it refuses new requests, ends every Watch, waits for the requests that run, and
// returns nil. It returns an error when the store can promise nothing any more. It runs
// once.
func (e *Engine) Run(ctx context.Context) error {
	if e.ran.Swap(true) {
		return errors.New("engine: Run was called before")
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){e.plan, e.judge, e.sweep, e.tasks.run, e.follower.run} {
		loops.Go(func() { loop(work) })
	}
	err := e.outlive(ctx)
	e.gate.close()
	stop()
	loops.Wait()
	e.gate.wait()
	return err
}

// outlive waits for the end of ctx or of the store.
func (e *Engine) outlive(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-e.store.Failed():
		return fmt.Errorf("engine: %w", store.ErrFatal)
	}
}

// sweep lets the store forget, a piece at a time.
func (e *Engine) sweep(ctx context.Context) {
	for deadline.Sleep(ctx, sweepInterval) {
		more, err := true, error(nil)
		for more && err == nil && ctx.Err() == nil {
			more, err = e.store.Forget(ctx, remember)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Warn("the store could not be swept; it is tried again", "error", err, "after", sweepInterval)
		}
	}
}

// merge takes over what the store answered to a change, and wakes the planner.
func (e *Engine) merge(change placement.Change) bool {
	changed := e.board.merge(change)
	if changed {
		e.wake()
	}
	return changed
}

// doubt says that a change of placement failed: it may have happened all the same,
// so the planner reads the store before it goes on.
func (e *Engine) doubt() {
	e.doubtful.Store(true)
	e.wake()
}

func (e *Engine) wake() {
	select {
	case e.woken <- struct{}{}:
	default:
	}
}
