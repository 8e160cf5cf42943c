package cluster

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/mutant"
	"github.com/francis-actors/francis/runtime/store"
)

// Add adds a worker.
func (t *Table) Add(worker *runtimev1.Worker) (Change, error) {
	id := worker.GetId()
	if id == "" {
		return Change{}, fmt.Errorf("%w: the worker has no id", store.ErrInvalid)
	}
	if _, known := t.members[id]; known {
		return Change{}, fmt.Errorf("add worker %q: %w", id, store.ErrWorkerExists)
	}
	return Change{Members: []Member{living(worker)}}, nil
}

// Announce replaces the address and the types of a worker.
func (t *Table) Announce(worker *runtimev1.Worker) (Change, error) {
	member, ok := t.alive(worker.GetId())
	if !ok {
		return Change{}, dead("announce", worker.GetId())
	}
	announced := &runtimev1.Worker{
		Id: worker.GetId(), Address: worker.GetAddress(), Types: worker.GetTypes(),
		Leaving: member.Worker.GetLeaving(), Lease: member.Worker.GetLease(),
	}
	if proto.Equal(announced, member.Worker) {
		return Change{}, nil
	}
	return Change{Members: []Member{living(announced)}}, nil
}

// SetLeaving marks a worker as leaving and takes it out of every shard's next.
func (t *Table) SetLeaving(worker string) (Change, error) {
	member, ok := t.alive(worker)
	if !ok {
		return Change{}, dead("mark as leaving", worker)
	}
	if member.Worker.GetLeaving() {
		return Change{}, nil
	}
	leaving := &runtimev1.Worker{
		Id: worker, Address: member.Worker.GetAddress(), Types: member.Worker.GetTypes(),
		Leaving: true, Lease: member.Worker.GetLease(),
	}
	draft := t.draft()
	for _, shard := range t.Shards() {
		if shard.GetNext() == worker {
			draft.setNext(shard, "")
		}
	}
	return Change{Members: []Member{living(leaving)}, Shards: draft.shards}, nil
}

// Beat adds 1 to the beat of a worker.
func (t *Table) Beat(worker string) (Change, error) {
	if _, ok := t.alive(worker); !ok {
		return Change{}, dead("renew", worker)
	}
	return Change{Beat: worker}, nil
}

// DeclareDead is Evict if the worker's beat is still the given one.
func (t *Table) DeclareDead(worker string, beat uint64, heirs []store.Assignment, now time.Time) Change {
	if mutant.Decree && t.members[worker].Beat != beat {
		return Change{}
	}
	return t.Evict(worker, heirs, now)
}

// Evict marks a worker as dead and moves its shards. It changes nothing when the
// worker does not live.
func (t *Table) Evict(worker string, heirs []store.Assignment, now time.Time) Change {
	member, ok := t.alive(worker)
	if !ok {
		return Change{}
	}
	member.Alive, member.Died = false, now
	draft, named := t.draft(), byShard(heirs)
	for _, shard := range t.Shards() {
		switch worker {
		case shard.GetWorker():
			draft.move(shard, t.heir(shard, named))
		case shard.GetNext():
			draft.setNext(shard, "")
		}
	}
	return Change{Members: []Member{member}, Shards: draft.shards}
}

// byShard are assignments by the shards that they are about: of a death there may be very
// many, and whoever commits waits for it.
func byShard(assignments []store.Assignment) map[shardKey]store.Assignment {
	named := make(map[shardKey]store.Assignment, len(assignments))
	for _, a := range assignments {
		named[shardKey{a.Type, a.Shard}] = a
	}
	return named
}

// heir is who gets a shard whose owner dies.
func (t *Table) heir(shard *runtimev1.Shard, heirs map[shardKey]store.Assignment) string {
	switch a, named := heirs[shardKey{shard.GetType(), shard.GetShard()}]; {
	case !named || a.Epoch != shard.GetEpoch():
		return t.able(shard.GetNext())
	case a.Worker == shard.GetWorker():
		return ""
	default:
		return t.able(a.Worker)
	}
}

// Forget drops the members that died before a time.
func (t *Table) Forget(before time.Time) Change {
	var change Change
	for _, member := range t.members {
		if !member.Alive && member.Died.Before(before) {
			change.Forgotten = append(change.Forgotten, member.Worker.GetId())
		}
	}
	slices.Sort(change.Forgotten)
	return change
}

func living(worker *runtimev1.Worker) Member {
	return Member{Member: store.Member{Worker: worker, Alive: true}}
}

func dead(what, worker string) error {
	return fmt.Errorf("%s worker %q: %w", what, worker, store.ErrDead)
}
