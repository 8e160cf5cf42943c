package storetest

import (
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

var fenceTests = []test{
	{"only the owner at its epoch writes", fenceOwner},
	{"a fence is good for the actor's own shard only", fenceOtherShard},
	{"nobody owns what nobody owns", fenceNobody},
	{"a late record after each kind of move", fenceMoves},
}

func fenceOwner(b *bench) {
	b.single()
	b.worker("w2")
	for _, try := range []struct {
		worker string
		epoch  uint64
		want   runtimev1.Verdict
	}{
		{"w1", 0, staleEpoch},
		{"w1", 2, staleEpoch},
		{"w2", 1, staleEpoch},
		{"", 1, staleEpoch},
		{"w1", 1, applied},
	} {
		name := fmt.Sprintf("%q at %d", try.worker, try.epoch)
		want(b, name, b.commit(try.worker, atEpoch(record("a", nil, at(1, 1), "x"), try.epoch)), []runtimev1.Verdict{try.want})
		want(b, name+" reads", b.load(try.worker, "a", try.epoch).GetVerdict(), try.want)
	}
	foreign := record("a", nil, at(1, 1), "x")
	foreign.Actor.Type = "unknown"
	want(b, "an unknown type", b.commit("w1", foreign), []runtimev1.Verdict{staleEpoch})
}

func fenceOtherShard(b *bench) {
	b.worker("w1", "w2")
	b.cart(4)
	b.assign(0, "w1")
	b.assign(1, "w2")
	victim := idIn(1, 4)
	for shard, verdict := range map[uint32]runtimev1.Verdict{0: staleEpoch, 1: staleEpoch, 2: staleEpoch, 99: staleEpoch} {
		r := record(victim, nil, at(1, 1), "stolen")
		r.Fence.Shard = shard
		want(b, fmt.Sprint("write through shard ", shard), b.commit("w1", r), []runtimev1.Verdict{verdict})
		results, err := b.Load(b.Context(), "w1", []*runtimev1.LoadRequest_Read{{Actor: actor(victim), Fence: r.GetFence()}})
		b.ok(err)
		want(b, fmt.Sprint("read through shard ", shard), results[0].GetVerdict(), verdict)
	}
	r := record(victim, nil, at(1, 1), "own")
	r.Fence.Shard = 1
	want(b, "its owner", b.commit("w2", r), []runtimev1.Verdict{applied})
}

func fenceNobody(b *bench) {
	b.worker("w1")
	b.cart(1)
	for _, worker := range []string{"", "w1"} {
		want(b, "commit", b.commit(worker, atEpoch(record("a", nil, at(1, 1), "x"), 0)), []runtimev1.Verdict{staleEpoch})
	}
}

func fenceMoves(b *bench) {
	b.worker("w0")
	b.cart(1)
	moves := map[string]func(from string, epoch uint64){
		"release": func(from string, epoch uint64) {
			_, err := b.Release(b.Context(), from, []*runtimev1.ReleaseRequest_Release{give(0, epoch)})
			b.ok(err)
		},
		"decree": func(from string, _ uint64) {
			_, _, err := b.DeclareDead(b.Context(), from, 0, nil)
			b.ok(err)
		},
		"evict": func(from string, _ uint64) {
			_, _, err := b.Evict(b.Context(), from, nil)
			b.ok(err)
		},
	}
	for name, move := range moves {
		owner := "owner of " + name
		b.worker(owner)
		epoch := b.assign(0, owner).GetEpoch()
		id := "actor of " + name
		b.commit(owner, atEpoch(record(id, nil, at(1, 1), "x"), epoch))
		move(owner, epoch)
		late := atEpoch(record(id, at(1, 1), at(1, 2), "late"), epoch)
		want(b, name+": late", b.commit(owner, late), []runtimev1.Verdict{staleEpoch})
		moved := b.assign(0, "w0").GetEpoch()
		want(b, name+": late, after the next owner came", b.commit(owner, late), []runtimev1.Verdict{staleEpoch})
		want(b, name+": late, at the new epoch", b.commit(owner, atEpoch(late, moved)), []runtimev1.Verdict{staleEpoch})
		want(b, name+": the next owner reads", string(b.load("w0", id, moved).GetState().GetData()), "x")
		want(b, name+": the next owner writes", b.commit("w0", atEpoch(record(id, at(1, 1), at(2, 1), "y"), moved)), []runtimev1.Verdict{applied})
		_, err := b.Release(b.Context(), "w0", []*runtimev1.ReleaseRequest_Release{give(0, moved)})
		b.ok(err)
	}
}
