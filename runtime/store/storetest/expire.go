package storetest

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
)

var expireTests = []test{
	{"a state expires after the last record", expireState},
	{"a record says anew whether its state expires", expireRenewed},
	{"what else an actor has outlives its state", expireAlone},
	{"an expired state leaves its identity", expireIdentity},
	{"states that have expired are taken a piece at a time", expireSwept},
	{"a backup has when a state expires", expireArchive},
	{"a time to live that is not well formed is refused", expireMalformed},
}

// expiring is a record whose state lives so long.
func expiring(r *runtimev1.Record, ttl time.Duration) *runtimev1.Record {
	r.StateTtl = durationpb.New(ttl)
	return r
}

// left is how long the state of an actor lives.
func (b *bench) left(id string) time.Duration {
	b.Helper()
	return b.load("w1", id, 1).GetState().GetExpiresIn().AsDuration()
}

func (b *bench) wantState(id, data string) {
	b.Helper()
	state := b.load("w1", id, 1).GetState()
	message := ""
	if data != "" {
		message = "shop.v1.CartState"
	}
	want(b, "state of "+id, []string{state.GetMessage(), string(state.GetData())}, []string{message, data})
}

func expireState(b *bench) {
	b.single()
	b.commit("w1", expiring(record("a", nil, at(1, 1), "a1"), time.Hour), record("b", nil, at(1, 1), "b1"))
	if left := b.left("a"); left <= 59*time.Minute || left > time.Hour+time.Microsecond {
		b.Errorf("%v are left of an hour", left)
	}
	want(b, "what lives for ever", b.load("w1", "b", 1).GetState().GetExpiresIn() == nil, true)
	b.clock.pass(59 * time.Minute)
	b.wantState("a", "a1")
	if left := b.left("a"); left <= 0 || left > time.Minute {
		b.Errorf("%v are left of a minute", left)
	}
	b.clock.pass(time.Minute)
	b.wantState("a", "")
	b.wantState("b", "b1")
	want(b, "what is left of none", b.left("a"), 0)
	want(b, "version", b.load("w1", "a", 1).GetState().GetVersion(), 1)
	want(b, "listed", b.allActors(&runtimev1.ListActorsRequest{}), []string{"b"})
	// The smallest and the largest.
	b.commit("w1", expiring(record("c", nil, at(1, 1), "c"), time.Nanosecond), expiring(record("d", nil, at(1, 1), "d"), 87600*time.Hour))
	b.clock.pass(time.Second)
	b.wantState("c", "")
	b.wantState("d", "d")
}

func expireRenewed(b *bench) {
	b.single()
	b.commit("w1", expiring(record("a", nil, at(1, 1), "a1"), time.Hour), expiring(record("b", nil, at(1, 1), "b1"), time.Hour), record("c", nil, at(1, 1), "c1"))
	b.clock.pass(40 * time.Minute)
	b.commit("w1", expiring(record("a", at(1, 1), at(1, 2), "a2"), time.Hour), record("b", at(1, 1), at(1, 2), "b2"), expiring(record("c", at(1, 1), at(1, 2), "c2"), time.Hour))
	b.clock.pass(40 * time.Minute)
	b.wantState("a", "a2")
	b.clock.pass(30 * time.Minute)
	b.wantState("a", "")
	b.wantState("b", "b2")
	b.wantState("c", "")
	// It expires where nobody looks, and the next record is on what it left.
	want(b, "late", b.commit("w1", record("a", at(1, 1), at(2, 1), "no")), []runtimev1.Verdict{staleBase})
	want(b, "next", b.commit("w1", expiring(record("a", at(1, 2), at(2, 1), "a3"), 10*time.Hour)), []runtimev1.Verdict{applied})
	b.clock.pass(3 * time.Hour)
	b.forgetAfter(time.Hour)
	b.wantState("a", "a3")
	b.wantState("b", "b2")
	want(b, "version", b.load("w1", "a", 1).GetState().GetVersion(), 3)
}

// Work that is to come and answers that were promised for a day are not the state's.
func expireAlone(b *bench) {
	b.single()
	b.commit("w1", keyed(expiring(record("a", nil, at(1, 1), "a1"), time.Minute), 1))
	b.set(every(alarm("a", "x"), time.Hour))
	b.clock.pass(4 * time.Hour)
	for range 2 {
		b.wantState("a", "")
		want(b, "keys", b.numbers("a"), []int{1})
		want(b, "reply", b.recall("a", 1), "reply 1")
		want(b, "tasks", b.all("a"), []string{"a!x"})
		b.forgetAfter(time.Hour)
	}
	b.clock.pass(keys.Life)
	b.forgetAfter(time.Hour)
	want(b, "identity", b.load("w1", "a", 1).GetState().GetVersion(), 0)
	want(b, "tasks", b.all("a"), []string{"a!x"})
}

func expireIdentity(b *bench) {
	b.single()
	b.commit("w1", expiring(record("a", nil, at(1, 1), "a1"), time.Second))
	b.clock.pass(3 * time.Hour)
	for range 2 {
		want(b, "identity", b.load("w1", "a", 1).GetState().GetIdentity(), at(1, 1))
		want(b, "the same again", b.commit("w1", expiring(record("a", nil, at(1, 1), "a1"), time.Second)), []runtimev1.Verdict{already})
		want(b, "one of before", b.commit("w1", record("a", nil, at(2, 1), "no")), []runtimev1.Verdict{staleBase})
		b.forgetAfter(time.Hour) // takes the state
	}
	b.clock.pass(61 * time.Minute)
	b.forgetAfter(time.Hour)
	want(b, "version", b.load("w1", "a", 1).GetState().GetVersion(), 0)
}

// stored are what a backup says of the actors: with data, without, or with the time.
func (b *bench) storedActors() (states, emptied int) {
	b.Helper()
	for _, record := range b.backup() {
		switch a := record.GetActor(); {
		case a == nil:
		case a.GetState().GetMessage() != "":
			states++
		case a.GetExpires() != 0 || len(a.GetState().GetData()) > 0 || a.GetEmptied() == 0:
			b.Errorf("%v has lost its state by half", a)
		default:
			emptied++
		}
	}
	return states, emptied
}

func expireSwept(b *bench) {
	b.single()
	const n = 300
	var records []*runtimev1.Record
	for i := range n {
		records = append(records, expiring(record(fmt.Sprint("a", i), nil, at(1, 1), "x"), time.Minute))
	}
	b.commit("w1", append(records, expiring(record("later", nil, at(1, 1), "x"), 100*time.Hour), record("kept", nil, at(1, 1), "x"))...)
	b.clock.pass(2 * time.Hour)
	before := b.counter()
	more, err := b.Forget(b.Context(), time.Hour)
	b.ok(err)
	states, emptied := b.storedActors()
	want(b, "more", more, emptied < n)
	if emptied == 0 || states+emptied != n+2 || b.counter() == before {
		b.Errorf("%d states are stored, and %d were taken", states, emptied)
	}
	b.forgetAfter(time.Hour)
	states, emptied = b.storedActors()
	want(b, "states", []int{states, emptied}, []int{2, n})
	b.clock.pass(2 * time.Hour)
	b.forgetAfter(time.Hour)
	states, emptied = b.storedActors()
	want(b, "rows", []int{states, emptied}, []int{2, 0})
	b.wantState("kept", "x")
	b.wantState("later", "x")
}

func expireArchive(b *bench) {
	b.single()
	b.commit("w1", expiring(record("a", nil, at(1, 1), "a1"), time.Hour), expiring(record("b", nil, at(1, 1), "b1"), 100*time.Hour))
	before := b.backup()
	c := b.another()
	c.restore(before)
	want(b, "the backup of what was restored", fmt.Sprint(c.backup()[1:]), fmt.Sprint(before[1:]))
	var expires []*backupv1.Actor
	for _, record := range before {
		if record.GetActor().GetExpires() != 0 {
			expires = append(expires, record.GetActor())
		}
	}
	want(b, "actors that expire", len(expires), 2)
	c.worker("w1")
	epoch := c.assign(0, "w1").GetEpoch()
	loaded := c.load("w1", "a", epoch).GetState()
	want(b, "state", string(loaded.GetData()), "a1")
	want(b, "it expires", loaded.GetExpiresIn() != nil, true)
	c.clock.pass(3 * time.Hour)
	want(b, "state", string(c.load("w1", "a", epoch).GetState().GetData()), "")
	want(b, "the other one", string(c.load("w1", "b", epoch).GetState().GetData()), "b1")
	c.forgetAfter(time.Hour)
	states, emptied := c.storedActors()
	want(b, "states", []int{states, emptied}, []int{1, 1})
}

func expireMalformed(b *bench) {
	b.single()
	deleted := expiring(deletion("a", nil, at(1, 1)), time.Hour)
	for what, bad := range map[string]*runtimev1.Record{
		"no state": expiring(emptyRecord("a", nil, at(1, 1)), time.Hour), "a deletion": deleted,
		"no time": expiring(record("a", nil, at(1, 1), "x"), 0), "less than none": expiring(record("a", nil, at(1, 1), "x"), -time.Second),
	} {
		_, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{bad})
		wantError(b, what, err, store.ErrInvalid)
	}
	b.wantState("a", "")
}
