package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

const (
	benchActors = 1_000
	benchBytes  = 256
	// benchChunk is how many rows each side writes in turn, so that both meet the
	// same moods of the machine.
	benchChunk = 4_096
)

// BenchmarkCommit writes records of 1,000 actors from concurrent callers, in turn
// with its floors: the same upserts into a bare table, one a transaction (from one
// caller) and in group commits (from as many).
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchStore(b)
			actors := newBenchActors(s)
			floor := newFloor(b)
			chunk := min(benchChunk, callers*256)
			var ours, bare, single time.Duration
			rows := 0
			for b.Loop() {
				ours += spread(callers, chunk, actors.commit)
				bare += spread(callers, chunk, floor.upsert)
				single += spread(1, chunk/16, floor.upsert)
				rows += chunk
			}
			rate := func(rows int, took time.Duration) float64 { return float64(rows) / took.Seconds() }
			b.ReportMetric(rate(rows, ours), "rows/s")
			b.ReportMetric(rate(rows, bare), "group-floor-rows/s")
			b.ReportMetric(rate(rows/16, single), "single-floor-rows/s")
			b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-group-floor")
			b.ReportMetric(rate(rows, ours)/rate(rows/16, single), "of-single-floor")
		})
	}
}

// BenchmarkLoad reads actors from concurrent callers, one in a call.
func BenchmarkLoad(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchStore(b)
			actors := newBenchActors(s)
			spread(64, benchActors, actors.commit)
			var took time.Duration
			rows := 0
			for b.Loop() {
				took += spread(callers, benchChunk, func(i int) {
					if got := loadOne(b, s, "w1", fmt.Sprint("a", i%benchActors)); len(got.GetState().GetData()) != benchBytes {
						b.Error(got)
					}
				})
				rows += benchChunk
			}
			b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
		})
	}
}

// fresh returns data that was not written before: SQLite skips a write that changes
// nothing.
func fresh() []byte {
	return binary.BigEndian.AppendUint64(make([]byte, benchBytes-8, benchBytes), drawn.Add(1))
}

var drawn atomic.Uint64

// spread runs work for the numbers below n on concurrent callers. Each has numbers
// of its own, so that no two write one actor at once.
func spread(callers, n int, work func(i int)) time.Duration {
	began := time.Now()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < n; i += callers {
				work(i)
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func benchStore(b *testing.B) *Store {
	b.Helper()
	s := mustOpen(b, Config{Path: filepath.Join(b.TempDir(), "data.db")})
	b.Cleanup(func() { mustClose(b, s) })
	own(b, s, "w1")
	return s
}

// actors are actors that commit, one record after the other.
type actors struct {
	store *Store
	locks [benchActors]sync.Mutex
	next  [benchActors]uint64
	// delivered is what the next record completes, if anything.
	delivered delivered
}

func newBenchActors(s *Store) *actors { return &actors{store: s} }

func (a *actors) commit(i int) {
	i %= benchActors
	a.locks[i].Lock()
	defer a.locks[i].Unlock()
	base := (*runtimev1.Identity)(nil)
	if a.next[i] > 0 {
		base = identity(uint64(i)+1, a.next[i])
	}
	a.next[i]++
	r := record(fmt.Sprint("a", i), base, identity(uint64(i)+1, a.next[i]), fresh())
	if s := a.delivered[i].Swap(nil); s != nil {
		r = completion(r, s)
	}
	results, _, err := a.store.Commit(context.Background(), "w1", []*runtimev1.Record{r})
	if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
		panic(fmt.Sprint(results, err))
	}
}

// floor is the least that a durable write can cost here: what is waiting goes as
// bare upserts into one transaction.
type floor struct {
	waiting                  *queue.Queue[floorCall]
	begin, commit, statement *stmt
}

type floorCall struct {
	key  string
	data []byte
	done chan struct{}
}

func newFloor(b *testing.B) *floor {
	b.Helper()
	path := filepath.Join(b.TempDir(), "floor.db")
	ok(b, inspect(path))
	c, err := dial(path, "rw")
	ok(b, err)
	for _, statement := range []string{
		"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
		"CREATE TABLE kv (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID",
	} {
		ok(b, c.exec(statement))
	}
	f := &floor{waiting: queue.New[floorCall]()}
	f.begin, err = c.keep("BEGIN IMMEDIATE")
	ok(b, err)
	f.commit, err = c.keep("COMMIT")
	ok(b, err)
	f.statement, err = c.keep("INSERT INTO kv VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v")
	ok(b, err)
	var serving sync.WaitGroup
	serving.Go(f.run)
	b.Cleanup(func() {
		f.waiting.Close()
		serving.Wait()
		ok(b, c.Close())
	})
	return f
}

func (f *floor) upsert(i int) {
	call := floorCall{key: fmt.Sprint("a", i%benchActors), data: fresh(), done: make(chan struct{})}
	f.waiting.Put(call)
	<-call.done
}

func (f *floor) run() {
	for {
		calls, open := f.waiting.Take()
		f.write(calls)
		if !open {
			return
		}
	}
}

func (f *floor) write(calls []floorCall) {
	err := f.begin.exec()
	for _, c := range calls {
		if err == nil {
			err = f.statement.exec(c.key, c.data)
		}
	}
	if err == nil {
		err = f.commit.exec()
	}
	if err != nil {
		panic(err)
	}
	for _, c := range calls {
		close(c.done)
	}
}
