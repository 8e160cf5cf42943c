package deadline

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The model of a heap is a set of entries that is searched.
type model []*Entry

func (m model) least() time.Duration {
	return slices.MinFunc(m, func(a, b *Entry) int { return int(a.at - b.at) }).at
}

func TestHeapAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var h heap
		var m model
		grow := 1 + random.IntN(9) // of ten steps, on average
		for step := range 2000 {
			switch {
			case len(m) == 0 || random.IntN(10) < grow:
				e := &Entry{at: time.Duration(1 + random.IntN(50))}
				h.push(e)
				m = append(m, e)
			case random.IntN(2) == 0:
				e := h[0]
				if e.at != m.least() {
					t.Fatalf("seed %d, step %d: the first entry is due at %d, want %d", seed, step, e.at, m.least())
				}
				h.remove(e)
				m = slices.DeleteFunc(m, func(other *Entry) bool { return other == e })
				wantNowhere(t, e)
			default:
				i := random.IntN(len(m))
				h.remove(m[i])
				wantNowhere(t, m[i])
				m = slices.Delete(m, i, i+1)
			}
			if why := unsound(h, m); why != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, why)
			}
		}
	}
}

func wantNowhere(t *testing.T, e *Entry) {
	t.Helper()
	if e.place != 0 || e.sleeper != nil {
		t.Errorf("a removed entry is at place %d and keeps its sleeper %v", e.place, e.sleeper)
	}
}

// unsound is what is wrong with a heap, "" for nothing.
func unsound(h heap, m model) string {
	if len(h) != len(m) {
		return "the number of entries differs from the model's"
	}
	for _, e := range m {
		if i := int(e.place) - 1; i < 0 || i >= len(h) || h[i] != e {
			return "an entry is not where it says"
		}
	}
	for i := range h {
		if i > 0 && h[(i-1)/2].at > h[i].at {
			return "a parent is due after its child"
		}
	}
	return ""
}
