package store

import (
	"slices"
	"testing"
)

// history is that of a store at counter 50 of generation 3. It was opened at 10, 30 and 50.
var history = Cluster{ID: "c", Generation: 3, Branches: []Branch{{ID: 'a', Began: 10}, {ID: 'b', Began: 30}, {ID: 'c', Began: 50}}, Counter: 50}

func TestBehind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		now    Cluster
		seen   Point
		behind bool
	}{
		{"where it is", history, Point{3, 'b', 50}, false},
		{"in the branch now", history, Point{3, 'c', 50}, false},
		{"after the end of the branch now", history, Point{3, 'c', 51}, true},
		{"before the end of a branch", history, Point{3, 'a', 29}, false},
		{"at the end of a branch", history, Point{3, 'a', 30}, false},
		{"after the end of a branch", history, Point{3, 'a', 31}, true},
		{"in another copy's branch, far below now", history, Point{3, 'x', 11}, true},
		{"where the oldest branch began: it may be forgotten", history, Point{3, 'x', 10}, false},
		{"before there were branches", history, Point{3, 0, 7}, false},
		{"a later generation", history, Point{4, 'x', 1}, true},
		{"an earlier generation", history, Point{2, 'x', 99}, false},
		{"a higher counter of a store without branches", Cluster{Generation: 1, Counter: 7}, Point{1, 'x', 8}, true},
		{"the counter of a store without branches", Cluster{Generation: 1, Counter: 7}, Point{1, 0, 7}, false},
	}
	for _, test := range tests {
		if got := test.now.Behind(test.seen); got != test.behind {
			t.Errorf("%s: behind is %v", test.name, got)
		}
	}
}

func TestPoint(t *testing.T) {
	t.Parallel()
	for counter, branch := range map[Counter]uint64{9: 0, 10: 0, 11: 'a', 30: 'a', 31: 'b', 50: 'b', 51: 'c'} {
		now := history
		now.Counter = counter
		if got, want := now.Point(), (Point{3, branch, counter}); got != want {
			t.Errorf("at %d the store is at %+v, want %+v", counter, got, want)
		}
	}
}

func TestBranched(t *testing.T) {
	t.Parallel()
	before := slices.Clone(history.Branches)
	next := history.Branched('d')
	if want := []Branch{{'a', 10}, {'b', 30}, {'d', 50}}; !slices.Equal(next.Branches, want) {
		t.Errorf("instead of a branch without a change: %v, want %v", next.Branches, want)
	}
	if !slices.Equal(history.Branches, before) {
		t.Errorf("the history of before was changed: %v", history.Branches)
	}
}

// However often a store is opened, nothing that it has passed is held against it, and its
// history does not grow.
func TestOpenedOften(t *testing.T) {
	t.Parallel()
	now := Cluster{Generation: 1}
	var passed []Point
	for id := range uint64(5 * maxBranches) {
		now = now.Branched(id + 1)
		now.Counter += Counter(id % 3)
		passed = append(passed, now.Point())
		if len(now.Branches) > maxBranches {
			t.Fatalf("%d branches are remembered", len(now.Branches))
		}
	}
	for _, point := range passed {
		if now.Behind(point) {
			t.Errorf("%+v is said to be lost", point)
		}
	}
	for i := range uint64(maxBranches / 2) { // as many starts later, another copy's point is still known as that
		if other := (Point{1, 'x' << 32, now.Counter - Counter(i)}); !now.Behind(other) {
			t.Errorf("%+v of another copy is said to be passed", other)
		}
	}
}
