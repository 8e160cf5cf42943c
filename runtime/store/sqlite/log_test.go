package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	for i := range total / (64 << 10) / 16 {
		data := changed(uint64(i))
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

// A process that reads the file and does not stop, a backup for example, holds no writer
// up. It keeps the log from beginning anew, which is said aloud, and when it has gone the
// log is as short as ever.
func TestForeignReaderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	var said bytes.Buffer
	s := mustOpen(t, Config{Path: path, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	defer mustClose(t, s)
	own(t, s, "w1")
	foreign, err := dial(path, "rw")
	ok(t, err)
	defer foreign.Close()
	ok(t, foreign.exec("BEGIN"))
	_, err = foreign.number("SELECT count(*) FROM actors")
	ok(t, err)

	var waited []time.Duration
	onWriter(t, s, func() error {
		s.writer.log.waited = func(d time.Duration) { waited = append(waited, d) }
		return nil
	})
	commits := commitMany(t, s, 0, 1_600)
	slices.Sort(commits)
	p99, longest := commits[len(commits)*99/100], commits[len(commits)-1]
	t.Logf("beside a reader that stays 100 MiB were written: p99 %v, longest %v", p99, longest)
	// A few may be slow by themselves, where others use the disk and the processors; T12
	// in internal/chaos measures them. A dozen rounds of the log have at least one each.
	if few := commits[len(commits)-4]; few > patience/2 {
		t.Errorf("one commit after the other took more than %v; nobody shall wait for a foreign reader", few)
	}
	if length := sizeOf(t, path+"-wal"); length < 100<<20 {
		t.Errorf("the log has %d bytes: the reader kept nothing, and nothing was tried", length)
	}
	onWriter(t, s, func() error { // the writer has the logger
		s.writer.log.waited = nil
		if len(waited) != 1 || waited[0] > patience/2 {
			t.Errorf("writers waited %v for a foreign reader; once for %v is enough", waited, logPatience)
		}
		if n := strings.Count(said.String(), "another process reads the database file"); n != 1 {
			t.Errorf("the log's length was told %d times: %s", n, &said)
		}
		return nil
	})
	ok(t, foreign.exec("ROLLBACK"))
	commitMany(t, s, 1_600, 800)
	if length := sizeOf(t, path+"-wal"); length > logKept {
		t.Errorf("the reader has gone and the log still has %d bytes", length)
	}
}

// commitMany commits so many records of 64 KiB of one actor, which has that many already,
// and returns how long each took.
func commitMany(t *testing.T, s *Store, from, n uint64) []time.Duration {
	t.Helper()
	var waits []time.Duration
	for i := from + 1; i <= from+n; i++ {
		base := (*runtimev1.Identity)(nil)
		if i > 1 {
			base = identity(1, i-1)
		}
		began := time.Now()
		results, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{record("a", base, identity(1, i), changed(i))})
		ok(t, err)
		if verdict := results[0].GetVerdict(); verdict != runtimev1.Verdict_VERDICT_APPLIED {
			t.Fatal(verdict)
		}
		waits = append(waits, time.Since(began))
	}
	return waits
}

// changed are 64 KiB, of which each page is another one than in the state before: SQLite
// does not write what is as it was.
func changed(i uint64) []byte { return bytes.Repeat([]byte{byte(i)}, 64<<10) }

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	ok(t, err)
	return info.Size()
}

func readUntil(t *testing.T, s *Store, done <-chan struct{}) {
	var reads []*runtimev1.LoadRequest_Read
	for k := range 2_000 { // much longer than writers wait for readers
		reads = append(reads, readOf(fmt.Sprint("a", k%16)))
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

// A log that has got its place on disk stays as long as that while it is written for the
// first time, and a crash at any moment of it loses nothing: what was not written yet is
// no part of the log.
func TestLogHasItsPlace(t *testing.T) {
	t.Parallel()
	path, copied := filepath.Join(t.TempDir(), "data.db"), filepath.Join(t.TempDir(), "copy.db")
	s := mustOpen(t, Config{Path: path})
	defer mustClose(t, s)
	own(t, s, "w1")
	if length := sizeOf(t, path+"-wal"); length > logReserve*pageSize {
		t.Fatalf("the log of a store that was hardly used has %d bytes", length)
	}
	waits := commitMany(t, s, 0, 8) // of 64 KiB each
	place := sizeOf(t, path+"-wal")
	if want := int64(logPages * (pageSize + frameHead)); place != want {
		t.Errorf("the log has %d bytes, want %d", place, want)
	}
	commitMany(t, s, uint64(len(waits)), 16)
	if length := sizeOf(t, path+"-wal"); length != place {
		t.Errorf("the log has grown from %d to %d bytes", place, length)
	}

	copyFile(t, path, copied)
	found := mustOpen(t, Config{Path: copied})
	defer mustClose(t, found)
	if got := loadOne(t, found, "w1", "a"); got.GetState().GetVersion() != 24 {
		t.Errorf("the copy of the log in use has %v", got)
	}
}
