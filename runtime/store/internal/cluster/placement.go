package cluster

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// MaxShards bounds the shards of a type, which all travel to everybody.
const MaxShards = 1 << 16

// Register makes a type known, with its shards, or takes over what it says now.
func (t *Table) Register(typ *runtimev1.ActorType, shards uint32) (Change, error) {
	if typ.GetName() == "" || shards == 0 || shards > MaxShards {
		return Change{}, fmt.Errorf("%w: a type needs a name and 1 to %d shards", store.ErrInvalid, MaxShards)
	}
	if known, ok := t.kinds[typ.GetName()]; ok {
		return update(known, typ), nil
	}
	change := Change{Types: []store.Type{{Type: typ, Shards: shards}}}
	for number := range shards {
		change.Shards = append(change.Shards, &runtimev1.Shard{Type: typ.GetName(), Shard: number, Epoch: firstEpoch(t.Cluster.Generation)})
	}
	return change, nil
}

func update(known kind, typ *runtimev1.ActorType) Change {
	if proto.Equal(known.typ, typ) {
		return Change{}
	}
	known.typ = typ
	return Change{Types: []store.Type{known.public()}}
}

// Assign says who shall own shards.
func (t *Table) Assign(assignments []store.Assignment) Change {
	draft := t.draft()
	for _, assignment := range assignments {
		shard := draft.get(assignment.Type, assignment.Shard)
		if shard == nil || shard.GetEpoch() != assignment.Epoch {
			continue
		}
		draft.assign(shard, assignment.Worker)
	}
	return Change{Shards: draft.shards}
}

func (d *draft) assign(shard *runtimev1.Shard, worker string) {
	switch owner := shard.GetWorker(); {
	case owner != "" && (worker == "" || worker == owner):
		d.setNext(shard, "")
	case d.table.able(worker) == "":
	case owner == "":
		d.move(shard, worker)
	default:
		d.setNext(shard, worker)
	}
}

// Release gives back shards of a worker and returns them as they are then.
func (t *Table) Release(worker string, releases []*runtimev1.ReleaseRequest_Release) (Change, []*runtimev1.Shard) {
	draft := t.draft()
	now := make([]*runtimev1.Shard, 0, len(releases))
	for _, release := range releases {
		shard := draft.get(release.GetType(), release.GetFence().GetShard())
		if shard == nil {
			continue
		}
		if worker != "" && shard.GetWorker() == worker && shard.GetEpoch() == release.GetFence().GetEpoch() {
			draft.move(shard, t.able(shard.GetNext()))
		}
		now = append(now, draft.get(shard.GetType(), shard.GetShard()))
	}
	return Change{Shards: draft.shards}, now
}
