package postgres

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

const (
	defaultLanes   = 4
	defaultReaders = 2
)

// Config says which database to use, and how.
type Config struct {
	// ConnectionString is a URL or a list of settings as in PostgreSQL's own tools. With
	// several hosts the one is used that accepts writes. It may hold a password, so it is
	// never logged.
	ConnectionString string
	// Lanes is the number of transactions that commit records at the same time; 0 means 4.
	Lanes int
	// Readers is the number of transactions that load at the same time; 0 means 2.
	Readers int

	// Logger is told when the database stops answering and when it answers again; nil for
	// nobody.
	Logger *slog.Logger
	// Now is the clock by which keys expire, tasks are due and the dead are forgotten; nil
	// means that of the database. Tests set it.
	Now func() time.Time
	// Random returns the numbers from 0 up to 1 by which tasks are spread in time; nil
	// means rand.Float64. Tests set it.
	Random func() float64

	// judged runs, where it is set, when a group is judged and not written yet.
	judged func()
	// unlocked leaves out the lock on the shards: the fence that loses.
	unlocked bool
}

func (c Config) withDefaults() Config {
	if c.Lanes == 0 {
		c.Lanes = defaultLanes
	}
	if c.Readers == 0 {
		c.Readers = defaultReaders
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Store is a store.Store in a PostgreSQL database.
type Store struct {
	cluster.Keeper

	config Config
	pool   *pgxpool.Pool
	health *health
	// readCluster reads the row of the cluster, and who is asked for it; branches are the last
	// ones that were read.
	readCluster string
	branches    atomic.Pointer[[]store.Branch]

	lanes []*lane
	loads *queue.Queue[*loadCall]
	seed  maphash.Seed

	// work ends when the store has closed and nobody waits for an answer any more.
	work    context.Context
	stop    context.CancelFunc
	gate    gate
	serving sync.WaitGroup
	closing sync.Once
	failed  chan struct{}
	told    tasks.Told
}

// openPatience bounds how long a store may take to open: another runtime may be upgrading
// the database.
const openPatience = time.Minute

// Open connects to the database, and makes or upgrades what is missing in it. Several
// runtimes may do so at the same time. It fails when ctx ends before it is done.
func Open(ctx context.Context, config Config) (*Store, error) {
	config = config.withDefaults()
	s := &Store{
		config: config, health: &health{logger: config.Logger}, seed: maphash.MakeSeed(),
		loads: queue.New[*loadCall](), failed: make(chan struct{}),
	}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return nil, fmt.Errorf("open the store in PostgreSQL: %w", err)
	}
	s.work, s.stop = context.WithCancel(context.Background())
	s.Keeper = cluster.NewKeeper(shell{s}, s.now)
	for range config.Lanes {
		l := &lane{store: s, queue: queue.New[*writeCall]()}
		s.lanes = append(s.lanes, l)
		s.serving.Go(l.run)
	}
	for range config.Readers {
		s.serving.Go(s.read)
	}
	return s, nil
}

// connect opens the pool, and the database is ready after it.
func (s *Store) connect(ctx context.Context) error {
	pool, err := dial(ctx, s.config)
	if err != nil {
		return err
	}
	if err := migrate(ctx, pool, migrations); err != nil {
		pool.Close()
		return err
	}
	s.pool = pool
	if err := s.beginHistory(ctx); err != nil {
		pool.Close()
		return err
	}
	return nil
}

// Failed implements store.Store: a database that fails may come back.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close implements store.Store.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.gate.close()
		for _, l := range s.lanes {
			queue.Refuse(l.queue.Close(), store.ErrClosed)
		}
		queue.Refuse(s.loads.Close(), store.ErrClosed)
		s.serving.Wait()
		s.gate.wait()
		s.stop()
		s.pool.Close()
	})
	return nil
}

// laneOf is the lane of a worker, who alone owns its shards.
func (s *Store) laneOf(worker string) *lane {
	return s.lanes[maphash.String(s.seed, worker)%uint64(len(s.lanes))]
}

// Commit implements store.Records.
func (s *Store) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	return requester{Store: s}.Commit(ctx, worker, records)
}

// Load implements store.Records.
func (s *Store) Load(ctx context.Context, worker string, reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	return requester{Store: s}.Load(ctx, worker, reads)
}

// After implements store.Checked.
func (s *Store) After(seen store.Point) store.Requests { return requester{s, seen} }

// requester is the store for who has seen a point.
type requester struct {
	*Store

	seen store.Point
}

// Commit implements store.Requests.
func (s requester) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	if err := store.CheckRecords(records); err != nil {
		return nil, store.Moved{}, err
	}
	if err := checkTexts(records); err != nil {
		return nil, store.Moved{}, err
	}
	return tasks.CommitInParts(records, func(part []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
		answer, err := queue.Ask(ctx, s.laneOf(worker).queue, write{worker: worker, seen: s.seen, records: part})
		return answer.results, answer.moved(), err
	})
}

// Load implements store.Requests.
func (s requester) Load(ctx context.Context, worker string, reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	return queue.Ask(ctx, s.loads, load{worker: worker, seen: s.seen, reads: reads})
}

// now is the clock of a test, or that of this machine where no other one is at hand.
func (s *Store) now() time.Time {
	if s.config.Now != nil {
		return s.config.Now()
	}
	return time.Now()
}

// gate counts the calls that run on their callers' goroutines, until the store closes.
type gate struct {
	mu      sync.RWMutex
	closed  bool // under mu
	running sync.WaitGroup
}

// enter lets a call in that still wants something. Who is let in must leave.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return store.ErrClosed
	}
	g.running.Add(1)
	return nil
}

func (g *gate) leave() { g.running.Done() }

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) wait() { g.running.Wait() }

var (
	_ store.Store   = (*Store)(nil)
	_ store.Shared  = (*Store)(nil)
	_ store.Checked = (*Store)(nil)
)
