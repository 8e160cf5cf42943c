package engine

import (
	"testing"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	m, other := marks{key: []byte("cluster")}, marks{key: []byte("another")}
	mark := m.seal(7)
	if got, ok := m.open(mark); !ok || got != 7 {
		t.Errorf("a mark of 7 says %d, %v", got, ok)
	}
	forged := append([]byte(nil), mark...)
	forged[0] = 1
	for name, mark := range map[string][]byte{"forged": forged, "another cluster's": other.seal(7), "short": mark[:20], "empty": nil} {
		if got, ok := m.open(mark); ok {
			t.Errorf("a mark that is %s says %d", name, got)
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
	for name, mark := range map[string][]byte{"none": nil, "the present one": e.marks.seal(now.Counter), "made up": rogue.seal(1 << 60)} {
		if err := e.believe(t.Context(), mark); err != nil || generation() != 1 {
			t.Errorf("%s: %v, generation %d", name, err, generation())
		}
	}
	seen := now.Counter + 5
	if err := e.believe(t.Context(), e.marks.seal(seen)); !isDead(err) || generation() != 2 {
		t.Errorf("a higher mark: %v, generation %d", err, generation())
	}
	if err := e.believe(t.Context(), e.marks.seal(seen)); err != nil || generation() != 2 {
		t.Errorf("the same mark again: %v, generation %d", err, generation())
	}
}

func isDead(err error) bool { return err == store.ErrDead } //nolint:errorlint // it is returned bare
