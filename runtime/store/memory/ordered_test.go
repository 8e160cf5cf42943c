package memory

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// The set behaves as a sorted slice does.
func TestOrdered(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	set, model := ordered[int]{compare: cmp.Compare[int]}, []int{}
	for step := range 20_000 {
		v := random.IntN(3_000)
		at, there := slices.BinarySearch(model, v)
		switch {
		case there && (step/4_000)%2 == 1:
			set.remove(v)
			model = slices.Delete(model, at, at+1)
		case !there && (step/4_000)%2 == 0:
			set.add(v)
			model = slices.Insert(model, at, v)
		case !there:
			set.remove(v)
		}
		if step%97 != 0 {
			continue
		}
		from := random.IntN(3_002) - 1
		at, _ = slices.BinarySearch(model, from+1)
		if got := slices.Collect(set.after(from)); !slices.Equal(got, model[at:]) {
			t.Fatalf("step %d: %d values after %d, want %d", step, len(got), from, len(model)-at)
		}
	}
	copied := set.clone()
	for _, v := range model {
		set.remove(v)
	}
	if len(set.pieces) != 0 || !slices.Equal(slices.Collect(copied.after(-1)), model) {
		t.Error("a copy changes with the set")
	}
}
