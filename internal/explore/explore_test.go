package explore

import (
	"flag"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"
)

// most is how many faults happen on one path. With 3 of them there are five million states,
// which need 20 seconds of a core and some hundred megabytes.
var most = flag.Uint("explore.faults", 2, "how many faults happen on one path at most")

// rules are what the model does; each of them off must be found to be wrong.
type rules struct {
	// noFence lets a worker commit that no longer owns the actor.
	noFence bool
	// byVersion recognises a record by its version, whoever sent it.
	byVersion bool
	// twoInFlight sends a record while another one is unanswered.
	twoInFlight bool
	// noDoubt believes the refusal of a record that was sent before.
	noDoubt bool
	// noRetire opens the actor while a record of it is unanswered.
	noRetire bool
	// noLapse lets a worker run that may have been declared dead.
	noLapse bool
	// noGive lets a worker run the actor until it hears that its release was taken.
	noGive bool
}

// state names a world in what was visited, by a hash: two worlds in a few million share one
// with a probability of one in a million.
type state uint64

// came is how a state was reached first.
type came struct {
	from state
	by   act
}

// explorer visits states, the near ones first.
type explorer struct {
	rules rules
	// faults is how many faults happen on one path.
	faults  uint8
	seed    maphash.Seed
	visited map[state]came
	next    []world
	// broken is the shortest path to a state that may not be, and why it may not.
	broken string
}

// explore visits every state with so many faults at most on the way to it, or those on the way to the first that may not be.
func explore(faults uint8, off rules) *explorer {
	e := &explorer{rules: off, faults: faults, seed: maphash.MakeSeed(), visited: map[state]came{}}
	start := begin()
	e.visited[e.state(&start)] = came{}
	e.next = []world{start}
	for len(e.next) > 0 && e.broken == "" {
		now := e.next
		e.next = nil
		for i := range now {
			if e.steps(&now[i]); e.broken != "" {
				break
			}
		}
	}
	return e
}

func (e *explorer) state(w *world) state { return state(maphash.Comparable(e.seed, *w)) }

// step makes a step from a world, unless it leads to where somebody was before.
func (e *explorer) step(from *world, a act, change func(*world)) {
	if e.broken != "" {
		return
	}
	next := *from
	change(&next)
	next.sort()
	here, there := e.state(from), e.state(&next)
	if why := next.wrong(); why != "" {
		e.broken = strings.Join(append(e.path(here), a.String()), " → ") + ": " + why
		return
	}
	if _, known := e.visited[there]; !known {
		e.visited[there] = came{here, a}
		e.next = append(e.next, next)
	}
}

// fault is a step that only happens so often on one path.
func (e *explorer) fault(from *world, a act, change func(*world)) {
	if from.faults < e.faults {
		e.step(from, a, func(w *world) { w.faults++; change(w) })
	}
}

// path is how a state was reached.
func (e *explorer) path(to state) []string {
	var path []string
	for c := e.visited[to]; c.by.what != none; c = e.visited[c.from] {
		path = append(path, c.by.String())
	}
	slices.Reverse(path)
	return path
}

// T28: no path of loss, repetition, delay, crash, lapse and handover makes a caller be
// told what is not so.
func TestEveryState(t *testing.T) {
	t.Parallel()
	began := time.Now()
	e := explore(uint8(*most), rules{})
	if e.broken != "" {
		t.Fatal(e.broken)
	}
	if len(e.visited) < 100_000 {
		t.Errorf("%d states are too few to prove anything", len(e.visited))
	}
	t.Logf("%d faults on a path at most: %d states in %v", *most, len(e.visited), time.Since(began).Round(time.Millisecond))
}

// Each rule, switched off, must be found to matter.
func TestEveryRuleMatters(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]rules{
		"without the fence":                           {noFence: true},
		"with recognition by version":                 {byVersion: true},
		"with two records in flight":                  {twoInFlight: true},
		"with trust in a late refusal":                {noDoubt: true},
		"with a reload while a record is unanswered":  {noRetire: true},
		"without a lapse":                             {noLapse: true},
		"with an owner until its release is answered": {noGive: true},
	} {
		e := explore(3, off)
		if e.broken == "" {
			t.Errorf("%s nothing is wrong in %d states", name, len(e.visited))
		}
		t.Logf("%s, after %d states: %s", name, len(e.visited), e.broken)
	}
}

func count(set uint8) uint8 { return uint8(bits.OnesCount8(set)) }

// wrong says why a world may not be.
func (w *world) wrong() string {
	switch {
	case w.acknowledged&^w.turns != 0:
		return fmt.Sprintf("turns %b were acknowledged, and %b are stored", w.acknowledged, w.turns)
	case w.denied&w.turns != 0:
		return fmt.Sprintf("the callers of turns %b were told that nothing happened, and %b are stored", w.denied, w.turns)
	case w.value != count(w.turns):
		return fmt.Sprintf("turns %b are stored, and leave the state %d", w.turns, w.value)
	default:
		return w.lie
	}
}
