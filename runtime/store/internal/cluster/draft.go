package cluster

import runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"

// draft gathers changes of shards, each seen by those after it.
type draft struct {
	table   *Table
	changed map[shardKey]int
	shards  []*runtimev1.Shard
}

type shardKey struct {
	typ    string
	number uint32
}

func (t *Table) draft() *draft {
	return &draft{table: t, changed: map[shardKey]int{}}
}

// get returns an entry as it is by now, or nil.
func (d *draft) get(typ string, number uint32) *runtimev1.Shard {
	if i, ok := d.changed[shardKey{typ, number}]; ok {
		return d.shards[i]
	}
	return d.table.shard(typ, number)
}

// put replaces an entry.
func (d *draft) put(shard *runtimev1.Shard) {
	key := shardKey{shard.GetType(), shard.GetShard()}
	if i, ok := d.changed[key]; ok {
		d.shards[i] = shard
		return
	}
	d.changed[key] = len(d.shards)
	d.shards = append(d.shards, shard)
}

// move gives a shard to a worker, or to nobody, at the next epoch.
func (d *draft) move(shard *runtimev1.Shard, worker string) {
	d.put(&runtimev1.Shard{
		Type: shard.GetType(), Shard: shard.GetShard(),
		Epoch: shard.GetEpoch() + 1, Worker: worker,
	})
}

// setNext says who has a shard after its owner.
func (d *draft) setNext(shard *runtimev1.Shard, next string) {
	if shard.GetNext() == next {
		return
	}
	d.put(&runtimev1.Shard{
		Type: shard.GetType(), Shard: shard.GetShard(),
		Epoch: shard.GetEpoch(), Worker: shard.GetWorker(), Next: next,
	})
}
