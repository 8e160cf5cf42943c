package cluster

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/francis-actors/francis/runtime/store"
)

// epochsOfGeneration is how many bits of an epoch count the owners of a shard within one
// generation; those above name the generation, counted from zero. So an epoch that was
// given out before the store went back is never given out again.
const epochsOfGeneration = 40

// Regenerate begins a new generation if the cluster is behind what was seen. It is later
// than any that was seen, also where the copy that was put back is of an earlier one.
func (t *Table) Regenerate(seen store.Point, now time.Time) Change {
	if !t.Cluster.Behind(seen) {
		return Change{}
	}
	next := t.Cluster
	next.Generation, next.Counter = seen.Generation+1, max(next.Counter, seen.Counter)
	change := Change{Generation: &next}
	for _, member := range t.members {
		if member.Alive {
			member.Alive, member.Died = false, now
			change.Members = append(change.Members, member)
		}
	}
	for _, shard := range t.Shards() {
		moved := proto.CloneOf(shard)
		moved.Epoch = firstEpoch(next.Generation) | (shard.GetEpoch()+1)&(1<<epochsOfGeneration-1)
		moved.Worker, moved.Next = "", ""
		change.Shards = append(change.Shards, moved)
	}
	return change
}
