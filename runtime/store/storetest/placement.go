package storetest

import (
	"google.golang.org/protobuf/types/descriptorpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var placementTests = []test{
	{"a type keeps its number of shards", typeKeepsShards},
	{"a type needs a name and shards", typeInvalid},
	{"shards come by type and number", shardsOrdered},
	{"a shard without owner moves at once", assignFree},
	{"an owned shard gets a next", assignOwned},
	{"each assignment stands alone", assignAlone},
	{"a release moves to the next owner", releaseMoves},
	{"a release may be repeated", releaseRepeated},
}

func typeKeepsShards(b *bench) {
	b.cart(4)
	files := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{}}}
	typ, placed, err := b.RegisterType(b.Context(), &runtimev1.ActorType{Name: "cart", Service: "shop.v2.Cart", Files: files}, 16)
	b.ok(err)
	want(b, "shards", typ.Shards, 4)
	want(b, "made", len(placed.Shards), 0)
	want(b, "counter", placed.Counter, b.counter())
	types, err := b.Types(b.Context())
	b.ok(err)
	want(b, "types", len(types), 1)
	want(b, "service", types[0].Type.GetService(), "shop.v2.Cart")
	want(b, "files", len(types[0].Type.GetFiles().GetFile()), 1)
	want(b, "entries", entries(b.table()), []string{"0:@0", "1:@0", "2:@0", "3:@0"})
}

func typeInvalid(b *bench) {
	_, _, err := b.RegisterType(b.Context(), &runtimev1.ActorType{}, 4)
	wantError(b, "no name", err, store.ErrInvalid)
	_, _, err = b.RegisterType(b.Context(), &runtimev1.ActorType{Name: "cart"}, 0)
	wantError(b, "no shards", err, store.ErrInvalid)
}

func shardsOrdered(b *bench) {
	for _, name := range []string{"b", "a", "c"} {
		typ, placed, err := b.RegisterType(b.Context(), &runtimev1.ActorType{Name: name}, 12)
		b.ok(err)
		want(b, "shards", typ.Shards, 12)
		want(b, "made", len(placed.Shards), 12)
	}
	for i, shard := range b.table() {
		want(b, "type", shard.GetType(), string(rune('a'+i/12)))
		want(b, "number", int(shard.GetShard()), i%12)
	}
}

func assignFree(b *bench) {
	b.worker("w1")
	b.cart(2)
	placed, err := b.Assign(b.Context(), []store.Assignment{{Type: "cart", Shard: 1, Worker: "w1"}})
	b.ok(err)
	want(b, "changed", entries(placed.Shards), []string{"1:w1@1"})
	want(b, "table", entries(b.table()), []string{"0:@0", "1:w1@1"})
	want(b, "counter", placed.Counter, b.counter())
}

func assignOwned(b *bench) {
	b.worker("w1", "w2", "w3")
	b.cart(1)
	steps := []struct{ to, want string }{
		{"w1", "0:w1@1"},
		{"w2", "0:w1@1>w2"},
		{"w3", "0:w1@1>w3"},
		{"w1", "0:w1@1"},
		{"w2", "0:w1@1>w2"},
		{"", "0:w1@1"},
	}
	for _, step := range steps {
		want(b, "assign to "+step.to, entry(b.assign(0, step.to)), step.want)
	}
}

func assignAlone(b *bench) {
	b.worker("w1", "w2")
	b.cart(4)
	placed, err := b.Assign(b.Context(), []store.Assignment{
		{Type: "cart", Shard: 0, Epoch: 7, Worker: "w1"},
		{Type: "cart", Shard: 1, Worker: "w1"},
		{Type: "cart", Shard: 1, Worker: "w2"}, // its epoch has moved by then
		{Type: "cart", Shard: 2, Worker: "nobody"},
		{Type: "cart", Shard: 9, Worker: "w1"},
		{Type: "other", Shard: 0, Worker: "w1"},
		{Type: "cart", Shard: 3, Worker: "w2"},
	})
	b.ok(err)
	want(b, "changed", entries(placed.Shards), []string{"1:w1@1", "3:w2@1"})
	want(b, "table", entries(b.table()), []string{"0:@0", "1:w1@1", "2:@0", "3:w2@1"})
}

// give is a release of the type cart.
func give(shard uint32, epoch uint64) *runtimev1.ReleaseRequest_Release {
	return &runtimev1.ReleaseRequest_Release{Type: "cart", Fence: &runtimev1.Fence{Shard: shard, Epoch: epoch}}
}

func releaseMoves(b *bench) {
	b.worker("w1", "w2")
	b.cart(3)
	for shard := range uint32(3) {
		b.assign(shard, "w1")
	}
	b.assign(1, "w2")
	placed, err := b.Release(b.Context(), "w1", []*runtimev1.ReleaseRequest_Release{give(1, 1), give(0, 1), give(8, 1)})
	b.ok(err)
	want(b, "now", entries(placed.Shards), []string{"1:w2@2", "0:@2"})
	want(b, "table", entries(b.table()), []string{"0:@2", "1:w2@2", "2:w1@1"})
	want(b, "counter", placed.Counter, b.counter())
}

func releaseRepeated(b *bench) {
	b.worker("w1", "w2")
	b.cart(1)
	b.assign(0, "w1")
	b.assign(0, "w2")
	for range 3 {
		placed, err := b.Release(b.Context(), "w1", []*runtimev1.ReleaseRequest_Release{give(0, 1), give(0, 1)})
		b.ok(err)
		want(b, "now", entries(placed.Shards), []string{"0:w2@2", "0:w2@2"})
	}
	for _, stale := range []struct {
		worker string
		epoch  uint64
	}{{"w1", 2}, {"w2", 1}, {"", 2}, {"w2", 3}} {
		_, err := b.Release(b.Context(), stale.worker, []*runtimev1.ReleaseRequest_Release{give(0, stale.epoch)})
		b.ok(err)
		want(b, "after a stale release", entry(b.shard(0)), "0:w2@2")
	}
}
