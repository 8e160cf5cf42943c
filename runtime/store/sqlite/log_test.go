package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// While writers write and readers read without a pause, the log stays bounded; and a
// closed store leaves none.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	total := 192 << 20
	if testing.Short() {
		total = 48 << 20
	}
	done := make(chan struct{})
	var reading sync.WaitGroup
	for range 4 {
		reading.Go(func() { readUntil(t, s, done) })
	}
	longest := int64(0)
	data := make([]byte, 64<<10)
	for i := range total / len(data) / 16 {
		var records []*runtimev1.Record
		for k := range 16 {
			base := (*runtimev1.Identity)(nil)
			if i > 0 {
				base = identity(1, uint64(i))
			}
			records = append(records, record(fmt.Sprint("a", k), base, identity(1, uint64(i)+1), data))
		}
		_, _, err := s.Commit(t.Context(), "w1", records)
		ok(t, err)
		if info, err := os.Stat(path + "-wal"); err == nil {
			longest = max(longest, info.Size())
		}
	}
	close(done)
	reading.Wait()
	t.Logf("the log of %d MiB was at most %d MiB long", total>>20, longest>>20)
	if longest > logKept {
		t.Errorf("the log grew to %d bytes; at most %d are allowed", longest, logKept)
	}
	mustClose(t, s)
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a closed store left its log: %v", err)
	}
}

func readUntil(t *testing.T, s *Store, done <-chan struct{}) {
	var reads []*runtimev1.LoadRequest_Read
	for k := range 16 {
		reads = append(reads, readOf(fmt.Sprint("a", k)))
	}
	for {
		select {
		case <-done:
			return
		default:
		}
		if _, err := s.Load(t.Context(), "w1", reads); err != nil {
			t.Error(err)
			return
		}
	}
}
