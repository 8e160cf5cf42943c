package engine

import (
	"bytes"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	m, other := newMarks("cluster"), newMarks("another")
	seven := store.Point{Generation: 3, Branch: 5, Counter: 7}
	mark := m.seal(seven)
	if got, ok := m.open(mark); !ok || got != seven {
		t.Errorf("a mark of %+v says %+v, %v", seven, got, ok)
	}
	for name, later := range map[string]store.Point{"counter": {Generation: 3, Counter: 8}, "generation": {Generation: 4}} {
		if bytes.Compare(m.seal(later), mark) <= 0 { // workers keep the highest
			t.Errorf("a mark of a higher %s is not higher", name)
		}
	}
	forged := append([]byte(nil), mark...)
	forged[0] = 1
	for name, mark := range map[string][]byte{"forged": forged, "another cluster's": other.seal(seven), "short": mark[:32], "empty": nil} {
		if got, ok := m.open(mark); ok {
			t.Errorf("a mark that is %s says %+v", name, got)
		}
	}
}

// A mark of a point that the store has not passed proves that it went back; one that
// somebody made up proves nothing.
func TestLostMarkBeginsAGeneration(t *testing.T) {
	t.Parallel()
	keeps := memory.New()
	e, err := New(Config{Store: keeps})
	if err != nil {
		t.Fatal(err)
	}
	generation := func() uint64 {
		now, err := keeps.Cluster(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return now.Generation
	}
	now := pointOf(t, keeps)
	rogue := newMarks("guess")
	for name, mark := range map[string][]byte{"none": nil, "the present one": e.marks.seal(now), "made up": rogue.seal(store.Point{Generation: 1, Counter: 1 << 60})} {
		if err := e.believe(t.Context(), mark); err != nil || generation() != 1 {
			t.Errorf("%s: %v, generation %d", name, err, generation())
		}
	}
	seen := now
	seen.Counter += 5
	if err := e.believe(t.Context(), e.marks.seal(seen)); !isDead(err) || generation() != 2 {
		t.Errorf("a higher mark: %v, generation %d", err, generation())
	}
	if err := e.believe(t.Context(), e.marks.seal(seen)); err != nil || generation() != 2 {
		t.Errorf("the same mark again: %v, generation %d", err, generation())
	}
	seen.Counter += 100
	if err := e.believe(t.Context(), e.marks.seal(seen)); err != nil || generation() != 2 {
		t.Errorf("a higher mark of the generation that was lost: %v, generation %d", err, generation())
	}
	if err := e.believe(t.Context(), e.marks.seal(store.Point{Generation: 2})); err != nil || generation() != 2 {
		t.Errorf("the present generation: %v, generation %d", err, generation())
	}
}

// A store that was put back is found out also when it has come further than before by then.
func TestMarkOfALostBranch(t *testing.T) {
	t.Parallel()
	keeps := memory.New()
	add := func(s store.Store, ids ...string) {
		for _, id := range ids {
			if _, err := s.AddWorker(t.Context(), &runtimev1.Worker{Id: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(keeps, "w1")
	older := keeps.Copy()
	add(keeps, "w2")
	lost := pointOf(t, keeps)
	add(older, "w3", "w4", "w5")

	e, err := New(Config{Store: older})
	if err != nil {
		t.Fatal(err)
	}
	if !e.load(t.Context()) {
		t.Fatal("the store cannot be read")
	}
	if _, err := e.Worker("w3").Watch(t.Context(), &runtimev1.WatchRequest{Mark: e.marks.seal(lost)}); err == nil {
		t.Error("who has seen what was lost is told of the cluster")
	}
	if got := pointOf(t, older).Generation; got != 2 {
		t.Errorf("the generation is %d", got)
	}
	if answer, err := e.Worker("w3").Renew(t.Context(), &runtimev1.RenewRequest{}); err != nil || !answer.GetDead() {
		t.Errorf("a worker of before renews with %v, %v", answer, err)
	}
}

func pointOf(t *testing.T, s store.Store) store.Point {
	t.Helper()
	now, err := s.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now.Point()
}

func isDead(err error) bool { return err == store.ErrDead } //nolint:errorlint // it is returned bare
