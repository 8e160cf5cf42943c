package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// benchTasks is how many tasks wait while others are set, completed and read.
const benchTasks = 100_000

// BenchmarkTasks sets and completes jobs, one of each call, from concurrent callers, in
// turn with the floor: as many bare upserts in group commits. To complete one is a record
// of its actor and the end of the job. Beside them 100,000 tasks wait.
func BenchmarkTasks(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchStore(b)
			waiting(b, s, benchTasks)
			actors, floor := newBenchActors(s), newFloor(b)
			chunk := min(benchActors, callers*16)
			var set, complete, bare time.Duration
			rows := 0
			for b.Loop() {
				set += spread(callers, chunk, func(i int) {
					moved, err := trySet(context.Background(), s, jobOf(fmt.Sprint("a", i), fmt.Sprint(drawn.Add(1)), string(fresh())))
					if err != nil {
						panic(err)
					}
					actors.deliver(i, moved.Moves[0].Task)
				})
				complete += spread(callers, chunk, actors.commit)
				bare += spread(callers, chunk, floor.upsert)
				rows += chunk
			}
			b.ReportMetric(float64(rows)/set.Seconds(), "set/s")
			b.ReportMetric(float64(rows)/complete.Seconds(), "completed/s")
			b.ReportMetric(float64(rows)/bare.Seconds(), "group-floor-rows/s")
			b.ReportMetric(bare.Seconds()/set.Seconds(), "set-of-floor")
			b.ReportMetric(bare.Seconds()/complete.Seconds(), "completed-of-floor")
		})
	}
}

// BenchmarkDue reads 100,000 tasks in pages of 1,000, in turn with the floor: a bare scan
// of as many rows.
func BenchmarkDue(b *testing.B) {
	s := benchStore(b)
	waiting(b, s, benchTasks)
	var ours, bare time.Duration
	rows := 0
	for b.Loop() {
		began := time.Now()
		query := store.DueQuery{Type: "cart", Until: time.Now(), Limit: 1_000}
		for more := true; more; {
			page, err := s.Due(context.Background(), query)
			ok(b, err)
			rows += len(page.Tasks)
			query.After, more = page.End, page.More
		}
		ours += time.Since(began)
		began = time.Now()
		onPager(b, s, func(p *pager) error {
			return p.conn.each("SELECT task FROM tasks", func(row *columns) { _ = row.bytes() })
		})
		bare += time.Since(began)
	}
	b.ReportMetric(float64(rows)/ours.Seconds(), "rows/s")
	b.ReportMetric(float64(rows)/bare.Seconds(), "scan-floor-rows/s")
}

// waiting sets tasks of many actors that are due one after the other, since a day.
func waiting(b *testing.B, s *Store, n int) {
	b.Helper()
	begin := time.Now().Add(-24 * time.Hour)
	for n > 0 {
		var tasks []*runtimev1.Task
		for range min(n, 1_000) {
			n--
			task := jobOf(fmt.Sprint("w", n%10_000), fmt.Sprint("waiting", n), string(fresh()))
			task.Timing = &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(begin.Add(time.Duration(n) * time.Second / 2))}}
			tasks = append(tasks, task)
		}
		set(b, s, tasks...)
	}
}

// deliver lets the next record of an actor complete a delivery.
func (a *actors) deliver(i int, s *runtimev1.ScheduledTask) { a.delivered[i%benchActors].Store(s) }

type delivered [benchActors]atomic.Pointer[runtimev1.ScheduledTask]
