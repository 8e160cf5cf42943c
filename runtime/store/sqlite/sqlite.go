package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// Config says which file to open, and how.
type Config struct {
	// Path is the database file; it is created when it is missing, its folder is not.
	Path string
	// Readers is the number of connections that read; 0 means 2.
	Readers int

	// Logger is told when the file was put back to an older copy, and when another process
	// keeps its log from being emptied; nil for nobody.
	Logger *slog.Logger
	// Now is the clock by which keys expire and the dead are forgotten; nil means
	// time.Now. Tests set it.
	Now func() time.Time
	// Random returns the numbers from 0 up to 1 by which tasks are spread in time; nil
	// means rand.Float64. Tests set it.
	Random func() float64

	// pragmas run on the writer's connection after all others.
	pragmas []string
	// restoring is true when nothing but Restore shall happen.
	restoring bool
}

func (c Config) withDefaults() Config {
	if c.Readers == 0 {
		c.Readers = 2
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Store is a store.Store in a SQLite file.
type Store struct {
	cluster.Keeper

	path    string
	lock    *os.File
	held    *held
	writer  *writer
	readers []*reader
	loads   *queue.Queue[*loadCall]
	pager   *pager
	pages   *queue.Queue[*pageCall]

	// witnessing guards the file of the witness, and witnessed is what it said when the
	// store was opened to be restored.
	witnessing sync.Mutex
	witnessed  store.Cluster

	// ended is closed when the store closes.
	ended   chan struct{}
	serving sync.WaitGroup
	closing sync.Once
	closed  error
}

// Open opens the file, and makes or upgrades what is missing in it. A file that is
// not ours is refused before anything is written to it.
func Open(config Config) (*Store, error) {
	config = config.withDefaults()
	s := &Store{path: config.Path, ended: make(chan struct{}), loads: queue.New[*loadCall](), pages: queue.New[*pageCall](), held: &held{failed: make(chan struct{})}}
	if err := s.open(config); err != nil {
		return nil, fmt.Errorf("open the store %s: %w", config.Path, errors.Join(err, s.release()))
	}
	s.Keeper = cluster.NewKeeper(shell{s}, config.Now)
	s.serving.Go(s.writer.run)
	s.serving.Go(s.witness)
	for _, r := range s.readers {
		s.serving.Go(r.run)
	}
	s.serving.Go(s.pager.run)
	return s, nil
}

// open takes the file's lock, makes durable what is in its log, and opens its writer and
// its readers, in this order.
func (s *Store) open(config Config) (err error) {
	if s.lock, err = claim(config.Path); err != nil {
		return err
	}
	if err := inspect(config.Path); err != nil {
		return err
	}
	if err := syncLog(config.Path); err != nil {
		return err
	}
	if err := s.openWriter(config); err != nil {
		return err
	}
	if err := s.confront(config); err != nil {
		return err
	}
	if err := s.openReaders(config); err != nil {
		return err
	}
	return s.openPager(config)
}

func (s *Store) openWriter(config Config) error {
	c, err := dial(config.Path, "rw")
	if err != nil {
		return err
	}
	s.writer = &writer{conn: c} // released with the rest when something fails below
	if err := prepareFile(c, config); err != nil {
		return err
	}
	if s.held.table, err = loadTable(c); err != nil {
		return err
	}
	s.held.table.Cluster = s.held.table.Cluster.Branched(newBranch())
	if s.writer, err = newWriter(c, s.held, config); err != nil {
		s.writer = &writer{conn: c}
	}
	return err
}

// newBranch is the id of a branch.
func newBranch() uint64 { return rand.Uint64() | 1 }

func (s *Store) openReaders(config Config) error {
	for range config.Readers {
		c, err := dialReader(config.Path)
		if err != nil {
			return err
		}
		s.readers = append(s.readers, &reader{conn: c})
		r, err := newReader(c, s.held, s.loads, config.Now)
		if err != nil {
			return err
		}
		s.readers[len(s.readers)-1] = r
	}
	return nil
}

func (s *Store) openPager(config Config) error {
	c, err := dialReader(config.Path)
	if err != nil {
		return err
	}
	if s.pager, err = newPager(c, s.held, config, s.pages); err != nil {
		s.pager = &pager{conn: c} // released with the rest
	}
	return err
}

// dialReader opens a connection that reads.
func dialReader(path string) (*conn, error) {
	c, err := dial(path, "rw") // "ro" could not use the log of a crashed runtime
	if err != nil {
		return nil, err
	}
	if err := configure(c, readerPragmas); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// release closes what is open. The writer's connection is the last, it moves the
// rest of the log into the file.
func (s *Store) release() error {
	var errs []error
	for _, r := range s.readers {
		errs = append(errs, r.conn.Close())
	}
	if s.pager != nil {
		errs = append(errs, s.pager.conn.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.conn.Close())
	}
	if s.lock != nil {
		errs = append(errs, abandon(s.lock))
	}
	return errors.Join(errs...)
}

// Failed implements store.Store.
func (s *Store) Failed() <-chan struct{} { return s.held.failed }

// Close implements store.Store.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.held.close()
		close(s.ended)
		queue.Refuse(s.writer.queue.Close(), store.ErrClosed)
		queue.Refuse(s.loads.Close(), store.ErrClosed)
		queue.Refuse(s.pages.Close(), store.ErrClosed)
		s.serving.Wait()
		s.closed = s.release()
	})
	return s.closed
}

// Load implements store.Records.
func (s *Store) Load(ctx context.Context, worker string, reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	return queue.Ask(ctx, s.loads, load{worker: worker, reads: reads})
}

// Commit implements store.Records.
func (s *Store) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	if err := store.CheckRecords(records); err != nil {
		return nil, store.Moved{}, err
	}
	return tasks.CommitInParts(records, apart(&runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_DAMAGED},
		func(part []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
			answer, err := queue.Ask(ctx, s.writer.queue, write{worker: worker, records: part})
			return answer.results, answer.moved(), err
		}))
}

// shell is the store, as its keeper sees it.
type shell struct{ *Store }

// Change implements cluster.Driver.
func (s shell) Change(ctx context.Context, transition func(*cluster.Table) (cluster.Change, error)) (store.Counter, error) {
	answer, err := queue.Ask(ctx, s.writer.queue, write{transition: transition})
	return answer.point.Counter, err
}

// Read implements cluster.Driver.
func (s shell) Read(read func(*cluster.Table)) error { return s.held.read(read) }

var (
	_ store.Store    = (*Store)(nil)
	_ cluster.Driver = shell{}
)
