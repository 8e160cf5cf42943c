package gate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// play runs steps and lists, for each, who is told what. Steps are "t1" (a turn that
// changed something ends), "v1" (somebody ends who changed nothing), "send", "applied",
// "refused" and "lost".
func play(t *testing.T, steps ...string) []string {
	t.Helper()
	var g Gate[string]
	var trace []string
	for _, step := range steps {
		trace = append(trace, do(&g, step))
	}
	return trace
}

func do(g *Gate[string], step string) string {
	switch step {
	case "send":
		return fmt.Sprint(g.Send())
	case "applied":
		return spell(g.Applied())
	case "refused":
		return spell(g.Refused())
	case "lost":
		return spell(g.Lost())
	}
	verdict := g.Follow
	if step[0] == 't' {
		return [...]string{"open", "wait", "broken"}[g.Stage(step, 1)]
	}
	return [...]string{"open", "wait", "broken"}[verdict(step)]
}

func spell(told []Told[string]) string {
	var all []string
	for _, t := range told {
		all = append(all, t.Waiter+" "+t.Outcome.String())
	}
	return strings.Join(all, ", ")
}

func TestGate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ steps, trace []string }{
		"nothing is pending": {
			[]string{"v1", "send"}, []string{"open", "false"},
		},
		"one record at a time, the rest accumulates": {
			[]string{"t1", "send", "t2", "t3", "send", "applied", "send", "applied", "send"},
			[]string{"wait", "true", "wait", "wait", "false", "t1 durable", "true", "t2 durable, t3 durable", "false"},
		},
		"who changed nothing waits for what it has seen": {
			[]string{"t1", "send", "v1", "t2", "v2", "applied", "v3", "send", "v4", "applied", "v5"},
			[]string{
				"wait", "true", "wait", "wait", "wait", "t1 durable, v1 durable", "wait", "true", "wait",
				"t2 durable, v2 durable, v3 durable, v4 durable", "open",
			},
		},
		"a refused record ends all": {
			[]string{"t1", "send", "v1", "t2", "v2", "refused", "t3", "v3", "send"},
			[]string{
				"wait", "true", "wait", "wait", "wait",
				"t1 nothing happened, v1 nothing happened, t2 nothing happened, v2 nothing happened", "broken", "broken", "false",
			},
		},
		"after a lost record only the unsent is known": {
			[]string{"t1", "send", "v1", "t2", "v2", "lost", "v3"},
			[]string{
				"wait", "true", "wait", "wait", "wait",
				"t1 unknown, v1 unknown, t2 nothing happened, v2 nothing happened", "broken",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, test.steps...); !slices.Equal(got, test.trace) {
				t.Errorf("%q\ngot  %q\nwant %q", test.steps, got, test.trace)
			}
		})
	}
}

func TestGateIsFull(t *testing.T) {
	t.Parallel()
	var g Gate[int]
	for i := range MaxTurns {
		if g.Full() {
			t.Fatalf("full after %d turns", i)
		}
		g.Stage(i, 0)
	}
	if !g.Full() {
		t.Errorf("not full after %d turns", MaxTurns)
	}
	if g.Send(); g.Full() {
		t.Error("full after the record was sent")
	}
	if g.Stage(0, MaxBytes); !g.Full() {
		t.Errorf("not full after %d bytes", MaxBytes)
	}
}

// Whatever happens, everybody who waits is told once, a turn is durable only when the
// record that took it up was applied, and nobody is told so before those that it has
// seen.
func TestGateTellsEverybodyOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		explore(t, rand.New(rand.NewPCG(seed, 0)), seed)
	}
}

func explore(t *testing.T, random *rand.Rand, seed uint64) {
	t.Helper()
	var g Gate[int]
	waiting, told := map[int]bool{}, map[int]Outcome{}
	var sent, staged []int // the turns in either record
	flying := false
	take := func(all []Told[int]) {
		for _, each := range all {
			if !waiting[each.Waiter] {
				t.Fatalf("seed %d: %d was told and did not wait", seed, each.Waiter)
			}
			delete(waiting, each.Waiter)
			told[each.Waiter] = each.Outcome
		}
	}
	for n := range 60 {
		switch random.IntN(8) {
		case 0, 1, 2:
			if g.Stage(n, 0) == Wait {
				waiting[n] = true
				staged = append(staged, n)
			}
		case 3:
			if g.Follow(n) == Wait {
				waiting[n] = true
			}
		case 4, 5:
			if g.Send() {
				if flying {
					t.Fatalf("seed %d: two records in flight", seed)
				}
				flying, sent, staged = true, staged, nil
			}
		case 6:
			if flying {
				take(g.Applied())
				flying = false
				for _, turn := range sent {
					if outcome, ok := told[turn]; !ok || outcome != Durable {
						t.Fatalf("seed %d: turn %d is durable and was not told", seed, turn)
					}
				}
			}
		case 7:
			if flying && random.IntN(4) == 0 {
				fail := g.Refused
				if random.IntN(2) == 0 {
					fail = g.Lost
				}
				take(fail())
				flying = false
				for _, turn := range append(sent, staged...) {
					if told[turn] == Durable {
						t.Fatalf("seed %d: turn %d was told to be durable and is not", seed, turn)
					}
				}
				if len(waiting) > 0 || g.Pending() {
					t.Fatalf("seed %d: %v wait for ever", seed, waiting)
				}
			}
		}
	}
}

// Whoever tells what became of a record does so without a lock, and meanwhile the host may
// give up what has accumulated since.
func TestToldOutlivesTheEnd(t *testing.T) {
	t.Parallel()
	var g Gate[string]
	g.Stage("t1", 1)
	g.Send()
	g.Stage("t2", 1)
	told := g.Applied()
	if got := spell(g.Lost()); got != "t2 nothing happened" {
		t.Errorf("the end tells %q", got)
	}
	if got := spell(told); got != "t1 durable" {
		t.Errorf("the record that was applied tells %q by then", got)
	}
}
