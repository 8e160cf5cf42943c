package cluster

import (
	"fmt"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Whoever commits waits while a death is written, and with it every renewal of a lease: a
// death of a worker with very many shards must not take long.
func TestEvictOfManyShards(t *testing.T) {
	t.Parallel()
	table := NewTable(store.Cluster{Generation: 1})
	for _, id := range []string{"w1", "w2"} {
		change, err := table.Add(&runtimev1.Worker{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		table.Apply(change)
	}
	const types, shards = 200, 256
	var heirs []store.Assignment
	for n := range types {
		typ := fmt.Sprintf("example.type%03d", n)
		change, err := table.Register(&runtimev1.ActorType{Name: typ}, shards)
		if err != nil {
			t.Fatal(err)
		}
		table.Apply(change)
		var given []store.Assignment
		for _, shard := range change.Shards {
			given = append(given, store.Assignment{Type: typ, Shard: shard.GetShard(), Epoch: shard.GetEpoch(), Worker: "w1"})
			heirs = append(heirs, store.Assignment{Type: typ, Shard: shard.GetShard(), Epoch: shard.GetEpoch() + 1, Worker: "w2"})
		}
		table.Apply(table.Assign(given))
	}
	began := time.Now()
	change := table.Evict("w1", heirs, began)
	if took := time.Since(began); took > 4*time.Second { // some 30 ms, and 15 s where each heir is searched for
		t.Errorf("the death of a worker took %v", took)
	}
	if len(change.Shards) != types*shards {
		t.Errorf("%d shards have moved, want %d", len(change.Shards), types*shards)
	}
	for _, shard := range change.Shards {
		if shard.GetWorker() != "w2" {
			t.Fatalf("%v is not its heir's", shard)
		}
	}
}
