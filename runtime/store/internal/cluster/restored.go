package cluster

import (
	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// MaxGeneration is a generation that no cluster reaches: its epochs would not have room.
const MaxGeneration = 1 << (64 - epochsOfGeneration)

// Restored is the cluster of a store into which a backup is restored. It is later than
// the backup, and than everything that the store knows. Its history has no branches.
func Restored(header *backupv1.Header, known ...store.Cluster) store.Cluster {
	now := store.Cluster{ID: header.GetCluster(), Generation: header.GetGeneration(), Counter: store.Counter(header.GetCounter())}
	for _, k := range known {
		now.Generation, now.Counter = max(now.Generation, k.Generation), max(now.Counter, k.Counter)
	}
	now.Generation++
	return now
}

// Unfinished is that cluster until it is restored: without an id.
func Unfinished(restored store.Cluster) store.Cluster {
	restored.ID = ""
	return restored
}

// Found is the change that begins a cluster with types whose shards nobody owns, at
// epochs that no earlier generation can have had.
func Found(cluster store.Cluster, types []store.Type) Change {
	change := Change{Generation: &cluster, Types: types}
	for _, typ := range types {
		for number := range typ.Shards {
			change.Shards = append(change.Shards, &runtimev1.Shard{Type: typ.Type.GetName(), Shard: number, Epoch: firstEpoch(cluster.Generation)})
		}
	}
	return change
}

// firstEpoch is the lowest epoch of a generation.
func firstEpoch(generation uint64) uint64 { return (generation - 1) << epochsOfGeneration }
