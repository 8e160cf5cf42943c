package engine

import (
	"bytes"
	"testing"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	m, other := marks{key: []byte("cluster")}, marks{key: []byte("another")}
	seven := store.Cluster{Generation: 3, Counter: 7}
	mark := m.seal(seven)
	if got, ok := m.open(mark); !ok || got != seven {
		t.Errorf("a mark of %+v says %+v, %v", seven, got, ok)
	}
	for name, later := range map[string]store.Cluster{"counter": {Generation: 3, Counter: 8}, "generation": {Generation: 4}} {
		if bytes.Compare(m.seal(later), mark) <= 0 { // workers keep the highest
			t.Errorf("a mark of a higher %s is not higher", name)
		}
	}
	forged := append([]byte(nil), mark...)
	forged[0] = 1
	for name, mark := range map[string][]byte{"forged": forged, "another cluster's": other.seal(seven), "short": mark[:20], "empty": nil} {
		if got, ok := m.open(mark); ok {
			t.Errorf("a mark that is %s says %+v", name, got)
		}
	}
}

// A mark that is higher than the store proves that the store went back; one that somebody
// made up proves nothing.
func TestHigherMarkBeginsAGeneration(t *testing.T) {
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
	now, _ := keeps.Cluster(t.Context())
	rogue := marks{key: []byte("guess")}
	for name, mark := range map[string][]byte{"none": nil, "the present one": e.marks.seal(now), "made up": rogue.seal(store.Cluster{Generation: 1, Counter: 1 << 60})} {
		if err := e.believe(t.Context(), mark); err != nil || generation() != 1 {
			t.Errorf("%s: %v, generation %d", name, err, generation())
		}
	}
	seen := store.Cluster{Generation: 1, Counter: now.Counter + 5}
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
	if err := e.believe(t.Context(), e.marks.seal(store.Cluster{Generation: 2})); err != nil || generation() != 2 {
		t.Errorf("the present generation: %v, generation %d", err, generation())
	}
}

func isDead(err error) bool { return err == store.ErrDead } //nolint:errorlint // it is returned bare
