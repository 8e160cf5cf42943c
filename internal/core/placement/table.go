package placement

import (
	"maps"
	"slices"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Table is who serves what and where: the shards of each type, the workers, and the
// actor types. A table never changes, so it is shared between goroutines as it is;
// [Table.Merge] makes the next one, which shares what has not changed. The zero
// value is empty. The messages in it must not be changed either.
type Table struct {
	// shards are the entries of each type by number; nil where none has come yet.
	shards  map[string][]*runtimev1.Shard
	workers map[string]*runtimev1.Worker
	types   map[string]*runtimev1.ActorType
}

// Shard returns an entry, nil for one that the table does not have.
func (t *Table) Shard(typ string, shard uint32) *runtimev1.Shard {
	entries := t.shards[typ]
	if int(shard) >= len(entries) {
		return nil
	}
	return entries[shard]
}

// Place returns the entry of the shard that an actor id falls into, nil for a type
// that the table does not have.
func (t *Table) Place(typ, id string) *runtimev1.Shard {
	return t.Shard(typ, ShardOf(id, Shards))
}

// Shards returns the entries of a type by number: none, or [Shards] of which some
// may be nil.
func (t *Table) Shards(typ string) []*runtimev1.Shard { return t.shards[typ] }

// Worker returns a member, nil for one that the table does not have.
func (t *Table) Worker(id string) *runtimev1.Worker { return t.workers[id] }

// Type returns an actor type, nil for one that the table does not have.
func (t *Table) Type(name string) *runtimev1.ActorType { return t.types[name] }

// Workers returns the ids of the members, in order.
func (t *Table) Workers() []string { return slices.Sorted(maps.Keys(t.workers)) }

// Types returns the names of the actor types, in order.
func (t *Table) Types() []string { return slices.Sorted(maps.Keys(t.types)) }

// Merge is the table after a change. Entries of shards merge by epoch: a lower one
// never replaces a higher one, so changes may come late, twice and out of order;
// of two at the same epoch the later comer stays, as only its next owner differs: what
// does not come in the journal's order has to be [Table.News].
// A complete change also removes the workers and types that it does not name.
func (t *Table) Merge(change *runtimev1.WatchResponse) *Table {
	next := &Table{shards: maps.Clone(t.shards), workers: maps.Clone(t.workers), types: maps.Clone(t.types)}
	next.init()
	if change.GetComplete() {
		next.keepOnly(change)
	}
	next.mergeMembers(change)
	next.mergeShards(t, change.GetShards())
	return next
}

// News are those of entries that replace what the table has, where they did not come with
// the journal's changes, in the journal's order: at the same epoch they may be older than
// what is here, and what is newer comes with a change.
func (t *Table) News(entries []*runtimev1.Shard) []*runtimev1.Shard {
	return filter(entries, func(entry *runtimev1.Shard) bool {
		return entry.GetEpoch() > t.Shard(entry.GetType(), entry.GetShard()).GetEpoch()
	})
}

func (t *Table) init() {
	if t.shards == nil {
		t.shards = map[string][]*runtimev1.Shard{}
	}
	if t.workers == nil {
		t.workers = map[string]*runtimev1.Worker{}
	}
	if t.types == nil {
		t.types = map[string]*runtimev1.ActorType{}
	}
}

// keepOnly removes what a complete change does not name.
func (t *Table) keepOnly(change *runtimev1.WatchResponse) {
	clear(t.workers)
	clear(t.types)
	named := map[string]bool{}
	for _, typ := range change.GetTypes() {
		named[typ.GetName()] = true
	}
	maps.DeleteFunc(t.shards, func(typ string, _ []*runtimev1.Shard) bool { return !named[typ] })
}

func (t *Table) mergeMembers(change *runtimev1.WatchResponse) {
	for _, worker := range change.GetWorkers() {
		t.workers[worker.GetId()] = worker
	}
	for _, typ := range change.GetTypes() {
		t.types[typ.GetName()] = typ
	}
	for _, id := range change.GetGone() {
		delete(t.workers, id)
	}
}

// mergeShards merges entries. The slices that t still shares with before are copied
// when they first change.
func (t *Table) mergeShards(before *Table, entries []*runtimev1.Shard) {
	copied := map[string]bool{}
	for _, entry := range entries {
		typ, number := entry.GetType(), entry.GetShard()
		if number >= Shards || t.Shard(typ, number).GetEpoch() > entry.GetEpoch() {
			continue
		}
		if !copied[typ] {
			copied[typ] = true
			t.shards[typ] = make([]*runtimev1.Shard, Shards)
			copy(t.shards[typ], before.shards[typ])
		}
		t.shards[typ][number] = entry
	}
}

// Server returns a worker other than besides that serves a type, the first by id.
func (t *Table) Server(typ, besides string) (worker string, found bool) {
	for _, id := range t.Workers() {
		if id != besides && slices.Contains(t.workers[id].GetTypes(), typ) {
			return id, true
		}
	}
	return "", false
}
