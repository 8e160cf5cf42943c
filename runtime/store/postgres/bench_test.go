package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

const (
	benchActors = 1_000
	benchBytes  = 256
	// benchChunk is how many rows each side writes in turn, so that both meet the same
	// moods of the machine.
	benchChunk = 2_048
)

// BenchmarkCommit writes records of 1,000 actors from concurrent callers, in turn with its
// floor: the same upserts into a bare table, those that wait in one statement and one
// transaction.
func BenchmarkCommit(b *testing.B) {
	server := pgtest.StartOnDisk(b)
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			database := server.Database(b)
			s := mustOpen(b, Config{ConnectionString: database})
			own(b, s, "w1")
			actors := &actors{store: s}
			floor := newFloor(b, database)
			spread(64, benchActors, actors.commit)
			spread(64, benchActors, floor.upsert)
			chunk := min(benchChunk, callers*128)
			var ours, bare time.Duration
			rows := 0
			for b.Loop() {
				ours += spread(callers, chunk, actors.commit)
				bare += spread(callers, chunk, floor.upsert)
				rows += chunk
			}
			b.ReportMetric(float64(rows)/ours.Seconds(), "rows/s")
			b.ReportMetric(float64(rows)/bare.Seconds(), "group-floor-rows/s")
			b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-group-floor")
		})
	}
}

// BenchmarkLoad reads actors from concurrent callers, one in a call.
func BenchmarkLoad(b *testing.B) {
	server := pgtest.StartOnDisk(b)
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := mustOpen(b, Config{ConnectionString: server.Database(b)})
			own(b, s, "w1")
			spread(64, benchActors, (&actors{store: s}).commit)
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

// fresh returns data that was not written before.
func fresh() []byte {
	return binary.BigEndian.AppendUint64(make([]byte, benchBytes-8, benchBytes), drawn.Add(1))
}

var drawn atomic.Uint64

// spread runs work for the numbers below n on concurrent callers. Each has numbers of its
// own, so that no two write one actor at once.
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

// actors are actors that commit, one record after the other.
type actors struct {
	store *Store
	locks [benchActors]sync.Mutex
	next  [benchActors]uint64
}

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
	results, _, err := a.store.Commit(context.Background(), "w1", []*runtimev1.Record{r})
	if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
		panic(fmt.Sprint(results, err))
	}
}

// floor is the least that a durable write can cost here: what is waiting goes as one
// statement into one transaction.
type floor struct {
	conn    *pgx.Conn
	waiting *queue.Queue[floorCall]
}

type floorCall struct {
	key  string
	data []byte
	done chan struct{}
}

func newFloor(b *testing.B, database string) *floor {
	b.Helper()
	c, err := pgx.Connect(context.Background(), database)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Exec(context.Background(), "CREATE TABLE kv (k TEXT PRIMARY KEY, v BYTEA) WITH (fillfactor = 70)"); err != nil {
		b.Fatal(err)
	}
	f := &floor{conn: c, waiting: queue.New[floorCall]()}
	var serving sync.WaitGroup
	serving.Go(f.run)
	b.Cleanup(func() {
		f.waiting.Close()
		serving.Wait()
		_ = c.Close(context.Background())
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
		if len(calls) > 0 {
			f.write(calls)
		}
		if !open {
			return
		}
	}
}

func (f *floor) write(calls []floorCall) {
	keys, values := make([]string, len(calls)), make([][]byte, len(calls))
	for i, c := range calls {
		keys[i], values[i] = c.key, c.data
	}
	_, err := f.conn.Exec(context.Background(), `INSERT INTO kv SELECT DISTINCT ON (r.k) r.k, r.v FROM unnest($1::text[], $2::bytea[]) AS r (k, v)
		ORDER BY r.k ON CONFLICT (k) DO UPDATE SET v = excluded.v`, keys, values)
	if err != nil {
		panic(err)
	}
	for _, c := range calls {
		close(c.done)
	}
}
