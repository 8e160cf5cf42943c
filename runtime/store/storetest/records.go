package storetest

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var recordTests = []test{
	{"a record applies only on its base", recordIdentity},
	{"a delayed record of a dropped activation is refused", recordDelayed},
	{"a refused record never fails its neighbours", recordNeighbours},
	{"results come in order", recordOrder},
	{"a call carries one record of an actor", recordDistinct},
	{"a record must be well formed", recordInvalid},
	{"the counter comes with the answer", recordCounter},
	{"any bytes, ids and identities", recordExtremes},
	{"an actor without state leaves its identity", recordEmptied},
}

func recordIdentity(b *bench) {
	b.single()
	steps := []struct {
		name    string
		record  *runtimev1.Record
		want    runtimev1.Verdict
		version uint64
	}{
		{"on something that is not there", record("a", at(7, 1), at(1, 1), "no"), staleBase, 0},
		{"the first", record("a", nil, at(1, 1), "1"), applied, 1},
		{"the first again", record("a", nil, at(1, 1), "1"), already, 1},
		{"another first", record("a", nil, at(2, 1), "no"), staleBase, 0},
		{"the second", record("a", at(1, 1), at(1, 2), "2"), applied, 2},
		{"the first, once more", record("a", nil, at(1, 1), "1"), already, 2},
		{"the second again", record("a", at(1, 1), at(1, 2), "2"), already, 2},
		{"the fourth before the third", record("a", at(1, 3), at(1, 4), "no"), staleBase, 0},
		{"a new activation", record("a", at(1, 2), at(5, 1), "3"), applied, 3},
		{"the old activation goes on", record("a", at(1, 2), at(1, 3), "no"), staleBase, 0},
		{"an old record of the old activation", record("a", at(1, 1), at(1, 2), "no"), staleBase, 0},
		{"on an empty base, which is none", record("b", &runtimev1.Identity{}, at(1, 1), "b"), applied, 1},
	}
	for _, step := range steps {
		results, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{step.record})
		b.ok(err)
		want(b, step.name, results[0].GetVerdict(), step.want)
		want(b, step.name+": version", results[0].GetVersion(), step.version)
	}
	state := b.load("w1", "a", 1).GetState()
	want(b, "state", string(state.GetData()), "3")
	want(b, "version", state.GetVersion(), 3)
	want(b, "identity", fmt.Sprint(state.GetIdentity().GetActivation(), state.GetIdentity().GetSequence()), "5 1")
	want(b, "message", state.GetMessage(), "shop.v1.CartState")
}

// A version number as identity would let the delayed record pass: both are the
// second of the actor.
func recordDelayed(b *bench) {
	b.single()
	b.commit("w1", record("a", nil, at(1, 1), "first"))
	delayed := record("a", at(1, 1), at(1, 2), "delayed")
	want(b, "the new one", b.commit("w1", record("a", at(1, 1), at(2, 1), "new")), []runtimev1.Verdict{applied})
	want(b, "the delayed one", b.commit("w1", delayed), []runtimev1.Verdict{staleBase})
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "new")

	// The other order: the delayed one arrives first, and the new one is refused.
	b.commit("w1", record("b", nil, at(1, 1), "first"))
	want(b, "the delayed one", b.commit("w1", record("b", at(1, 1), at(1, 2), "delayed")), []runtimev1.Verdict{applied})
	want(b, "the new one", b.commit("w1", record("b", at(1, 1), at(2, 1), "new")), []runtimev1.Verdict{staleBase})
}

func recordNeighbours(b *bench) {
	b.single()
	b.commit("w1", record("old", nil, at(1, 1), "x"))
	got := b.commit("w1",
		record("a", nil, at(1, 1), "a"),
		atEpoch(record("b", nil, at(1, 1), "no"), 2),
		record("c", at(9, 9), at(1, 1), "no"),
		record("old", nil, at(1, 1), "x"),
		record("d", nil, at(1, 1), "d"),
	)
	want(b, "verdicts", got, []runtimev1.Verdict{applied, staleEpoch, staleBase, already, applied})
	for id, data := range map[string]string{"a": "a", "b": "", "c": "", "old": "x", "d": "d"} {
		want(b, id, string(b.load("w1", id, 1).GetState().GetData()), data)
	}
}

func recordOrder(b *bench) {
	b.single()
	const n = 200
	var records []*runtimev1.Record
	var expected []runtimev1.Verdict
	for i := range n {
		epoch, verdict := uint64(1), applied
		if i%7 == 3 {
			epoch, verdict = 0, staleEpoch
		}
		records = append(records, atEpoch(record(fmt.Sprintf("a%d", n-i), nil, at(1, 1), fmt.Sprint(i)), epoch))
		expected = append(expected, verdict)
	}
	want(b, "verdicts", b.commit("w1", records...), expected)
	var reads []*runtimev1.LoadRequest_Read
	for _, r := range records {
		reads = append(reads, &runtimev1.LoadRequest_Read{Actor: r.GetActor(), Fence: &runtimev1.Fence{Epoch: 1}})
	}
	results, err := b.Load(b.Context(), "w1", reads)
	b.ok(err)
	for i, result := range results {
		data := fmt.Sprint(i)
		if expected[i] == staleEpoch {
			data = ""
		}
		want(b, fmt.Sprint("state ", i), string(result.GetState().GetData()), data)
	}
}

func recordDistinct(b *bench) {
	b.single()
	_, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{
		record("a", nil, at(1, 1), "1"), record("b", nil, at(1, 1), "1"), record("a", at(1, 1), at(1, 2), "2"),
	})
	wantError(b, "two records of a", err, store.ErrInvalid)
	want(b, "state", b.load("w1", "b", 1).GetState().GetVersion(), 0)
}

func recordInvalid(b *bench) {
	b.single()
	noMessage := record("a", nil, at(1, 1), "data")
	noMessage.Message = ""
	noActor := record("", nil, at(1, 1), "x")
	for name, bad := range map[string]*runtimev1.Record{
		"no identity":          record("a", nil, nil, "x"),
		"no sequence":          record("a", nil, at(1, 0), "x"),
		"half a base":          record("a", at(1, 0), at(2, 1), "x"),
		"a base after itself":  record("a", at(1, 5), at(1, 5), "x"),
		"data without message": noMessage,
		"no actor":             noActor,
		"nothing":              {},
	} {
		_, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{record("good", nil, at(1, 1), "x"), bad})
		wantError(b, name, err, store.ErrInvalid)
	}
	want(b, "the neighbour", b.load("w1", "good", 1).GetState().GetVersion(), 0)
}

func recordCounter(b *bench) {
	b.single()
	before := b.counter()
	_, first, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{record("a", nil, at(1, 1), "x")})
	b.ok(err)
	_, second, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{record("a", at(1, 1), at(1, 2), "x")})
	b.ok(err)
	want(b, "counters", []store.Counter{first.Counter, second.Counter}, []store.Counter{before + 1, before + 2})
	want(b, "where the store is", second.Point, b.point())
}

func recordExtremes(b *bench) {
	b.single()
	ids := []string{"é", "a b", "%_'\"\\", string(bytes.Repeat([]byte("x"), 512)), "A", "ａ"}
	data := [][]byte{nil, {0}, {0xff, 0, 0xfe}, bytes.Repeat([]byte("0123456789abcdef"), 1<<16), []byte("plain")}
	for i, id := range ids {
		identity := at(math.MaxUint64-uint64(i), math.MaxUint64-1)
		r := record(id, nil, identity, string(data[i%len(data)]))
		want(b, "commit", b.commit("w1", r), []runtimev1.Verdict{applied})
		r = record(id, identity, at(identity.GetActivation(), math.MaxUint64), string(data[i%len(data)]))
		want(b, "commit again", b.commit("w1", r), []runtimev1.Verdict{applied})
	}
	for i, id := range ids {
		state := b.load("w1", id, 1).GetState()
		if !bytes.Equal(state.GetData(), data[i%len(data)]) || state.GetIdentity().GetActivation() != math.MaxUint64-uint64(i) {
			b.Errorf("actor %q came back as another", id)
		}
	}
	want(b, "the lower case", b.load("w1", "a", 1).GetState().GetVersion(), 0)
}

func recordEmptied(b *bench) {
	if testing.Short() {
		b.Skip("waits for the clock of the store")
	}
	b.single()
	b.commit("w1", record("a", nil, at(1, 1), "x"), record("kept", nil, at(1, 1), "x"))
	want(b, "empty it", b.commit("w1", emptyRecord("a", at(1, 1), at(1, 2))), []runtimev1.Verdict{applied})
	state := b.load("w1", "a", 1).GetState()
	want(b, "message", state.GetMessage(), "")
	want(b, "version", state.GetVersion(), 2)
	want(b, "a delayed first record", b.commit("w1", record("a", nil, at(9, 1), "no")), []runtimev1.Verdict{staleBase})
	_, err := b.Forget(b.Context(), 60*60*1e9)
	b.ok(err)
	want(b, "still known", b.load("w1", "a", 1).GetState().GetVersion(), 2)
	b.forget()
	want(b, "forgotten", b.load("w1", "a", 1).GetState().GetVersion(), 0)
	want(b, "with state", b.load("w1", "kept", 1).GetState().GetVersion(), 1)
	// One that has a state again is not forgotten with the old news.
	b.commit("w1", record("back", nil, at(1, 1), "x"))
	b.commit("w1", emptyRecord("back", at(1, 1), at(1, 2)), record("kept", at(1, 1), at(1, 2), "y"))
	b.commit("w1", record("back", at(1, 2), at(1, 3), "z"))
	b.forget()
	want(b, "back", string(b.load("w1", "back", 1).GetState().GetData()), "z")
	want(b, "begins anew", b.commit("w1", record("a", nil, at(3, 1), "new")), []runtimev1.Verdict{applied})
}

// emptyRecord leaves an actor without state.
func emptyRecord(id string, base, identity *runtimev1.Identity) *runtimev1.Record {
	r := record(id, base, identity, "")
	r.Message, r.Data = "", nil
	return r
}
