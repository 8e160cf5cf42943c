package storetest

import (
	"testing"
	"time"

	"github.com/francis-actors/francis/runtime/store"
)

// Copies runs the part of the suite that needs copies of a store. Open is that of Run;
// copied opens a copy of a store as it is now, and the suite closes it.
func Copies(t *testing.T, open func(t testing.TB, now func() time.Time) store.Store, copied func(t testing.TB, s store.Store) store.Store) {
	t.Helper()
	clock := newClock()
	whole := newBench(t, open(t, clock.now), clock)
	copyOf := func(b *bench) *bench { return newBench(t, copied(t, b.Store), clock) }

	begun := whole.point()
	whole.worker("w1")
	common := whole.point()
	one := copyOf(whole)
	one.worker("w2")
	seen := one.point()
	other := copyOf(whole)
	want(other, "a copy is where the store was", other.point(), common)
	other.worker("w2")
	if other.point() == seen {
		t.Errorf("two copies are both at %+v, and have gone there apart", seen)
	}
	again := copyOf(one)
	want(again, "a copy of a copy is where that was", again.point(), seen)
	again.worker("w3", "w4")

	for name, b := range map[string]*bench{"the store": whole, "a copy": one, "another one": other, "a copy of a copy": again} {
		for what, point := range map[string]store.Point{"at the begin": begun, "before it was copied": common, "now": b.point()} {
			if b.behind(point) {
				t.Errorf("%s is said to be behind %+v, where it was %s", name, point, what)
			}
		}
	}
	want(again, "a copy of a copy is behind that", again.behind(seen), false)
	for _, id := range []string{"w5", "w6", "w7"} {
		want(other, "a copy is behind another one", other.behind(seen), true)
		want(whole, "the store is behind a copy", whole.behind(seen), true)
		other.worker(id)
		whole.worker(id)
	}
	happened, _, err := other.Regenerate(t.Context(), seen)
	other.ok(err)
	want(other, "a new generation begins", happened, true)
	want(other, "and is behind what was lost", other.behind(seen), false)
}

// behind reports whether the store has lost a point.
func (b *bench) behind(seen store.Point) bool {
	b.Helper()
	now, err := b.Cluster(b.Context())
	b.ok(err)
	return now.Behind(seen)
}
