package cluster

import (
	"fmt"

	"github.com/francis-actors/francis/runtime/store"
)

// Restore is the table that all its rows make. Rows that do not fit together are
// store.ErrDamaged.
func Restore(cluster store.Cluster, rows Change) (*Table, error) {
	t := NewTable(cluster)
	for _, typ := range rows.Types {
		if typ.Shards == 0 || typ.Shards > MaxShards {
			return nil, fmt.Errorf("%w: type %q has %d shards", store.ErrDamaged, typ.Type.GetName(), typ.Shards)
		}
		t.applyType(typ)
	}
	for _, shard := range rows.Shards {
		if shard.GetShard() >= uint32(len(t.kinds[shard.GetType()].shards)) {
			return nil, fmt.Errorf("%w: type %q has no shard %d", store.ErrDamaged, shard.GetType(), shard.GetShard())
		}
	}
	t.Apply(rows)
	for _, member := range rows.Members { // Apply leaves beats as they are
		t.members[member.Worker.GetId()] = member
	}
	t.Cluster = cluster
	return t, t.whole()
}

// whole reports what is missing: a shard of a type, or a living owner of a shard.
func (t *Table) whole() error {
	for name, kind := range t.kinds {
		for number, shard := range kind.shards {
			if shard == nil {
				return fmt.Errorf("%w: shard %d of type %q is missing", store.ErrDamaged, number, name)
			}
			if _, ok := t.alive(shard.GetWorker()); !ok && shard.GetWorker() != "" {
				return fmt.Errorf("%w: shard %d of type %q belongs to %q, which does not live", store.ErrDamaged, number, name, shard.GetWorker())
			}
		}
	}
	return nil
}
