package engine

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// countedShards is how many shards of a type have an actor that counts.
const countedShards = 4

// recorder is the store of a world. It remembers what explains the placement, and
// breaks the rules that are switched off.
type recorder struct {
	*memory.Store
	world *world
	// beats are the last accepted renewals, decreed the workers that were declared
	// dead or left, released what was given back.
	beats    map[string]beat
	decreed  map[string]bool
	released map[release]bool
	// applied is the value of the last applied record of each actor, acknowledged
	// the highest value that a worker knows to be durable.
	applied, acknowledged [allShards]uint64
}

// beat is when a renewal was accepted: for how long which runtime had run.
type beat struct {
	control *control
	ran     time.Duration
}

type release struct {
	worker string
	shard  place
	epoch  uint64
}

func newRecorder(w *world, s *memory.Store) *recorder {
	return &recorder{
		Store: s, world: w, beats: map[string]beat{}, decreed: map[string]bool{}, released: map[release]bool{},
	}
}

func (r *recorder) AddWorker(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	r.world.placed = true
	r.beats[worker.GetId()] = beat{r.world.control, r.world.control.ran()}
	return r.Store.AddWorker(ctx, worker)
}

func (r *recorder) Beat(ctx context.Context, worker string) error {
	err := r.Store.Beat(ctx, worker)
	if err == nil {
		r.beats[worker] = beat{r.world.control, r.world.control.ran()}
	}
	if err == nil && r.decreed[worker] {
		r.world.failf("a renewal of %s was accepted after its death", worker)
	}
	return err
}

// DeclareDead checks the grace: nobody dies before the runtime has run, and so could
// have taken a renewal, for a lease since the last renewal that it took. A tenth is
// left for the ticks that the judge counts of its pauses.
func (r *recorder) DeclareDead(ctx context.Context, worker string, beat uint64, heirs []store.Assignment) (bool, store.Placed, error) {
	declare := func() (bool, store.Placed, error) { return r.Store.DeclareDead(ctx, worker, beat, heirs) }
	if r.world.rules.noBeat {
		declare = func() (bool, store.Placed, error) { return r.Store.Evict(ctx, worker, heirs) }
	}
	r.world.placed = true
	happened, placed, err := declare()
	if !happened {
		return happened, placed, err
	}
	r.decreed[worker] = true
	r.world.notef("%s is declared dead", worker)
	if silence := r.silence(worker); silence < r.world.lease*9/10 && !r.world.rules.noBeat {
		r.world.failf("%s was declared dead %v after its renewal or the start of the runtime", worker, silence)
	}
	return happened, placed, err
}

func (r *recorder) RegisterType(ctx context.Context, typ *runtimev1.ActorType, shards uint32) (store.Type, store.Placed, error) {
	r.world.placed = true
	return r.Store.RegisterType(ctx, typ, shards)
}

func (r *recorder) SetLeaving(ctx context.Context, worker string) (store.Placed, error) {
	r.world.placed = true
	return r.Store.SetLeaving(ctx, worker)
}

// silence is for how long the runtime has run without a renewal of a worker.
func (r *recorder) silence(worker string) time.Duration {
	last := r.beats[worker]
	if last.control != r.world.control {
		last.ran = 0
	}
	return r.world.control.ran() - last.ran
}

func (r *recorder) Evict(ctx context.Context, worker string, heirs []store.Assignment) (bool, store.Placed, error) {
	r.world.placed = true
	r.decreed[worker] = true
	return r.Store.Evict(ctx, worker, heirs)
}

func (r *recorder) Release(ctx context.Context, worker string, releases []*runtimev1.ReleaseRequest_Release) (store.Placed, error) {
	r.world.placed = true
	for _, one := range releases {
		at := placeOf(&runtimev1.Shard{Type: one.GetType(), Shard: one.GetFence().GetShard()})
		r.released[release{worker, at, one.GetFence().GetEpoch()}] = true
	}
	return r.Store.Release(ctx, worker, releases)
}

// Assign, without the rule of release, moves shards at once.
func (r *recorder) Assign(ctx context.Context, assignments []store.Assignment) (store.Placed, error) {
	r.world.placed = true
	placed, err := r.Store.Assign(ctx, assignments)
	if !r.world.rules.noRelease || err != nil {
		return placed, err
	}
	for i, shard := range placed.Shards {
		if shard.GetNext() == "" {
			continue
		}
		fence := &runtimev1.Fence{Shard: shard.GetShard(), Epoch: shard.GetEpoch()}
		moved, err := r.Store.Release(ctx, shard.GetWorker(), []*runtimev1.ReleaseRequest_Release{{Type: shard.GetType(), Fence: fence}})
		if err != nil {
			return placed, err
		}
		placed.Shards[i], placed.Counter = moved.Shards[0], moved.Counter
	}
	return placed, nil
}

// Commit checks what the fence promises: a record is written in the name of the
// owner alone, and on the value that was written before.
func (r *recorder) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Counter, error) {
	record := records[0]
	key := placeOf(&runtimev1.Shard{Type: record.GetActor().GetType(), Shard: record.GetFence().GetShard()})
	owner := r.world.known[key]
	if r.world.rules.noFence {
		results, counter, err := r.Store.Commit(ctx, owner.GetWorker(), []*runtimev1.Record{{
			Actor: record.GetActor(), Fence: &runtimev1.Fence{Shard: key.number(), Epoch: owner.GetEpoch()},
			Base: record.GetBase(), Identity: record.GetIdentity(), Message: record.GetMessage(), Data: record.GetData(),
		}})
		r.judge(key, owner, worker, record, results)
		return results, counter, err
	}
	results, counter, err := r.Store.Commit(ctx, worker, records)
	r.judge(key, owner, worker, record, results)
	return results, counter, err
}

func (r *recorder) judge(key place, owner *runtimev1.Shard, worker string, record *runtimev1.Record, results []*runtimev1.CommitResponse_Result) {
	if len(results) == 0 || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
		return
	}
	if owner.GetWorker() != worker || owner.GetEpoch() != record.GetFence().GetEpoch() {
		r.world.failf("a record of %s at epoch %d was applied; %v owns the shard", worker, record.GetFence().GetEpoch(), owner)
	}
	value := valueOf(record.GetData())
	if value != r.applied[key]+1 {
		r.world.failf("a record of %s makes %v/%d count from %d to %d", worker, key.typ(), key.number(), r.applied[key], value)
	}
	r.applied[key] = value
}

// acknowledge is told what a worker knows to be durable.
func (r *recorder) acknowledge(key place, value uint64) {
	r.acknowledged[key] = max(r.acknowledged[key], value)
	if r.applied[key] < r.acknowledged[key] {
		r.world.failf("%v/%d has acknowledged %d, and holds %d", key.typ(), key.number(), value, r.applied[key])
	}
}

// check is what must hold after every event. What an event cannot have changed is
// not looked at again.
func (w *world) check() {
	if w.placed {
		w.placed = false
		w.checkShards()
		w.checkMembers()
	}
	if w.learned {
		w.learned = false
		w.checkEntitled()
	}
}

// checkShards: one owner at an epoch, epochs only grow, and a shard leaves a living
// worker only by the worker's own release.
func (w *world) checkShards() {
	placed, _ := w.store.Shards(context.Background())
	for _, shard := range placed.Shards {
		key := placeOf(shard)
		before := w.known[key]
		if before == shard {
			continue
		}
		w.known[key] = shard
		switch owner := before.GetWorker(); {
		case before == nil:
		case shard.GetEpoch() < before.GetEpoch():
			w.failf("an epoch went back: %v, then %v", before, shard)
		case shard.GetEpoch() == before.GetEpoch():
			if shard.GetWorker() != owner {
				w.failf("two owners at one epoch: %v, then %v", before, shard)
			}
		case owner != "" && !w.store.decreed[owner] && !w.store.released[release{owner, key, before.GetEpoch()}]:
			w.failf("a shard left a living worker that has not released it: %v, then %v", before, shard)
		}
	}
}

// checkMembers: dead only by decree, and a worker believes that it is dead only then.
func (w *world) checkMembers() {
	members, _ := w.store.Workers(context.Background())
	for _, member := range members {
		if id := member.Worker.GetId(); member.Alive == w.store.decreed[id] {
			w.failf("%s is alive: %v, decreed: %v", id, member.Alive, w.store.decreed[id])
		}
	}
	for _, p := range w.workers {
		if p.membership != nil && p.holder.State(p.clock()) == lease.Dead && !w.store.decreed[p.id] {
			w.failf("%s believes that it is dead", p.id)
		}
	}
}

// checkEntitled: never two workers that may run the same shard.
func (w *world) checkEntitled() {
	var claimed [allShards]*process
	for _, p := range w.workers {
		if !p.runs() {
			continue
		}
		for _, shard := range p.owned {
			key := placeOf(shard)
			if other := claimed[key]; other != nil {
				w.failf("%s and %s both run %v/%d: %v, %v", p.id, other.id, key.typ(), key.number(), shard, other.table.Shard(key.typ(), key.number()))
			}
			claimed[key] = p
		}
	}
}

// checkRecovered is what must hold when the trouble has been over for a while: who
// lives is active and knows the whole table, and the shards are in balance.
func (w *world) checkRecovered() {
	counts := map[string]int{}
	var last *process
	for _, p := range w.workers {
		if p.ended {
			continue
		}
		if p.membership == nil || p.leaving || !p.runs() {
			w.failf("%s has not recovered: leaving %v", p.name, p.leaving)
			return
		}
		last, counts[p.id] = p, 0
	}
	for key, shard := range w.known {
		if got := last.table.Shard(place(key).typ(), place(key).number()); got.GetEpoch() != shard.GetEpoch() || got.GetWorker() != shard.GetWorker() {
			w.failf("%s believes %v of %v", last.name, got, shard)
		}
		if _, ok := counts[shard.GetWorker()]; !ok || shard.GetNext() != "" {
			w.failf("a shard is not where it should stay: %v", shard)
		}
		counts[shard.GetWorker()]++
	}
	w.checkBalance(counts)
}

func (w *world) checkBalance(counts map[string]int) {
	least, most := allShards, 0
	for _, n := range counts {
		least, most = min(least, n), max(most, n)
	}
	if most-least > len(types) {
		w.failf("the shards are not balanced: %v", counts)
	}
}

// actorOf is the actor of a shard that counts.
func actorOf(key place) *runtimev1.Actor {
	return &runtimev1.Actor{Type: key.typ(), Id: countedIDs[key.number()]}
}

var countedIDs = func() [countedShards]string {
	var ids [countedShards]string
	for i, found := 0, 0; found < countedShards; i++ {
		id := fmt.Sprintf("id%d", i)
		if shard := placement.ShardOf(id, placement.Shards); shard < countedShards && ids[shard] == "" {
			ids[shard] = id
			found++
		}
	}
	return ids
}()

// actorType is a type with a contract of its own.
func actorType(name string) *runtimev1.ActorType { return actorTypeOf(name, "test."+name+".Service") }

func actorTypeOf(name, service string) *runtimev1.ActorType {
	dot := len(service) - len(".Service")
	file := &descriptorpb.FileDescriptorProto{
		Name: &name, Package: new(service[:dot]), Syntax: new("proto3"),
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("Service")}},
	}
	files := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}}
	if _, err := protodesc.NewFiles(files); err != nil {
		panic(err)
	}
	return &runtimev1.ActorType{Name: name, Service: service, Files: files}
}
