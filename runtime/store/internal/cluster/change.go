package cluster

import (
	"slices"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Change is what a transition does to the table.
type Change struct {
	// Members, Types and Shards are rows to write, whole.
	Members []Member
	Types   []store.Type
	Shards  []*runtimev1.Shard
	// Forgotten are the ids of members to drop.
	Forgotten []string
	// Generation is a new one, with the counter that it begins at; nil to go on.
	Generation *store.Cluster
	// Beat is a worker whose beat grows by 1. It is kept in memory alone.
	Beat string
}

// Durable reports whether the change has anything that is kept on disk. Only then
// the counter grows.
func (c Change) Durable() bool {
	return len(c.Members)+len(c.Types)+len(c.Shards)+len(c.Forgotten) > 0 || c.Generation != nil
}

// Apply makes a change, which is durable by now. A type that is new comes with all
// of its shards.
func (t *Table) Apply(change Change) {
	if change.Generation != nil {
		t.Cluster = *change.Generation
	}
	for _, member := range change.Members {
		member.Beat = t.members[member.Worker.GetId()].Beat
		t.members[member.Worker.GetId()] = member
	}
	for _, typ := range change.Types {
		t.applyType(typ)
	}
	t.applyShards(change.Shards)
	for _, worker := range change.Forgotten {
		delete(t.members, worker)
	}
	t.applyBeat(change.Beat)
	if change.Durable() {
		t.Cluster.Counter++
	}
}

func (t *Table) applyType(typ store.Type) {
	known := t.kinds[typ.Type.GetName()]
	if known.shards == nil {
		known.shards = make([]*runtimev1.Shard, typ.Shards)
	}
	known.typ = typ.Type
	t.kinds[typ.Type.GetName()] = known
}

// applyShards replaces entries, in copies of their lists: clones share them.
func (t *Table) applyShards(shards []*runtimev1.Shard) {
	copied := map[string][]*runtimev1.Shard{}
	for _, shard := range shards {
		name := shard.GetType()
		if copied[name] == nil {
			known := t.kinds[name]
			known.shards = slices.Clone(known.shards)
			t.kinds[name], copied[name] = known, known.shards
		}
		copied[name][shard.GetShard()] = shard
	}
}

func (t *Table) applyBeat(worker string) {
	if member, ok := t.members[worker]; ok {
		member.Beat++
		t.members[worker] = member
	}
}
