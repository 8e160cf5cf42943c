package sqlite

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// A record of a state that is neither small nor larger than a page writes the page of its
// row to the log, and no page beside it.
func TestRecordWritesOnePage(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db")})
	defer mustClose(t, s)
	own(t, s, "w1")
	const actors, rounds, atOnce, size = 1_000, 8, 64, 600
	commitTo := func(sequence uint64, which func(i int) int, n int) {
		var records []*runtimev1.Record
		for i := range n {
			base := (*runtimev1.Identity)(nil)
			if sequence > 1 {
				base = identity(1, sequence-1)
			}
			data := bytes.Repeat([]byte{byte(sequence)}, size)
			records = append(records, record(fmt.Sprint("a", which(i)), base, identity(1, sequence), data))
		}
		results, _, err := s.Commit(t.Context(), "w1", records)
		ok(t, err)
		for _, result := range results {
			if result.GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED || result.GetVersion() != sequence {
				t.Fatal(result)
			}
		}
	}
	commitTo(1, func(i int) int { return i }, actors)
	lengthOfLog(t, s) // moves it into the file, so that it begins anew
	for round := range rounds {
		commitTo(2, func(i int) int { return (round*atOnce + i) * 617 % actors }, atOnce)
	}
	if pages := lengthOfLog(t, s); pages > rounds*atOnce {
		t.Errorf("%d records of %d bytes wrote %d pages", rounds*atOnce, size, pages)
	}
}

// lengthOfLog moves the log into the file and returns how many pages it had.
func lengthOfLog(t *testing.T, s *Store) int {
	t.Helper()
	var done progress
	onWriter(t, s, func() (err error) {
		done, err = checkpoint(s.writer.log.passive)
		return err
	})
	if done.moved != done.length {
		t.Fatalf("%d of %d pages were moved", done.moved, done.length)
	}
	return int(done.length)
}

// However the size of a state changes, the whole row is that of its last record: its
// checksum, which is over all of it, fits.
func TestStateChangesItsSize(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db")})
	defer mustClose(t, s)
	own(t, s, "w1")
	var base *runtimev1.Identity
	for i, size := range []int{smallState, 1, smallState - 1, smallState, 3, 3 * pageSize, 600, 0, 600, 601, 3 * pageSize, smallState} {
		next := identity(uint64(i/5)+1, uint64(i)+1)
		data := bytes.Repeat([]byte{byte(i)}, size)
		r := record("a", base, next, data)
		r.Message = fmt.Sprint("shop.v", i, ".State")
		results, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{r})
		ok(t, err)
		state := loadOne(t, s, "w1", "a").GetState()
		if version := uint64(i) + 1; results[0].GetVersion() != version || state.GetVersion() != version || state.GetMessage() != r.GetMessage() ||
			!bytes.Equal(state.GetData(), data) || state.GetIdentity().GetSequence() != next.GetSequence() {
			t.Fatalf("%d bytes: answered %v, loaded %v", size, results[0], state)
		}
		base = next
	}
}
