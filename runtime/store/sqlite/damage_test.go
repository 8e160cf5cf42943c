package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

const damagedActors = 600

// A store that one byte was flipped in, or that was cut, either does not open or
// answers each load with the truth or not at all.
func TestDamageIsNeverServed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	whole := filepath.Join(folder, "whole.db")
	s := mustOpen(t, Config{Path: whole})
	own(t, s, "w1")
	fill(t, s, damagedActors, 0)
	mustClose(t, s)
	image, err := os.ReadFile(whole)
	ok(t, err)

	random := rand.New(rand.NewPCG(1, 2))
	tries := 200
	if testing.Short() {
		tries = 40
	}
	var seen damage
	for try := range tries {
		broken, offset := bytes.Clone(image), random.IntN(len(image))
		if try%4 == 0 {
			broken = broken[:offset]
		} else {
			broken[offset] ^= 1 << random.IntN(8)
		}
		path := filepath.Join(folder, fmt.Sprintf("%d.db", try))
		ok(t, os.WriteFile(path, broken, 0o600))
		seen.look(t, path, fmt.Sprintf("try %d at offset %d of %d", try, offset, len(image)))
	}
	t.Logf("%+v", seen)
}

// damage counts what became of damaged files.
type damage struct {
	Refused, Whole, Found, Unknown int
}

func (d *damage) look(t *testing.T, path, what string) {
	t.Helper()
	s, err := Open(Config{Path: path})
	if err != nil {
		d.Refused++
		return
	}
	defer func() { _ = s.Close() }() // a damaged log may not be moved
	found, unknown := 0, 0
	for i := range damagedActors {
		id := fmt.Sprint("a", i)
		results, err := s.Load(t.Context(), "w1", []*runtimev1.LoadRequest_Read{readOf(id)})
		switch {
		case err != nil || results[0].GetVerdict() == runtimev1.Verdict_VERDICT_DAMAGED:
			found++
		case results[0].GetVerdict() == runtimev1.Verdict_VERDICT_STALE_EPOCH:
			unknown++ // a new store: the file was cut to nothing
		case results[0].GetState().GetIdentity() == nil:
			unknown++ // its key was hit: no promise
		case !isTruth(results[0].GetState(), i):
			t.Errorf("%s: %s came back as %v", what, id, results[0])
		}
	}
	switch {
	case found > 0:
		d.Found++
	case unknown > 0:
		d.Unknown++
	default:
		d.Whole++
	}
}

// fill commits the first record of actors, numbered from first.
func fill(t testing.TB, s *Store, n, first int) {
	t.Helper()
	for n > 0 {
		var records []*runtimev1.Record
		for range min(n, 1_000) {
			records = append(records, record(fmt.Sprint("a", first), nil, identity(uint64(first)+1, 1), truth(first)))
			first++
		}
		n -= len(records)
		if _, _, err := s.Commit(t.Context(), "w1", records); err != nil {
			t.Fatal(err)
		}
	}
}

// truth is the data of an actor; some of it does not fit in its page.
func truth(i int) []byte {
	size := 100 + i%400
	if i%50 == 0 {
		size = 10_000
	}
	return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size)
}

func isTruth(state *runtimev1.State, i int) bool {
	return bytes.Equal(state.GetData(), truth(i)) && state.GetVersion() == 1 &&
		state.GetIdentity().GetActivation() == uint64(i)+1 && state.GetMessage() == "shop.v1.CartState"
}

// A row that was changed by hand is damaged, and its neighbours are not.
func TestDamagedRow(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"activation", "sequence", "version", "checksum"} {
		checkDamagedRow(t, fmt.Sprintf("UPDATE actors SET %s = %s + 1 WHERE id = 'a1'", column, column))
	}
	checkDamagedRow(t, "UPDATE actors SET message = 'other' WHERE id = 'a1'")
	checkDamagedRow(t, "UPDATE actors SET data = x'00' WHERE id = 'a1'")
	checkDamagedRow(t, "UPDATE actors SET id = 'a1' WHERE id = 'a2'; DELETE FROM actors WHERE id = 'a1' AND activation = 2; UPDATE actors SET id = 'a1' WHERE id = 'a2'")
}

func checkDamagedRow(t *testing.T, statements string) {
	t.Helper()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	fill(t, s, 4, 0)
	mustClose(t, s)
	for statement := range strings.SplitSeq(statements, ";") {
		c, err := dial(config.Path, "rw")
		ok(t, err)
		_ = c.exec(statement)
		ok(t, c.Close())
	}
	s = mustOpen(t, config)
	defer mustClose(t, s)
	for id, want := range map[string]runtimev1.Verdict{
		"a1": runtimev1.Verdict_VERDICT_DAMAGED,
		"a3": runtimev1.Verdict_VERDICT_APPLIED,
	} {
		if got := loadOne(t, s, "w1", id); got.GetVerdict() != want || (want != runtimev1.Verdict_VERDICT_APPLIED && got.GetState().GetMessage()+string(got.GetState().GetData()) != "") {
			t.Errorf("%s: %s is %v", statements, id, got)
		}
	}
}

// A record that meets a damaged page of the file does not happen, and those that came with it
// do.
func TestDamagedPageHarmsNoNeighbour(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	fill(t, s, damagedActors, 0)
	mustClose(t, s)
	const damaged, sound = 1, 40
	damagePage(t, config.Path, truth(damaged), truth(sound))

	s = mustOpen(t, config)
	defer mustClose(t, s)
	next := func(i int) *runtimev1.Record {
		return record(fmt.Sprint("a", i), identity(uint64(i)+1, 1), identity(uint64(i)+1, 2), []byte("next"))
	}
	results, moved, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{next(damaged), next(sound)})
	ok(t, err)
	if got := results[0].GetVerdict(); got != runtimev1.Verdict_VERDICT_DAMAGED {
		t.Errorf("the record of the damaged actor: %v", got)
	}
	if got := results[1].GetVerdict(); got != runtimev1.Verdict_VERDICT_APPLIED || moved.Counter == 0 {
		t.Errorf("its neighbour: %v at %v", got, moved.Point)
	}
	if got := loadOne(t, s, "w1", fmt.Sprint("a", sound)).GetState(); string(got.GetData()) != "next" {
		t.Errorf("the neighbour is %v", got)
	}
}

// damagePage damages the page of a file that has something, but not something else.
func damagePage(t *testing.T, path string, has, not []byte) {
	t.Helper()
	image, err := os.ReadFile(path)
	ok(t, err)
	at := bytes.Index(image, has)
	if at < 0 || at/pageSize == bytes.Index(image, not)/pageSize {
		t.Fatal("what is to be damaged is not where it should be")
	}
	image[at/pageSize*pageSize] = 0xff // no page begins so
	ok(t, os.WriteFile(path, image, 0o600))
}

// The same holds for the ends of deliveries.
func TestDamagedPageHarmsNoOtherDelivery(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	request := func(i int) string { return strings.Repeat(fmt.Sprintf("request %03d,", i), 30) }
	for i := range 60 {
		set(t, s, jobOf(fmt.Sprintf("a%03d", i), "j", request(i)))
	}
	out := map[string]*runtimev1.ScheduledTask{}
	for _, one := range due(t, s) {
		out[one.GetTask().GetKey().GetId()] = one
	}
	mustClose(t, s)
	damagePage(t, config.Path, []byte(request(3)), []byte(request(50)))

	s = mustOpen(t, config)
	defer mustClose(t, s)
	verdicts, _, err := s.Settle(t.Context(), "w1", []*runtimev1.Settlement{failing(out["a003"], false), failing(out["a050"], false)})
	ok(t, err)
	if want := []runtimev1.Verdict{runtimev1.Verdict_VERDICT_DAMAGED, runtimev1.Verdict_VERDICT_APPLIED}; !slices.Equal(verdicts, want) {
		t.Errorf("the verdicts are %v, want %v", verdicts, want)
	}
}

// With a full disk writes fail by name, reads and beats go on, and writes go on by
// themselves once there is room.
func TestFull(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db"), pragmas: []string{"max_page_count = 40"}})
	defer mustClose(t, s)
	own(t, s, "w1")
	last, err := fillUp(t, s)
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("a full disk: %v", err)
	}
	before, err := s.Cluster(t.Context())
	ok(t, err)
	if got := loadOne(t, s, "w1", fmt.Sprint("a", last)); !isTruth(got.GetState(), last) {
		t.Errorf("the last one that was acknowledged is %v", got)
	}
	if got := loadOne(t, s, "w1", fmt.Sprint("a", last+1)); got.GetState().GetIdentity() != nil {
		t.Errorf("the one that was refused is %v", got)
	}
	ok(t, s.Beat(t.Context(), "w1"))
	_, _, err = s.RegisterType(t.Context(), &runtimev1.ActorType{Name: "big"}, 10_000)
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("a change of the cluster table: %v", err)
	}
	if types, err := s.Types(t.Context()); err != nil || len(types) != 1 {
		t.Errorf("types after a change that failed: %v, %v", types, err)
	}
	if after, err := s.Cluster(t.Context()); err != nil || after.Point() != before.Point() {
		t.Errorf("the store went from %+v to %+v (%v) without a change", before, after, err)
	}

	makeRoom(t, s)
	fill(t, s, 10, last+1)
	for i := range last + 11 {
		if got := loadOne(t, s, "w1", fmt.Sprint("a", i)); !isTruth(got.GetState(), i) {
			t.Errorf("after there was room, actor %d is %v", i, got.GetVerdict())
		}
	}
}

// fillUp commits until it cannot, and returns the last actor that was written.
func fillUp(t testing.TB, s *Store) (last int, err error) {
	for i := range 10_000 {
		_, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{record(fmt.Sprint("a", i), nil, identity(uint64(i)+1, 1), truth(i))})
		if err != nil {
			return i - 1, err
		}
	}
	return 0, nil
}

// makeRoom lifts the limit on the writer's own connection and goroutine.
func makeRoom(t testing.TB, s *Store) {
	t.Helper()
	onWriter(t, s, func() error { return s.writer.conn.exec("PRAGMA max_page_count = 1000000") })
}
