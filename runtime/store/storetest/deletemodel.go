package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// model is what one actor must be, after records of many activations that came in any order
// and more than once.
type model struct {
	last  *runtimev1.Identity
	data  string
	tasks map[string]bool
	keys  map[int]bool
}

// apply is what becomes of a record, and does it.
func (m *model) apply(r *runtimev1.Record) runtimev1.Verdict {
	verdict := store.Judge(m.last, r)
	if verdict != applied {
		return verdict
	}
	m.last, m.data = r.GetIdentity(), string(r.GetData())
	if r.GetDeletes() {
		clear(m.tasks)
		clear(m.keys)
	}
	for _, key := range r.GetKeys() {
		var n int
		_, _ = fmt.Sscanf(string(key.GetDigest()), "%d", &n) // as digest writes it
		m.keys[n] = true
	}
	for _, change := range r.GetChanges() {
		m.tasks[name(change.GetSet().GetKey())] = true
	}
	return applied
}

// Whatever comes twice, late or from an activation that is gone, a deletion takes what was
// there before it and nothing that came after.
func deleteModel(b *bench) {
	b.single()
	random := rand.New(rand.NewPCG(4, 2))
	m := &model{tasks: map[string]bool{}, keys: map[int]bool{}}
	var sent []*runtimev1.Record
	activation, sequence := uint64(1), uint64(0)
	for n := range 400 {
		switch random.IntN(6) {
		case 0: // somebody else sets a task
			b.set(task(job("a", fmt.Sprint("out", n)), ""))
			m.tasks[fmt.Sprint("a#out", n)] = true
		case 1: // the next activation
			activation, sequence = activation+1, 0
		case 2, 3: // something old comes again
			if len(sent) > 0 {
				r := sent[random.IntN(len(sent))]
				want(b, fmt.Sprint(n, ": again ", r), b.commit("w1", r), []runtimev1.Verdict{m.apply(r)})
			}
		default:
			sequence++
			r := record("a", m.last, at(activation, sequence), fmt.Sprint(n))
			if random.IntN(3) == 0 {
				r = deletion("a", m.last, at(activation, sequence))
			}
			if random.IntN(2) == 0 {
				keyed(r, n)
			}
			if random.IntN(2) == 0 {
				changing(r, set(task(job("a", fmt.Sprint("in", n)), "")))
			}
			if random.IntN(10) > 0 { // else it is delayed, and comes when it is old
				want(b, fmt.Sprint(n, ": ", r), b.commit("w1", r), []runtimev1.Verdict{m.apply(r)})
			}
			sent = append(sent, r)
		}
		state := b.load("w1", "a", 1).GetState()
		want(b, fmt.Sprint(n, ": state"), []string{string(state.GetData()), state.GetIdentity().String()}, []string{m.data, m.last.String()})
		want(b, fmt.Sprint(n, ": tasks"), b.all("a"), slices.Sorted(maps.Keys(m.tasks)))
		want(b, fmt.Sprint(n, ": keys"), sortedCopy(b.numbers("a")), slices.Sorted(maps.Keys(m.keys)))
		if b.T.Failed() {
			return
		}
	}
}
