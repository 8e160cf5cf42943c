package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
)

// benchListed is how many actors are listed. What a page takes does not depend on it.
const benchListed = 20_000

// BenchmarkListActors lists actors in pages of 1,000.
func BenchmarkListActors(b *testing.B) {
	s := mustOpen(b, Config{ConnectionString: pgtest.StartOnDisk(b).Database(b)})
	own(b, s, "w1")
	for n := 0; n < benchListed; {
		var records []*runtimev1.Record
		for range 1_000 {
			records = append(records, record(fmt.Sprintf("a%08d", n), nil, identity(1, 1), fresh()))
			n++
		}
		if _, _, err := s.Commit(context.Background(), "w1", records); err != nil {
			b.Fatal(err)
		}
	}
	var ours, longest time.Duration
	rows := 0
	for b.Loop() {
		req := &runtimev1.ListActorsRequest{Type: "cart", Limit: store.MaxListed}
		for more := true; more; more = req.GetAfter() != "" {
			began := time.Now()
			page, err := s.ListActors(context.Background(), req)
			if err != nil {
				b.Fatal(err)
			}
			took := time.Since(began)
			ours, longest = ours+took, max(longest, took)
			rows += len(page.GetActors())
			req.After = page.GetNext()
		}
	}
	b.ReportMetric(float64(rows)/ours.Seconds(), "rows/s")
	b.ReportMetric(float64(longest.Microseconds())/1_000, "ms/longest-page")
}
