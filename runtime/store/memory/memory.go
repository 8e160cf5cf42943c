// Package memory is a store that lives as long as its process: for tests, and for a
// runtime that shall forget everything. It passes the same suite as the others.
package memory

import (
	"context"
	cryptorand "crypto/rand"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// forgetAtOnce bounds the identities that one call of Forget drops.
const forgetAtOnce = 1_000

// Store is a store.Store in memory.
type Store struct {
	cluster.Keeper

	mu sync.Mutex
	// table, actors, order, tasks and closed are under mu.
	table  *cluster.Table
	actors map[actorKey]row
	// order has the keys of actors.
	order  ordered[actorKey]
	tasks  shelf
	closed bool
	now    func() time.Time
	random func() float64
	// branches counts the branches of this store and of its copies.
	branches *atomic.Uint64

	failed chan struct{}
}

type actorKey struct{ typ, id string }

// row is an actor. Its state is never changed, only replaced.
type row struct {
	state *runtimev1.State
	// emptied is when the actor lost its state; zero while it has one.
	emptied time.Time
	// expires is when its state expires, in Unix microseconds; 0 for never.
	expires int64
	// keys are its idempotency keys, the oldest first.
	keys []key
}

// key is an idempotency key, with its reply, and when it was committed.
type key struct {
	*runtimev1.Key
	since time.Time
}

// Config is what a store takes from outside.
type Config struct {
	// Now is its clock; nil means time.Now.
	Now func() time.Time
	// Random returns the numbers from 0 up to 1 by which tasks are spread in time; nil
	// means rand.Float64.
	Random func() float64
}

// New is an empty store of a new cluster.
func New() *Store { return Open(Config{}) }

// NewAt is an empty store with a clock of its own, for tests.
func NewAt(now func() time.Time) *Store { return Open(Config{Now: now}) }

// Open is an empty store of a new cluster.
func Open(config Config) *Store {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Random == nil {
		config.Random = rand.Float64
	}
	s := &Store{
		now:      config.Now,
		random:   config.Random,
		table:    cluster.NewTable(store.Cluster{ID: cryptorand.Text(), Generation: 1}),
		actors:   map[actorKey]row{},
		order:    newOrder(),
		tasks:    newShelf(),
		branches: &atomic.Uint64{},
		failed:   make(chan struct{}),
	}
	s.Keeper = cluster.NewKeeper(shell{s}, config.Now)
	s.branch()
	return s
}

// branch begins a branch.
func (s *Store) branch() { s.table.Cluster = s.table.Cluster.Branched(s.branches.Add(1)) }

// Copy is a store of its own that holds what this one holds now, as a backup does that is
// opened.
func (s *Store) Copy() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Open(Config{Now: s.now, Random: s.random})
	c.table, c.actors, c.order, c.tasks, c.branches = s.table.Clone(), maps.Clone(s.actors), s.order.clone(), s.tasks.clone(), s.branches
	c.branch()
	return c
}

// Failed implements store.Store; memory never fails.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close implements store.Store. What was stored is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// enter locks the store for a caller that still wants something.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if err := s.down(); err != nil {
		s.mu.Unlock()
		return err
	}
	return nil
}

// down says why the store cannot serve, or nil; it is called under mu.
func (s *Store) down() error {
	switch {
	case s.closed:
		return store.ErrClosed
	case s.table.Cluster.ID == "":
		return store.ErrUnfinished
	}
	return nil
}

// shell is the store, as its keeper sees it.
type shell struct{ *Store }

// Change implements cluster.Driver.
func (s shell) Change(ctx context.Context, transition func(*cluster.Table) (cluster.Change, error)) (store.Counter, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	change, err := transition(s.table)
	if err != nil {
		return 0, err
	}
	s.table.Apply(change)
	return s.table.Cluster.Counter, nil
}

// Read implements cluster.Driver.
func (s shell) Read(read func(*cluster.Table)) error {
	if err := s.enter(context.Background()); err != nil {
		return err
	}
	defer s.mu.Unlock()
	read(s.table)
	return nil
}
