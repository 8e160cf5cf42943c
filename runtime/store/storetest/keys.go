package storetest

import (
	"bytes"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
)

var keyTests = []test{
	{"keys are committed with the state", keysCommitted},
	{"the keys of a refused record are not kept", keysRefused},
	{"a repeated record changes no key", keysRepeated},
	{"a key is recalled with its reply", keysRecalled},
	{"a key lives for a day", keysExpire},
	{"a key is forgotten to make room", keysForgotten},
	{"a load brings the youngest keys, the oldest first", keysBounded},
	{"an actor without state keeps its keys", keysWithoutState},
	{"expired keys are swept a piece at a time", keysSwept},
	{"malformed keys are refused", keysMalformed},
}

// digest is a digest that is easily told from others.
func digest(n int) []byte { return fmt.Appendf(nil, "%016d", n) }

// keyed is a record with keys.
func keyed(r *runtimev1.Record, numbers ...int) *runtimev1.Record {
	for _, n := range numbers {
		r.Keys = append(r.Keys, &runtimev1.Key{Digest: digest(n), Request: digest(-n), Reply: fmt.Append(nil, "reply ", n)})
	}
	return r
}

// numbers are the keys that a load brings.
func (b *bench) numbers(id string) []int {
	b.Helper()
	var all []int
	for _, key := range b.load("w1", id, 1).GetKeys() {
		var n int
		if _, err := fmt.Sscanf(string(key.GetDigest()), "%d", &n); err != nil || !bytes.Equal(key.GetRequest(), digest(-n)) || key.GetReply() != nil {
			b.Errorf("a load brought the key %v", key)
		}
		all = append(all, n)
	}
	return all
}

// recall reads the reply of a key; none when it is not there.
func (b *bench) recall(id string, n int) string {
	b.Helper()
	r := read(id, 1)
	r.Recall = digest(n)
	results, err := b.Load(b.Context(), "w1", []*runtimev1.LoadRequest_Read{r})
	b.ok(err)
	want(b, "verdict", results[0].GetVerdict(), applied)
	if results[0].GetState() != nil {
		b.Errorf("a recall brought the state")
	}
	if len(results[0].GetKeys()) == 0 {
		return "none"
	}
	return string(results[0].GetKeys()[0].GetReply())
}

func keysCommitted(b *bench) {
	b.single()
	want(b, "keys of nobody", b.numbers("a"), nil)
	b.commit("w1", keyed(record("a", nil, at(1, 1), "1"), 1, 2))
	b.clock.pass(time.Second)
	b.commit("w1", record("a", at(1, 1), at(1, 2), "2"), record("b", nil, at(1, 1), "b"))
	b.clock.pass(time.Second)
	b.commit("w1", keyed(record("a", at(1, 2), at(1, 3), "3"), 3))
	got := b.numbers("a")
	if len(got) != 3 || got[0]+got[1] != 3 || got[2] != 3 {
		b.Errorf("keys %v; want 1 and 2, and 3 last", got)
	}
	want(b, "keys of a neighbour", b.numbers("b"), nil)
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "3")
	if age := b.load("w1", "a", 1).GetKeys()[0].GetAge().AsDuration(); age < 2*time.Second || age > time.Minute {
		b.Errorf("the oldest key is %v old; it came more than two seconds ago", age)
	}
}

func keysRefused(b *bench) {
	b.single()
	b.commit("w1", record("a", nil, at(1, 1), "1"))
	want(b, "verdicts", b.commit("w1", keyed(record("a", at(9, 9), at(2, 1), "x"), 1), keyed(atEpoch(record("c", nil, at(1, 1), "x"), 7), 2)),
		[]runtimev1.Verdict{staleBase, staleEpoch})
	want(b, "keys", b.numbers("a"), nil)
	want(b, "keys", b.numbers("c"), nil)
	want(b, "recalled", b.recall("a", 1), "none")
}

func keysRepeated(b *bench) {
	b.single()
	b.commit("w1", keyed(record("a", nil, at(1, 1), "1"), 1))
	want(b, "verdicts", b.commit("w1", keyed(record("a", nil, at(1, 1), "1"), 2)), []runtimev1.Verdict{already})
	want(b, "keys", b.numbers("a"), []int{1})
}

func keysRecalled(b *bench) {
	b.single()
	b.commit("w1", keyed(record("a", nil, at(1, 1), "1"), 1, 2))
	want(b, "reply", b.recall("a", 2), "reply 2")
	want(b, "reply of an unknown key", b.recall("a", 3), "none")
	want(b, "reply of another actor", b.recall("b", 2), "none")
	stale := read("a", 9)
	stale.Recall = digest(1)
	results, err := b.Load(b.Context(), "w1", []*runtimev1.LoadRequest_Read{stale})
	b.ok(err)
	want(b, "verdict at another epoch", results[0].GetVerdict(), staleEpoch)
}

func keysExpire(b *bench) {
	b.single()
	b.commit("w1", keyed(record("a", nil, at(1, 1), "1"), 1))
	b.clock.pass(keys.Life / 2)
	b.commit("w1", keyed(record("a", at(1, 1), at(1, 2), "2"), 2))
	b.clock.pass(keys.Life/2 - time.Minute)
	want(b, "keys shortly before the end of the first", b.numbers("a"), []int{1, 2})
	b.clock.pass(2 * time.Minute)
	want(b, "keys after it", b.numbers("a"), []int{2})
	want(b, "reply after it", b.recall("a", 1), "none")
	b.commit("w1", keyed(record("a", at(1, 2), at(1, 3), "3"), 1))
	want(b, "the same key again", b.recall("a", 1), "reply 1")
}

func keysForgotten(b *bench) {
	b.single()
	b.commit("w1", keyed(record("a", nil, at(1, 1), "1"), 1))
	next := keyed(record("a", at(1, 1), at(1, 2), "2"), 2)
	next.Forgotten = [][]byte{digest(1), digest(77)}
	b.commit("w1", next)
	want(b, "keys", b.numbers("a"), []int{2})
	want(b, "reply", b.recall("a", 1), "none")
}

func keysBounded(b *bench) {
	b.single()
	base := (*runtimev1.Identity)(nil)
	const records = 11
	for i := range records {
		next := record("a", base, at(1, uint64(i+1)), "x")
		for n := range keys.MaxRecord {
			keyed(next, i*keys.MaxRecord+n)
		}
		b.commit("w1", next)
		base = next.GetIdentity()
		b.clock.pass(time.Second)
	}
	got := b.numbers("a")
	want(b, "keys", len(got), keys.Max)
	for i := 1; i < len(got); i++ {
		if got[i]/keys.MaxRecord < got[i-1]/keys.MaxRecord {
			b.Fatalf("key %d of record %d comes after one of record %d", i, got[i]/keys.MaxRecord, got[i-1]/keys.MaxRecord)
		}
	}
	want(b, "record of the youngest", got[len(got)-1]/keys.MaxRecord, records-1)
}

func keysWithoutState(b *bench) {
	b.single()
	empty := keyed(record("a", nil, at(1, 1), ""), 1)
	empty.Message, empty.Data = "", nil
	b.commit("w1", empty)
	b.clock.pass(2 * time.Hour)
	b.forgetAfter(time.Hour)
	want(b, "keys after two hours", b.numbers("a"), []int{1})
	want(b, "identity after two hours", b.load("w1", "a", 1).GetState().GetIdentity().GetActivation(), uint64(1))
	b.clock.pass(keys.Life)
	b.forgetAfter(time.Hour)
	want(b, "keys after a day", b.numbers("a"), nil)
	if got := b.load("w1", "a", 1).GetState().GetIdentity(); got != nil {
		b.Errorf("the identity %v outlives the keys", got)
	}
}

// forgetAfter drops all that can be forgotten at that age.
func (b *bench) forgetAfter(age time.Duration) {
	b.Helper()
	for more := true; more; {
		var err error
		more, err = b.Forget(b.Context(), age)
		b.ok(err)
	}
}

func keysSwept(b *bench) {
	b.single()
	base := (*runtimev1.Identity)(nil)
	for i := range 3 {
		next := record("a", base, at(1, uint64(i+1)), "x")
		for n := range keys.MaxRecord {
			keyed(next, i*keys.MaxRecord+n)
		}
		b.commit("w1", next)
		base = next.GetIdentity()
	}
	b.clock.pass(keys.Life + 2*time.Hour)
	b.forgetAfter(time.Hour)
	want(b, "keys", b.numbers("a"), nil)
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "x")
	want(b, "verdicts", b.commit("w1", keyed(record("a", base, at(1, 4), "y"), 1)), []runtimev1.Verdict{applied})
	want(b, "reply", b.recall("a", 1), "reply 1")
}

func keysMalformed(b *bench) {
	b.single()
	for name, change := range map[string]func(*runtimev1.Record){
		"a short digest":           func(r *runtimev1.Record) { r.Keys[0].Digest = []byte("x") },
		"no digest":                func(r *runtimev1.Record) { r.Keys[0].Digest = nil },
		"a long request digest":    func(r *runtimev1.Record) { r.Keys[0].Request = make([]byte, 17) },
		"a short forgotten digest": func(r *runtimev1.Record) { r.Forgotten = [][]byte{{1}} },
		"too many": func(r *runtimev1.Record) {
			for range keys.MaxRecord {
				r.Keys = append(r.Keys, r.GetKeys()[0])
			}
		},
	} {
		r := proto.CloneOf(keyed(record("a", nil, at(1, 1), "1"), 1))
		change(r)
		_, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{r})
		wantError(b, name, err, store.ErrInvalid)
	}
	want(b, "keys", b.numbers("a"), nil)
}
