// Package cluster is the cluster table, the members and the owners of all shards, as
// a value in memory, and the transitions of it. It is for the drivers whose runtime
// has the store alone: their table is the truth, and what is on disk is its copy.
//
// A transition is pure: it reads the [Table] and returns a [Change], or why there is
// none. The driver applies it to a clone, makes the change durable, and then shows
// the clone; if it cannot, the table is as it was. [Keeper] is all of store.Members and store.Placement over the
// two methods that a driver adds.
package cluster

import (
	"maps"
	"slices"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/mutant"
	"github.com/francis-actors/francis/runtime/store"
)

// Table is the cluster table. One goroutine changes it, and nobody reads it
// meanwhile: the driver sees to that. Messages in it are never changed, only
// replaced.
type Table struct {
	// Cluster holds the counter, which grows with every change that is applied and
	// every group of records.
	Cluster store.Cluster

	members map[string]Member
	kinds   map[string]kind
}

// Member is a member and when it died.
type Member struct {
	store.Member
	// Died is the time of its death; zero while it is alive.
	Died time.Time
}

// kind is an actor type with its shards, which stand at their number.
type kind struct {
	typ    *runtimev1.ActorType
	shards []*runtimev1.Shard
}

// NewTable is an empty table of a cluster.
func NewTable(cluster store.Cluster) *Table {
	return &Table{Cluster: cluster, members: map[string]Member{}, kinds: map[string]kind{}}
}

// Clone returns a table that changes apart from this one.
func (t *Table) Clone() *Table {
	return &Table{Cluster: t.Cluster, members: maps.Clone(t.members), kinds: maps.Clone(t.kinds)}
}

// Owns reports whether a worker owns the shard of an actor at the epoch of the
// fence. A fence of another shard than the actor's is nobody's right.
func (t *Table) Owns(worker string, actor *runtimev1.Actor, fence *runtimev1.Fence) bool {
	shard := t.shard(actor.GetType(), fence.GetShard())
	if !mutant.Fence {
		return shard != nil
	}
	return shard != nil && worker != "" && shard.GetWorker() == worker && shard.GetEpoch() == fence.GetEpoch() &&
		placement.ShardOf(actor.GetId(), uint32(len(t.kinds[actor.GetType()].shards))) == fence.GetShard()
}

// shard returns an entry, or nil.
func (t *Table) shard(typ string, number uint32) *runtimev1.Shard {
	shards := t.kinds[typ].shards
	if number >= uint32(len(shards)) {
		return nil
	}
	return shards[number]
}

// alive returns a member that lives.
func (t *Table) alive(worker string) (Member, bool) {
	member := t.members[worker]
	return member, member.Alive
}

// able returns the worker if it may be given shards, and else nobody.
func (t *Table) able(worker string) string {
	if member, ok := t.alive(worker); !ok || member.Worker.GetLeaving() {
		return ""
	}
	return worker
}

// Member returns a member, dead or alive.
func (t *Table) Member(id string) (Member, bool) {
	member, ok := t.members[id]
	return member, ok
}

// Members returns all members by id.
func (t *Table) Members() []store.Member {
	members := make([]store.Member, 0, len(t.members))
	for _, id := range slices.Sorted(maps.Keys(t.members)) {
		members = append(members, t.members[id].Member)
	}
	return members
}

// Types returns all types by name.
func (t *Table) Types() []store.Type {
	types := make([]store.Type, 0, len(t.kinds))
	for _, k := range t.kinds {
		types = append(types, k.public())
	}
	slices.SortFunc(types, func(a, b store.Type) int { return strings.Compare(a.Type.GetName(), b.Type.GetName()) })
	return types
}

func (k kind) public() store.Type {
	return store.Type{Type: k.typ, Shards: uint32(len(k.shards))}
}

// Shards returns all shards by type and number.
func (t *Table) Shards() []*runtimev1.Shard {
	var shards []*runtimev1.Shard
	for _, name := range slices.Sorted(maps.Keys(t.kinds)) {
		shards = append(shards, t.kinds[name].shards...)
	}
	return shards
}
