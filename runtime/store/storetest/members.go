package storetest

import (
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var memberTests = []test{
	{"a worker joins, beats and is listed", workerJoins},
	{"a worker id is never used twice", workerIDFresh},
	{"announcing keeps the rest", announceKeeps},
	{"a dead worker can do nothing", deadCanNothing},
	{"a decree needs the beat that was seen", decreeNeedsBeat},
	{"a decree moves every shard of the worker", decreeMoves},
	{"an eviction needs no beat", evictNeedsNoBeat},
	{"a dead or leaving heir gets nothing", heirMustLive},
	{"a leaving worker is given nothing", leavingGetsNothing},
	{"dead workers are forgotten after a time", deadForgotten},
	{"a store that went back begins a new generation", regenerates},
}

// member returns a worker as it is listed.
func (b *bench) member(id string) store.Member {
	b.Helper()
	members, err := b.Workers(b.Context())
	b.ok(err)
	i := slices.IndexFunc(members, func(m store.Member) bool { return m.Worker.GetId() == id })
	if i < 0 {
		return store.Member{}
	}
	return members[i]
}

func workerJoins(b *bench) {
	b.worker("w2", "w1")
	for range 3 {
		b.ok(b.Beat(b.Context(), "w1"))
	}
	members, err := b.Workers(b.Context())
	b.ok(err)
	want(b, "members", len(members), 2)
	first := b.member("w1")
	want(b, "beat", first.Beat, 3)
	want(b, "alive", first.Alive, true)
	want(b, "address", first.Worker.GetAddress(), "w1:7500")
	want(b, "beat of the other", b.member("w2").Beat, 0)
	want(b, "order", members[0].Worker.GetId(), "w1")
}

func workerIDFresh(b *bench) {
	b.worker("w1")
	_, err := b.AddWorker(b.Context(), &runtimev1.Worker{Id: "w1"})
	wantError(b, "add a living worker", err, store.ErrWorkerExists)
	_, _, err = b.Evict(b.Context(), "w1", nil)
	b.ok(err)
	_, err = b.AddWorker(b.Context(), &runtimev1.Worker{Id: "w1"})
	wantError(b, "add a dead worker", err, store.ErrWorkerExists)
	_, err = b.AddWorker(b.Context(), &runtimev1.Worker{})
	wantError(b, "add nobody", err, store.ErrInvalid)
}

func announceKeeps(b *bench) {
	b.worker("w1")
	b.ok(b.Beat(b.Context(), "w1"))
	_, err := b.SetLeaving(b.Context(), "w1")
	b.ok(err)
	_, err = b.Announce(b.Context(), &runtimev1.Worker{Id: "w1", Address: "new:1", Types: []string{"a", "b"}})
	b.ok(err)
	got := b.member("w1")
	want(b, "address", got.Worker.GetAddress(), "new:1")
	want(b, "types", got.Worker.GetTypes(), []string{"a", "b"})
	want(b, "leaving", got.Worker.GetLeaving(), true)
	want(b, "beat", got.Beat, 1)
}

func deadCanNothing(b *bench) {
	b.single()
	_, _, err := b.Evict(b.Context(), "w1", nil)
	b.ok(err)
	for _, id := range []string{"w1", "never"} {
		wantError(b, "beat", b.Beat(b.Context(), id), store.ErrDead)
		_, err = b.Announce(b.Context(), &runtimev1.Worker{Id: id})
		wantError(b, "announce", err, store.ErrDead)
		_, err = b.SetLeaving(b.Context(), id)
		wantError(b, "leave", err, store.ErrDead)
		want(b, "commit", b.commit(id, record("a", nil, at(1, 1), "x")), []runtimev1.Verdict{staleEpoch})
		want(b, "assign", entry(b.assign(0, id)), "0:@2")
	}
	want(b, "alive", b.member("w1").Alive, false)
}

func decreeNeedsBeat(b *bench) {
	b.single()
	b.ok(b.Beat(b.Context(), "w1"))
	for _, beat := range []uint64{0, 2} {
		happened, placed, err := b.DeclareDead(b.Context(), "w1", beat, nil)
		b.ok(err)
		want(b, "happened", happened, false)
		want(b, "moved", len(placed.Shards), 0)
	}
	want(b, "shard", entry(b.shard(0)), "0:w1@1")
	happened, placed, err := b.DeclareDead(b.Context(), "w1", 1, nil)
	b.ok(err)
	want(b, "happened", happened, true)
	want(b, "moved", entries(placed.Shards), []string{"0:@2"})
	happened, _, err = b.DeclareDead(b.Context(), "w1", 1, nil)
	b.ok(err)
	want(b, "happened twice", happened, false)
}

func decreeMoves(b *bench) {
	b.worker("w1", "w2", "w3")
	b.cart(5)
	for shard := range uint32(4) {
		b.assign(shard, "w1")
	}
	b.assign(4, "w2")
	b.assign(2, "w3") // the next of 2
	b.assign(4, "w1") // the next of w2's
	_, placed, err := b.DeclareDead(b.Context(), "w1", 0, []store.Assignment{
		{Type: "cart", Shard: 0, Epoch: 1, Worker: "w2"},
		{Type: "cart", Shard: 1, Epoch: 9, Worker: "w2"}, // seen at another epoch
		{Type: "cart", Shard: 4, Epoch: 1, Worker: "w3"}, // not w1's
	})
	b.ok(err)
	all := []string{"0:w2@2", "1:@2", "2:w3@2", "3:@2", "4:w2@1"}
	want(b, "moved", entries(placed.Shards), all)
	want(b, "table", entries(b.table()), all)
	want(b, "counter", placed.Counter, b.counter())
}

func evictNeedsNoBeat(b *bench) {
	b.single()
	b.ok(b.Beat(b.Context(), "w1"))
	happened, placed, err := b.Evict(b.Context(), "w1", nil)
	b.ok(err)
	want(b, "happened", happened, true)
	want(b, "moved", entries(placed.Shards), []string{"0:@2"})
}

func heirMustLive(b *bench) {
	b.worker("w1", "dead", "leaving")
	b.cart(3)
	var heirs []store.Assignment
	for shard, heir := range []string{"dead", "leaving", "w1"} {
		b.assign(uint32(shard), "w1")
		heirs = append(heirs, store.Assignment{Type: "cart", Shard: uint32(shard), Epoch: 1, Worker: heir})
	}
	_, _, err := b.Evict(b.Context(), "dead", nil)
	b.ok(err)
	_, err = b.SetLeaving(b.Context(), "leaving")
	b.ok(err)
	_, _, err = b.Evict(b.Context(), "w1", heirs)
	b.ok(err)
	want(b, "table", entries(b.table()), []string{"0:@2", "1:@2", "2:@2"})
}

func leavingGetsNothing(b *bench) {
	b.worker("w1", "w2")
	b.cart(2)
	b.assign(0, "w1")
	b.assign(0, "w2")
	placed, err := b.SetLeaving(b.Context(), "w2")
	b.ok(err)
	want(b, "changed", entries(placed.Shards), []string{"0:w1@1"})
	want(b, "as next", entry(b.assign(0, "w2")), "0:w1@1")
	want(b, "as owner", entry(b.assign(1, "w2")), "1:@0")
	want(b, "leaving", b.member("w2").Worker.GetLeaving(), true)
	want(b, "still beats", b.Beat(b.Context(), "w2"), nil)
}

// deadForgotten leaves a minute on both sides: a store may count in seconds, and time goes on beside the clock.
func deadForgotten(b *bench) {
	b.worker("w1", "w2")
	_, _, err := b.Evict(b.Context(), "w1", nil)
	b.ok(err)
	b.clock.pass(time.Hour - time.Minute)
	b.forgetAfter(time.Hour)
	if b.member("w1").Worker == nil {
		b.Error("a worker that died less than an hour ago is forgotten")
	}
	b.clock.pass(2 * time.Minute)
	b.forgetAfter(time.Hour)
	if b.member("w1").Worker != nil {
		b.Error("a worker that died before is still known")
	}
	want(b, "the living one", b.member("w2").Alive, true)
}

// forget forgets everything that is dead by now. A store may count in seconds, so
// that it looks from a little later.
func (b *bench) forget() {
	b.Helper()
	for {
		more, err := b.Forget(b.Context(), -2e9)
		b.ok(err)
		if !more {
			return
		}
	}
}

func regenerates(b *bench) {
	b.worker("w1", "w2")
	b.cart(2)
	old := b.assign(0, "w1")
	b.commit("w1", record(idIn(0, 2), nil, at(1, 1), "kept"))
	before := b.point()
	for _, seen := range []store.Point{{}, {Generation: 1}, before, {Counter: before.Counter + 100, Branch: before.Branch}} {
		happened, placed, err := b.Regenerate(b.Context(), seen)
		b.ok(err)
		if happened || len(placed.Shards) > 0 {
			b.Errorf("a store at %+v that was seen at %+v began a new generation", before, seen)
		}
	}
	seen := before
	seen.Counter += 100
	happened, placed, err := b.Regenerate(b.Context(), seen)
	b.ok(err)
	want(b, "happened", happened, true)
	want(b, "shards", len(placed.Shards), 2)
	now, err := b.Cluster(b.Context())
	b.ok(err)
	if now.Generation != 2 || now.Counter <= seen.Counter {
		b.Errorf("the cluster is %+v, which was seen at %+v", now, seen)
	}
	want(b, "w1 lives", b.member("w1").Alive, false)
	want(b, "w2 lives", b.member("w2").Alive, false)
	if shard := b.shard(0); shard.GetWorker() != "" || shard.GetEpoch() <= 1<<40 {
		b.Errorf("the shard is %s after %s", entry(shard), entry(old))
	}
	want(b, "an old activation", b.commit("w1", record(idIn(0, 2), at(1, 1), at(1, 2), "stale")), []runtimev1.Verdict{staleEpoch})
	wantError(b, "an old worker", b.Beat(b.Context(), "w1"), store.ErrDead)
	b.worker("w3")
	shard := b.assign(0, "w3")
	next := atEpoch(record(idIn(0, 2), at(1, 1), at(3, 1), "new"), shard.GetEpoch())
	want(b, "a new activation", b.commit("w3", next), []runtimev1.Verdict{applied})
	seen.Counter += 100 // what was seen of an earlier generation is lost already
	happened, _, err = b.Regenerate(b.Context(), seen)
	b.ok(err)
	want(b, "happened again", happened, false)
	happened, _, err = b.Regenerate(b.Context(), store.Point{Generation: 4})
	b.ok(err)
	want(b, "a later generation was seen", happened, true)
	now, err = b.Cluster(b.Context())
	b.ok(err)
	want(b, "the one after it", now.Generation, 5)
	if again := b.shard(0); again.GetEpoch() <= 4<<40 {
		b.Errorf("the shard is %s after a generation that was seen", entry(again))
	}
}
