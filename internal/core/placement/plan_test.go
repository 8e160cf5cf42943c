package placement

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

const inFlight = 16

// sketch are the entries of a type "t" from words "owner" or "owner>next", "-" for
// nobody.
func sketch(words ...string) []*runtimev1.Shard {
	shards := make([]*runtimev1.Shard, len(words))
	for i, word := range words {
		shards[i] = &runtimev1.Shard{Type: "t", Shard: uint32(i), Epoch: 7}
		for j := range len(word) {
			switch {
			case word[j] == '-' || word[j] == '>':
			case j == 0:
				shards[i].Worker = word[:1]
			default:
				shards[i].Next = word[j:]
			}
		}
	}
	return shards
}

// words are a plan as "shard=worker".
func words(plan []Assignment) []string {
	words := []string{}
	for _, a := range plan {
		words = append(words, fmt.Sprintf("%d=%s", a.Shard.GetShard(), a.Worker))
	}
	return words
}

func TestMakePlan(t *testing.T) {
	t.Parallel()
	a, b, c := Member{ID: "a"}, Member{ID: "b"}, Member{ID: "c"}
	leaving := func(m Member) Member { m.Leaving = true; return m }
	loaded := func(m Member, load int) Member { m.Load = load; return m }
	tests := []struct {
		name     string
		members  []Member
		shards   []*runtimev1.Shard
		inFlight int
		want     []string
	}{
		{"nobody serves the type", nil, sketch("-", "-"), 16, []string{}},
		{"the owner is unknown and nobody else serves", nil, sketch("x", "x>y"), 16, []string{"1="}},
		{"unowned shards are given at once", []Member{a, b}, sketch("-", "-", "-", "-"), 0, []string{"0=a", "1=b", "2=a", "3=b"}},
		{"to the emptiest", []Member{a, b}, sketch("a", "a", "-"), 0, []string{"2=b"}},
		{"of equals to the one with less load", []Member{loaded(a, 9), loaded(b, 8)}, sketch("-"), 0, []string{"0=b"}},
		{"a next that nobody owns counts for nothing", []Member{a, b}, sketch("a", "->a"), 0, []string{"1=b"}},
		{"balance within one stays", []Member{a, b}, sketch("a", "a", "b"), 16, []string{}},
		{"a joining worker receives its share", []Member{a, b}, sketch("a", "a", "a", "a"), 16, []string{"0=b", "1=b"}},
		{"gradually", []Member{a, b}, sketch("a", "a", "a", "a"), 1, []string{"0=b"}},
		{"not more while some move", []Member{a, b}, sketch("a", "a", "a>b", "a", "a", "a"), 1, []string{}},
		{"moves in flight count as done", []Member{a, b}, sketch("a", "a>b", "a>b", "a"), 16, []string{}},
		{"from the fullest", []Member{a, b, c}, sketch("a", "a", "a", "b", "b", "b", "b"), 1, []string{"3=c"}},
		{"a leaving worker receives none", []Member{a, leaving(b)}, sketch("a", "a", "-"), 16, []string{"2=a"}},
		{"its shards get a next, bounded by nothing", []Member{a, leaving(b), c}, sketch("b", "b", "b", "b"), 0, []string{"0=a", "1=c", "2=a", "3=c"}},
		{"one that has a fit next keeps it", []Member{a, leaving(b), c}, sketch("b>c", "b"), 16, []string{"1=a"}},
		{"the last worker leaves", []Member{leaving(b)}, sketch("b", "b"), 16, []string{}},
		{"the next is leaving, the owner too", []Member{a, leaving(b), leaving(c)}, sketch("b>c"), 16, []string{"0=a"}},
		{"the next is gone, the owner stays", []Member{a, b}, sketch("a>x", "b"), 16, []string{"0="}},
		{"the next is the owner itself", []Member{a, b}, sketch("a>a", "b"), 16, []string{"0="}},
		{"an owner that stopped serving the type", []Member{a, b}, sketch("x", "a"), 16, []string{"0=b"}},
		{"the fullest owns nothing yet", []Member{a, b, c}, sketch("b>a", "b>a", "b>a", "b>a", "b", "b", "b"), 16, []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := words(MakePlan(test.members, test.shards, test.inFlight)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// town is a cluster with one type, whose plans are carried out as a store would.
type town struct {
	t       *testing.T
	random  *rand.Rand
	members []Member
	shards  []*runtimev1.Shard
	born    int
	// moves counts how often each shard changed its owner, or is to.
	moves map[uint32]int
}

func newTown(t *testing.T, seed uint64, shards int) *town {
	t.Helper()
	w := &town{t: t, random: rand.New(rand.NewPCG(seed, 1)), moves: map[uint32]int{}}
	for i := range shards {
		w.shards = append(w.shards, &runtimev1.Shard{Type: "t", Shard: uint32(i)})
	}
	return w
}

func (w *town) member(id string) *Member {
	i := slices.IndexFunc(w.members, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return nil
	}
	return &w.members[i]
}

// plan makes one plan, checks it, and carries it out.
func (w *town) plan() bool {
	w.t.Helper()
	plan := MakePlan(w.members, w.shards, inFlight)
	shuffled := slices.Clone(w.members)
	w.random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if again := MakePlan(shuffled, w.shards, inFlight); !reflect.DeepEqual(plan, again) {
		w.t.Fatalf("the plan depends on the order of the members:\n%v\n%v", words(plan), words(again))
	}
	seen := map[uint32]bool{}
	for _, a := range plan {
		if seen[a.Shard.GetShard()] {
			w.t.Fatalf("shard %d is planned twice", a.Shard.GetShard())
		}
		seen[a.Shard.GetShard()] = true
		w.carryOut(a)
	}
	if n := w.moving(); n > inFlight {
		w.t.Fatalf("%d shards are moving for balance, at most %d may", n, inFlight)
	}
	return len(plan) > 0
}

func (w *town) carryOut(a Assignment) {
	w.t.Helper()
	if to := w.member(a.Worker); a.Worker != "" && (to == nil || to.Leaving) {
		w.t.Fatalf("shard %d is to go to %q, which cannot receive it", a.Shard.GetShard(), a.Worker)
	}
	next := &runtimev1.Shard{Type: "t", Shard: a.Shard.GetShard(), Epoch: a.Shard.GetEpoch(), Worker: a.Shard.GetWorker(), Next: a.Worker}
	if next.GetWorker() == "" {
		next.Worker, next.Next, next.Epoch = a.Worker, "", next.GetEpoch()+1
	}
	w.shards[a.Shard.GetShard()] = next
	w.moves[a.Shard.GetShard()]++
}

// moving is how many shards move between workers that both stay.
func (w *town) moving() int {
	n := 0
	for _, shard := range w.shards {
		owner, next := w.member(shard.GetWorker()), w.member(shard.GetNext())
		if owner != nil && !owner.Leaving && next != nil && !next.Leaving {
			n++
		}
	}
	return n
}

// release ends a move.
func (w *town) release(shard *runtimev1.Shard) {
	to := shard.GetNext()
	if next := w.member(to); next == nil || next.Leaving {
		to = ""
	}
	w.shards[shard.GetShard()] = &runtimev1.Shard{Type: "t", Shard: shard.GetShard(), Epoch: shard.GetEpoch() + 1, Worker: to}
}

// settle plans and releases until nothing is left to do.
func (w *town) settle() {
	w.t.Helper()
	for rounds := 0; ; rounds++ {
		if rounds > 2*len(w.shards) {
			w.t.Fatal("the placement does not settle")
		}
		planned := w.plan()
		released := false
		for _, shard := range w.shards {
			if shard.GetNext() != "" {
				w.release(shard)
				released = true
			}
		}
		if !planned && !released {
			return
		}
	}
}

// step does one thing that can happen to a cluster.
func (w *town) step() {
	switch p := w.random.IntN(10); {
	case p < 2 || len(w.members) == 0:
		w.born++
		w.members = append(w.members, Member{ID: fmt.Sprintf("w%02d", w.born)})
	case p == 2:
		w.members[w.random.IntN(len(w.members))].Leaving = true
	case p == 3:
		w.die(w.members[w.random.IntN(len(w.members))].ID)
	case p < 6:
		w.plan()
	default:
		if shard := w.shards[w.random.IntN(len(w.shards))]; shard.GetNext() != "" {
			w.release(shard)
		}
	}
}

func (w *town) die(id string) {
	w.members = slices.DeleteFunc(w.members, func(m Member) bool { return m.ID == id })
	for i, shard := range w.shards {
		if shard.GetWorker() == id {
			w.shards[i] = &runtimev1.Shard{Type: "t", Shard: shard.GetShard(), Epoch: shard.GetEpoch() + 1}
		}
	}
}

func (w *town) check() {
	w.t.Helper()
	counts := map[string]int{}
	for _, m := range w.members {
		if !m.Leaving {
			counts[m.ID] = 0
		}
	}
	if len(counts) == 0 {
		return
	}
	for _, shard := range w.shards {
		if _, ok := counts[shard.GetWorker()]; !ok {
			w.t.Fatalf("shard %d belongs to %q, which cannot have it", shard.GetShard(), shard.GetWorker())
		}
		counts[shard.GetWorker()]++
	}
	least, most := len(w.shards), 0
	for _, n := range counts {
		least, most = min(least, n), max(most, n)
	}
	if most-least > 1 {
		w.t.Fatalf("not balanced: %v", counts)
	}
}

func TestPlanSettles(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		w := newTown(t, seed, 8+int(seed%57))
		for range 120 {
			w.step()
		}
		w.settle()
		w.check()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// One worker more or less moves as few shards as balance needs, each once.
func TestPlanMovesTheMinimum(t *testing.T) {
	t.Parallel()
	for workers := 1; workers <= 20; workers++ {
		w := newTown(t, uint64(workers), Shards)
		for i := range workers {
			w.members = append(w.members, Member{ID: fmt.Sprintf("w%02d", i)})
		}
		w.settle()
		w.moves = map[uint32]int{}
		w.members = append(w.members, Member{ID: "new"})
		w.settle()
		w.check()
		w.expectMoves(Shards/(workers+1), "join")

		owned := 0
		for _, shard := range w.shards {
			if shard.GetWorker() == "w00" {
				owned++
			}
		}
		w.moves = map[uint32]int{}
		w.members[0].Leaving = true
		w.settle()
		w.check()
		w.expectMoves(owned, "leave")
	}
}

func (w *town) expectMoves(want int, what string) {
	w.t.Helper()
	for shard, n := range w.moves {
		if n > 1 {
			w.t.Fatalf("%s among %d workers: shard %d moved %d times", what, len(w.members), shard, n)
		}
	}
	if len(w.moves) != want {
		w.t.Fatalf("%s among %d workers: %d shards moved, want %d", what, len(w.members), len(w.moves), want)
	}
}

func BenchmarkMakePlan(b *testing.B) {
	for _, workers := range []int{3, 100} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			var members []Member
			for i := range workers {
				members = append(members, Member{ID: fmt.Sprintf("w%03d", i)})
			}
			shards := make([]*runtimev1.Shard, Shards)
			for i := range shards {
				shards[i] = &runtimev1.Shard{Shard: uint32(i), Worker: members[i%workers].ID}
			}
			b.ReportAllocs()
			for b.Loop() {
				MakePlan(members, shards, inFlight)
			}
		})
	}
}
