package explore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	// maxTurns is how many turns change the actor, and maxFaults how many faults happen
	// on one path.
	maxTurns  = 3
	maxFaults = 3
	workers   = 2
	// maxActivations is how often the actor is loaded.
	maxActivations = 3
)

// rules are what the model does; each of them off must be found to be wrong.
type rules struct {
	// noFence lets a worker commit that no longer owns the actor.
	noFence bool
	// byVersion recognises a record by its number alone, whoever sent it.
	byVersion bool
	// twoInFlight sends a record while another one is unanswered.
	twoInFlight bool
}

// identity is (activation, sequence); zero for none.
type identity struct{ activation, sequence uint8 }

// record is a record on its way. Its turns are a set of bits; value is the state that it
// leaves, the number of turns that it has seen.
type record struct {
	worker, epoch  uint8
	base, identity identity
	turns, value   uint8
}

// reply is the answer to a record, on its way.
type reply struct {
	worker   uint8
	identity identity
	verdict  runtimev1.Verdict
}

// worker is one of the two. A worker that is not here has no activation.
type worker struct {
	here bool
	// owns is what it believes: the epoch at which the actor is its own; 0 for not.
	owns uint8
	// own is the activation, base the last record that was answered, value its memory.
	own   uint8
	base  identity
	sent  uint8
	value uint8
	// flight are the records that are unanswered, staged the turns that accumulate.
	flight []record
	staged uint8
	// doubted is true when a record was sent again.
	doubted bool
}

// world is one state of everything.
type world struct {
	// owner has the actor at epoch; last, turns and value are what is stored.
	owner, epoch uint8
	last         identity
	turns, value uint8

	workers [workers]worker
	records []record
	replies []reply

	activations, made, faults uint8
	// acknowledged are the turns whose callers were told that they are durable, denied
	// those whose callers were told that nothing happened.
	acknowledged, denied uint8
}

func (w world) clone() world {
	for i := range w.workers {
		w.workers[i].flight = slices.Clone(w.workers[i].flight)
	}
	w.records, w.replies = slices.Clone(w.records), slices.Clone(w.replies)
	return w
}

// step is a next state, and what led to it.
type step struct {
	name string
	next world
}

// explorer visits states.
type explorer struct {
	rules   rules
	visited map[string]bool
	// broken is the shortest path to a state that may not be, and why it may not.
	broken string
}

type visit struct {
	world world
	path  []string
}

// explore visits every state, the near ones first, and returns how many there are.
func explore(off rules) *explorer {
	e := &explorer{rules: off, visited: map[string]bool{}}
	start := world{epoch: 1}
	start.workers[0].owns = 1
	queue := []visit{{world: start}}
	e.visited[key(start)] = true
	for len(queue) > 0 && e.broken == "" {
		v := queue[0]
		queue = queue[1:]
		for _, s := range e.steps(v.world) {
			path := append(slices.Clone(v.path), s.name)
			if why := wrong(v.world, s); why != "" {
				e.broken = strings.Join(path, " → ") + ": " + why
				break
			}
			if k := key(s.next); !e.visited[k] {
				e.visited[k] = true
				queue = append(queue, visit{s.next, path})
			}
		}
	}
	return e
}

func key(w world) string { return fmt.Sprint(w) }

// wrong says why a step may not be.
func wrong(before world, s step) string {
	w := s.next
	switch {
	case w.acknowledged&^w.turns != 0:
		return fmt.Sprintf("turns %b were acknowledged, and %b are stored", w.acknowledged, w.turns)
	case w.denied&w.turns != 0:
		return fmt.Sprintf("the callers of turns %b were told that nothing happened, and %b are stored", w.denied, w.turns)
	case strings.HasPrefix(s.name, "view") && count(before.acknowledged) > viewed(s.name):
		return fmt.Sprintf("%d turns were acknowledged, and then a view saw %d", count(before.acknowledged), viewed(s.name))
	}
	return ""
}

func count(set uint8) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

func viewed(name string) (n int) {
	_, _ = fmt.Sscanf(name[strings.LastIndexByte(name, ' ')+1:], "%d", &n) // it is ours
	return n
}

// steps are all that can happen next.
func (e *explorer) steps(w world) []step {
	var all []step
	add := func(name string, change func(*world)) {
		next := w.clone()
		change(&next)
		all = append(all, step{name, next})
	}
	fault := func(name string, change func(*world)) {
		if w.faults < maxFaults {
			add(name, func(n *world) { n.faults++; change(n) })
		}
	}
	for i := range w.workers {
		e.ofWorker(w, i, add, fault)
	}
	// A network repeats nothing by itself: records travel over TLS. Workers do.
	for i := range w.records {
		add("the store takes a record", func(n *world) { e.commit(n, i) })
		fault("a record is lost", func(n *world) { n.records = slices.Delete(n.records, i, i+1) })
	}
	for i := range w.replies {
		add("a reply arrives", func(n *world) { e.answered(n, i) })
		fault("a reply is lost", func(n *world) { n.replies = slices.Delete(n.replies, i, i+1) })
	}
	return all
}

func (e *explorer) ofWorker(w world, i int, add, fault func(string, func(*world))) {
	me := w.workers[i]
	other := 1 - i
	switch {
	case me.owns > 0 && !me.here && len(me.flight) == 0 && w.activations < maxActivations && w.owner == uint8(i) && w.epoch == me.owns:
		add(fmt.Sprintf("%d loads", i), func(n *world) {
			n.activations++
			me := &n.workers[i]
			me.here, me.own, me.base, me.value, me.sent = true, n.activations, n.last, n.value, 0
		})
	case me.here && w.made < maxTurns:
		add(fmt.Sprintf("%d runs a turn", i), func(n *world) {
			me := &n.workers[i]
			me.staged |= 1 << n.made
			me.value++
			n.made++
		})
	}
	if me.here && me.staged != 0 && (len(me.flight) == 0 || e.rules.twoInFlight && len(me.flight) < 2) {
		add(fmt.Sprintf("%d sends", i), func(n *world) {
			me := &n.workers[i]
			me.sent++
			r := record{
				worker: uint8(i), epoch: me.owns, base: me.base, identity: identity{me.own, me.sent}, turns: me.staged, value: me.value,
			}
			me.flight, me.staged = append(me.flight, r), 0
			n.records = append(n.records, r)
		})
	}
	if len(me.flight) > 0 {
		fault(fmt.Sprintf("%d sends again", i), func(n *world) {
			n.workers[i].doubted = true
			n.records = append(n.records, n.workers[i].flight[0])
		})
	}
	// A view answers at once where nothing is pending and the lease is valid: the worker
	// is still the owner then. Without the fence that is all that a view relies on.
	if me.here && me.staged == 0 && len(me.flight) == 0 && w.owner == uint8(i) && w.epoch == me.owns {
		add(fmt.Sprintf("view of %d sees %d", i, me.value), func(*world) {})
	}
	if me.owns > 0 && w.epoch < 3 && w.owner == uint8(i) {
		fault(fmt.Sprintf("%d is declared dead, %d takes over", i, other), func(n *world) {
			n.epoch++
			n.owner = uint8(other)
			drop(&n.workers[other], n) // a new epoch is a new activation
			n.workers[other].owns = n.epoch
		})
	}
	if me.owns > 0 && (w.owner != uint8(i) || w.epoch != me.owns) {
		add(fmt.Sprintf("%d learns that it has lost the actor", i), func(n *world) { drop(&n.workers[i], n) })
	}
	if me.here {
		fault(fmt.Sprintf("%d crashes", i), func(n *world) {
			kept := n.workers[i].owns
			n.workers[i] = worker{owns: kept}
		})
	}
}

// drop ends an activation: what was never sent has not happened.
func drop(me *worker, w *world) {
	w.denied |= me.staged
	*me = worker{}
}

// commit lets the store decide on a record.
func (e *explorer) commit(w *world, i int) {
	r := w.records[i]
	w.records = slices.Delete(w.records, i, i+1)
	verdict := e.judge(w, r)
	if verdict == runtimev1.Verdict_VERDICT_APPLIED {
		w.last, w.value = r.identity, r.value
		w.turns |= r.turns
	}
	w.replies = append(w.replies, reply{r.worker, r.identity, verdict})
}

func (e *explorer) judge(w *world, r record) runtimev1.Verdict {
	if !e.rules.noFence && (w.owner != r.worker || w.epoch != r.epoch) {
		return runtimev1.Verdict_VERDICT_STALE_EPOCH
	}
	if e.rules.byVersion {
		switch {
		case w.last.sequence == r.base.sequence:
			return runtimev1.Verdict_VERDICT_APPLIED
		case w.last.sequence >= r.identity.sequence:
			return runtimev1.Verdict_VERDICT_ALREADY_APPLIED
		}
		return runtimev1.Verdict_VERDICT_STALE_BASE
	}
	return store.Judge(stored(w.last), &runtimev1.Record{Base: stored(r.base), Identity: stored(r.identity)})
}

func stored(i identity) *runtimev1.Identity {
	return &runtimev1.Identity{Activation: uint64(i.activation), Sequence: uint64(i.sequence)}
}

// answered tells the callers what an answer means.
func (e *explorer) answered(w *world, i int) {
	a := w.replies[i]
	w.replies = slices.Delete(w.replies, i, i+1)
	me := &w.workers[a.worker]
	at := slices.IndexFunc(me.flight, func(r record) bool { return r.identity == a.identity })
	if at < 0 {
		return // an answer to what nobody waits for
	}
	r := me.flight[at]
	me.flight = slices.Delete(me.flight, at, at+1)
	switch a.verdict {
	case runtimev1.Verdict_VERDICT_APPLIED, runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
		w.acknowledged |= r.turns
		me.base, me.doubted = r.identity, false
	default:
		if !me.doubted { // one that was sent before may have been applied before
			w.denied |= r.turns
		}
		kept := me.owns
		drop(me, w)
		me.owns = kept
	}
}

// T28: no path of loss, repetition, delay, crash and handover makes a caller be told what
// is not so.
func TestEveryState(t *testing.T) {
	t.Parallel()
	e := explore(rules{})
	if e.broken != "" {
		t.Fatal(e.broken)
	}
	if len(e.visited) < 10_000 {
		t.Errorf("%d states are too few to prove anything", len(e.visited))
	}
	t.Logf("%d states", len(e.visited))
}

// Each rule, switched off, must be found to matter.
func TestEveryRuleMatters(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]rules{
		"the fence":                    {noFence: true},
		"recognition by activation":    {byVersion: true},
		"one record in flight at most": {twoInFlight: true},
	} {
		e := explore(off)
		if e.broken == "" {
			t.Errorf("without %s nothing is wrong in %d states", name, len(e.visited))
		}
		t.Logf("without %s, after %d states: %s", name, len(e.visited), e.broken)
	}
}
