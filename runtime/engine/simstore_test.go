package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// recorder is the store of a world: a memory store that fails when it shall, that
// remembers what explains the placement, and that breaks the rules that are switched off.
type recorder struct {
	*memory.Store
	world *world
	// full and failing are until when the disk has no room, and until when changes fail in
	// one case of three, done or not.
	full, failing time.Duration
	// ledger is what explains the placement.
	ledger
	// copies are what the store held at times before, the oldest first.
	copies []backup
	// behind is true from when the store was put back until that is found out.
	behind bool
	// lived is the highest generation that was lost when the store was put back. Who has
	// seen it may tell of that again, if it was first told of an earlier one.
	lived uint64
	// undone are the workers whose death may have been undone by that; some have heard of it.
	undone map[string]bool
	// writing is the batch of the record that is being written.
	writing *batch
}

// ledger is what happened to members and shards.
type ledger struct {
	// beats are the last accepted renewals, decreed the workers that were declared
	// dead or left, released what was given back.
	beats    map[string]beat
	decreed  map[string]bool
	released map[release]bool
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

// backup is a copy of the store, of what explains it, and of how far the history of each
// actor was.
type backup struct {
	store *memory.Store
	ledger
	counter store.Counter
	marks   [allShards]milestone
}

var errDisk = errors.New("the disk fails")

func newRecorder(w *world) *recorder {
	return &recorder{
		Store: memory.NewAt(w.wallClock), world: w,
		ledger: ledger{beats: map[string]beat{}, decreed: map[string]bool{}, released: map[release]bool{}},
	}
}

func (l ledger) clone() ledger {
	return ledger{beats: maps.Clone(l.beats), decreed: maps.Clone(l.decreed), released: maps.Clone(l.released)}
}

// forget drops what concerns workers that have been gone for long.
func (l ledger) forget(gone func(worker string) bool) {
	maps.DeleteFunc(l.beats, func(worker string, _ beat) bool { return gone(worker) })
	maps.DeleteFunc(l.decreed, func(worker string, _ bool) bool { return gone(worker) })
	maps.DeleteFunc(l.released, func(r release, _ bool) bool { return gone(r.worker) })
}

// trouble decides whether a change is made, and what its caller is told.
func (r *recorder) trouble() (made bool, err error) {
	w := r.world
	r.world.placed = true
	switch {
	case w.now < r.full:
		return false, store.ErrFull
	case w.now < r.failing && w.chance(300):
		return w.chance(500), errDisk
	default:
		return true, nil
	}
}

// changed makes a change of the store, or fails.
func changed[Answer any](r *recorder, change func() (Answer, error)) (Answer, error) {
	var none Answer
	made, trouble := r.trouble()
	if !made {
		return none, trouble
	}
	answer, err := change()
	if trouble != nil {
		return none, trouble
	}
	return answer, err
}

func (r *recorder) AddWorker(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	return changed(r, func() (store.Counter, error) {
		r.beats[worker.GetId()] = beat{r.world.control, r.world.control.ran()}
		return r.Store.AddWorker(ctx, worker)
	})
}

func (r *recorder) Announce(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	return changed(r, func() (store.Counter, error) { return r.Store.Announce(ctx, worker) })
}

func (r *recorder) SetLeaving(ctx context.Context, worker string) (store.Placed, error) {
	return changed(r, func() (store.Placed, error) { return r.Store.SetLeaving(ctx, worker) })
}

func (r *recorder) RegisterType(ctx context.Context, typ *runtimev1.ActorType, shards uint32) (store.Type, store.Placed, error) {
	var registered store.Type
	placed, err := changed(r, func() (placed store.Placed, err error) {
		registered, placed, err = r.Store.RegisterType(ctx, typ, shards)
		return placed, err
	})
	return registered, placed, err
}

// Beat needs no disk.
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
	return r.bury(worker, func() (bool, store.Placed, error) {
		if r.world.off.noBeat {
			return r.Store.Evict(ctx, worker, heirs)
		}
		happened, placed, err := r.Store.DeclareDead(ctx, worker, beat, heirs)
		if silence := r.silence(worker); happened && silence < r.world.lease*9/10 {
			r.world.failf("%s was declared dead %v after its renewal or the start of the runtime", worker, silence)
		}
		return happened, placed, err
	})
}

func (r *recorder) Evict(ctx context.Context, worker string, heirs []store.Assignment) (bool, store.Placed, error) {
	return r.bury(worker, func() (bool, store.Placed, error) { return r.Store.Evict(ctx, worker, heirs) })
}

func (r *recorder) bury(worker string, decree func() (bool, store.Placed, error)) (bool, store.Placed, error) {
	var happened bool
	placed, err := changed(r, func() (placed store.Placed, err error) {
		happened, placed, err = decree()
		if happened {
			r.decreed[worker] = true
			r.world.notef("%s is dead by decree", worker)
		}
		return placed, err
	})
	return happened && err == nil, placed, err
}

// silence is for how long the runtime has run without a renewal of a worker.
func (r *recorder) silence(worker string) time.Duration {
	last := r.beats[worker]
	if last.control != r.world.control {
		last.ran = 0
	}
	return r.world.control.ran() - last.ran
}

func (r *recorder) Release(ctx context.Context, worker string, releases []*runtimev1.ReleaseRequest_Release) (store.Placed, error) {
	return changed(r, func() (store.Placed, error) {
		for _, one := range releases {
			at := placeAt(one.GetType(), one.GetFence().GetShard())
			r.released[release{worker, at, one.GetFence().GetEpoch()}] = true
		}
		return r.Store.Release(ctx, worker, releases)
	})
}

// Assign, without the rule of release, moves shards at once.
func (r *recorder) Assign(ctx context.Context, assignments []store.Assignment) (store.Placed, error) {
	return changed(r, func() (store.Placed, error) {
		placed, err := r.Store.Assign(ctx, assignments)
		if !r.world.off.noRelease || err != nil {
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
	})
}

// Commit writes the one record of a batch, and lets the runtime crash now and then before
// it can answer.
func (r *recorder) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	made, trouble := r.trouble()
	r.world.placed = false
	if !made {
		return nil, store.Moved{}, trouble
	}
	record := records[0]
	at := placeAt(record.GetActor().GetType(), record.GetFence().GetShard())
	results, moved, err := r.Store.Commit(ctx, r.as(worker, at), []*runtimev1.Record{r.bent(record, at)})
	if len(results) > 0 && results[0].GetVerdict() == runtimev1.Verdict_VERDICT_APPLIED {
		r.world.commits++
		r.world.checkCommit(at, worker, record)
		r.world.history.applied(at, r.writing)
		r.world.checkLeft(at, record, results[0].GetVersion())
		if r.world.off.noGrave && record.GetDeletes() {
			_, _ = r.Store.Forget(ctx, -time.Hour)
			r.world.history.actors[at].version = 0
		}
	}
	if w := r.world; !w.calm && w.chance(2) {
		w.faults++
		w.notef("the runtime crashes before it answers")
		w.crash(w.upTo(w.lease))
	}
	if trouble != nil {
		return nil, store.Moved{}, trouble
	}
	return results, moved, err
}

// as is in whose name a record is written: without the fence, in the owner's.
func (r *recorder) as(worker string, at place) string {
	if r.world.off.noFence {
		return r.world.known[at].GetWorker()
	}
	return worker
}

// bent is a record as the rules that are switched off want it.
func (r *recorder) bent(record *runtimev1.Record, at place) *runtimev1.Record {
	off := r.world.off
	if !off.noFence && !off.byVersion && !off.noRenewal {
		return record
	}
	bent := &runtimev1.Record{
		Actor: record.GetActor(), Fence: record.GetFence(), Base: record.GetBase(), Identity: record.GetIdentity(),
		Message: record.GetMessage(), Data: record.GetData(), Keys: record.GetKeys(),
		Changes: record.GetChanges(), Deletes: record.GetDeletes(), StateTtl: record.GetStateTtl(),
	}
	if ttl := at.ttl(r.world); off.noRenewal && bent.GetStateTtl() != nil {
		left := r.world.history.actors[at].last().expires.Sub(r.world.wallClock())
		if left > 0 && left < ttl {
			bent.StateTtl = durationpb.New(left)
		}
	}
	if off.noFence {
		bent.Fence = &runtimev1.Fence{Shard: at.number(), Epoch: r.world.known[at].GetEpoch()}
	}
	if off.byVersion {
		bent.Base, bent.Identity = numbered(r.writing.version-1), numbered(r.writing.version)
	}
	return bent
}

// numbered is the identity of a record that has none but its version.
func numbered(version uint64) *runtimev1.Identity {
	if version == 0 {
		return nil
	}
	return &runtimev1.Identity{Activation: 1, Sequence: version}
}

// dropGone forgets what explains the past of workers that the store does not know any more.
func (r *recorder) dropGone() {
	known := map[string]bool{}
	members, _ := r.Workers(context.Background()) // memory does not fail
	for _, member := range members {
		known[member.Worker.GetId()] = true
	}
	for _, p := range r.world.workers {
		if p.session != nil {
			known[p.session.id] = true
		}
	}
	r.forget(func(worker string) bool { return !known[worker] })
}

// backUp keeps a copy of the store, and drops the oldest ones.
func (r *recorder) backUp() {
	r.dropGone()
	cluster, _ := r.Cluster(context.Background()) // memory does not fail
	b := backup{store: r.Copy(), ledger: r.clone(), counter: cluster.Counter}
	for at := range b.marks {
		b.marks[at] = r.world.history.actors[at].milestone()
	}
	const kept = 3
	if r.copies = append(r.copies, b); len(r.copies) > kept {
		r.copies = r.copies[1:]
	}
	for at := range b.marks {
		r.world.history.actors[at].trim(r.copies[0].marks[at].length)
	}
}

// Forget drops nothing in a period in which the clock of the store has jumped: what is on its
// way then may be later by that clock than any message is.
func (r *recorder) Forget(ctx context.Context, age time.Duration) (bool, error) {
	if r.world.jumped {
		return false, nil
	}
	r.world.history.swept()
	return r.Store.Forget(ctx, age)
}

// putBack replaces the store by an older copy: what was acknowledged since is lost.
func (r *recorder) putBack() {
	n := r.world.random.IntN(len(r.copies))
	b := r.copies[n]
	cluster, _ := r.Cluster(context.Background()) // memory does not fail
	r.world.notef("the store is put back from %d to %d", cluster.Counter, b.counter)
	r.undone, r.lived = r.decreed, max(r.lived, cluster.Generation)
	r.Store, r.ledger = b.store.Copy(), b.clone()
	r.behind = true
	r.copies = r.copies[:n+1] // it may be put back again
	r.world.rewind(&b.marks)
	for _, p := range r.world.workers {
		p.witness = r.lost(p.mark)
	}
}

// reopen opens the store again, as a runtime does that starts.
func (r *recorder) reopen() { r.Store = r.Copy() }

// Cluster, without the rule of branches, tells nothing of them.
func (r *recorder) Cluster(ctx context.Context) (store.Cluster, error) {
	now, err := r.Store.Cluster(ctx)
	if r.world.off.noBranch {
		now.Branches = nil
	}
	return now, err
}

// lost reports whether the store was put back to before a mark.
func (r *recorder) lost(mark []byte) bool {
	now, _ := r.Store.Cluster(context.Background()) // memory does not fail
	seen, ok := newMarks(now.ID).open(mark)
	return r.behind && ok && now.Behind(seen)
}

// Regenerate is how it is found out that the store was put back.
func (r *recorder) Regenerate(ctx context.Context, seen store.Point) (bool, store.Placed, error) {
	var happened bool
	placed, err := changed(r, func() (placed store.Placed, err error) {
		if !r.behind && seen.Generation > r.lived {
			r.world.failf("a mark of %+v says that the store was put back, which it was not", seen)
		}
		happened, placed, err = r.Store.Regenerate(ctx, seen)
		if !happened {
			return placed, err
		}
		r.world.notef("a new generation begins")
		members, _ := r.Workers(ctx)
		for _, member := range members {
			r.decreed[member.Worker.GetId()] = true
		}
		r.world.found()
		return placed, err
	})
	return happened && err == nil, placed, err
}

// dataOf encodes a reply, the state of which is at the beginning.
func dataOf(r reply) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.born), r.turns), r.number)
}

func replyOf(data []byte) reply {
	if len(data) == 0 {
		return reply{}
	}
	return reply{state{binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])}, binary.BigEndian.Uint64(data[16:])}
}

func stateOf(data []byte) state { return replyOf(data).state }
