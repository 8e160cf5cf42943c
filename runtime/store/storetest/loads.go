package storetest

import (
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

var loadTests = []test{
	{"an actor that never committed has no state", loadNothing},
	{"a load of nothing answers nothing", loadEmpty},
	{"a refused read never fails its neighbours", loadNeighbours},
	{"a load sees what was acknowledged", loadSees},
}

func loadNothing(b *bench) {
	b.single()
	result := b.load("w1", "a", 1)
	want(b, "verdict", result.GetVerdict(), applied)
	state := result.GetState()
	if state == nil || state.GetIdentity() != nil || state.GetVersion() != 0 || state.GetMessage() != "" || len(state.GetData()) != 0 {
		b.Errorf("the state of nobody is %v", state)
	}
}

func loadEmpty(b *bench) {
	b.single()
	results, err := b.Load(b.Context(), "w1", nil)
	b.ok(err)
	want(b, "results", len(results), 0)
	answers, _, err := b.Commit(b.Context(), "w1", nil)
	b.ok(err)
	want(b, "answers", len(answers), 0)
}

func loadNeighbours(b *bench) {
	b.single()
	b.commit("w1", record("a", nil, at(1, 1), "a"), record("b", nil, at(1, 1), "b"))
	results, err := b.Load(b.Context(), "w1", []*runtimev1.LoadRequest_Read{
		read("b", 1), read("b", 2), read("nobody", 1), read("a", 1), read("b", 1),
	})
	b.ok(err)
	want(b, "verdicts", verdicts(results), []runtimev1.Verdict{applied, staleEpoch, applied, applied, applied})
	for i, data := range []string{"b", "", "", "a", "b"} {
		want(b, fmt.Sprint("state ", i), string(results[i].GetState().GetData()), data)
	}
}

func loadSees(b *bench) {
	b.single()
	base := (*runtimev1.Identity)(nil)
	for i := range uint64(100) {
		next := at(1, i+1)
		b.commit("w1", record("a", base, next, fmt.Sprint(i)))
		want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), fmt.Sprint(i))
		base = next
	}
}
