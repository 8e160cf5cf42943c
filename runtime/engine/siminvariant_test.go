package engine

import (
	"context"
	"strconv"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/runtime/store"
)

// check is what must hold after every event. What an event cannot have changed is not
// looked at again.
func (w *world) check() {
	if !w.placed {
		return
	}
	w.placed = false
	w.checkShards()
	w.checkMembers()
}

// checkShards: one owner at an epoch, epochs only grow, and a shard leaves a living
// worker only by the worker's own release (G1, R10).
func (w *world) checkShards() {
	placed, _ := w.store.Shards(context.Background()) // memory does not fail
	for i, shard := range placed.Shards {
		before := w.known[i]
		if before == shard {
			continue
		}
		at := placeOf(shard)
		w.known[at] = shard
		switch owner := before.GetWorker(); {
		case before == nil, w.store.behind:
		case shard.GetEpoch() < before.GetEpoch():
			w.failf("G1: an epoch went back: %v, then %v", before, shard)
		case shard.GetEpoch() == before.GetEpoch():
			if shard.GetWorker() != owner {
				w.failf("G1: two owners at one epoch: %v, then %v", before, shard)
			}
		case owner != "" && !w.store.decreed[owner] && !w.store.released[release{owner, at, before.GetEpoch()}]:
			w.failf("R10: a shard left a living worker that has not released it: %v, then %v", before, shard)
		}
	}
}

// checkMembers: dead only by decree, and a worker believes that it is dead only then (G5).
func (w *world) checkMembers() {
	members, _ := w.store.Workers(context.Background()) // memory does not fail
	for _, member := range members {
		if id := member.Worker.GetId(); member.Alive == w.store.decreed[id] {
			w.failf("G5: %s is alive: %v, decreed: %v", id, member.Alive, w.store.decreed[id])
		}
	}
}

// checkDead: a worker believes that it is dead only when it is, or joined what the store
// has lost since (G5).
func (w *world) checkDead(s *session) {
	members, _ := w.store.Workers(context.Background()) // memory does not fail
	for _, member := range members {
		if member.Worker.GetId() == s.id && member.Alive && !w.store.undone[s.id] {
			w.failf("G5: %s believes that it is dead", s.id)
		}
	}
}

// checkEntitled: never two workers that may run the same shard (G4).
func (w *world) checkEntitled(p *process, at place) {
	if !p.entitled(at) {
		return
	}
	for _, other := range w.workers {
		if other != p && other.entitled(at) && other.session.era == w.history.era && p.session.era == w.history.era {
			w.failf("G4: %s and %s both run %v: %v, %v", p.session.id, other.session.id, at, p.entry(at), other.entry(at))
		}
	}
}

// checkStart: nothing starts on a worker whose lease is over by its own clock (G4), and
// nothing of a shard whose release is on its way (R10).
func (w *world) checkStart(r *run) {
	p := r.slot.host
	if p.given[r.slot.at] >= r.activation.epoch {
		w.failf("R10: %s starts %v, and has asked for the release of the shard", p, r.errand.attempt.op)
	}
	if p.session.holder.State(p.clock()) != lease.Active && !w.off.noLapse {
		w.failf("G4: %s starts %v, and its lease is over", p, r.errand.attempt.op)
	}
	if l := r.activation.life; l.ttl != 0 && r.letIn > l.ends() {
		w.failf("%s let %v in to a state that had expired %v before", p, r.errand.attempt.op, r.letIn-l.ends())
	}
}

// checkLeft is what must hold of an actor when a record was written: its version has grown,
// and it has the jobs that were enqueued since it was deleted last.
func (w *world) checkLeft(at place, record *runtimev1.Record, version uint64) {
	e := &w.history.actors[at]
	if version <= e.version {
		w.failf("the version of %v is %d after %d", at, version, e.version)
	}
	e.version = version
	if !record.GetDeletes() && len(record.GetChanges()) == 0 {
		return
	}
	list, _ := w.store.List(context.Background(), &runtimev1.ListRequest{Type: at.typ(), Id: at.actor().GetId(), Limit: store.MaxListed}) // memory does not fail
	if got := len(list.GetTasks()); got != e.jobs {
		w.failf("%v has %d jobs, and %d were enqueued since it was deleted", at, got, e.jobs)
	}
}

// checkCommit: a record is written in the name of the owner alone (G1).
func (w *world) checkCommit(at place, worker string, record *runtimev1.Record) {
	owner := w.known[at]
	if owner.GetWorker() != worker || owner.GetEpoch() != record.GetFence().GetEpoch() {
		w.failf("G1: a record of %s at epoch %d was written; %v owns the shard", worker, record.GetFence().GetEpoch(), owner)
	}
}

// checkBelief: who has shown that the store went back is not served on (G11).
func (w *world) checkBelief(p *process, mark []byte) {
	if len(mark) == 0 || w.control == nil {
		return
	}
	now, _ := w.store.Cluster(context.Background()) // memory does not fail
	if seen, _ := w.control.engine.marks.open(mark); now.Behind(seen) {
		w.failf("G11: the runtime serves %s, which has seen %+v; the store holds %+v", p, seen, now)
	}
}

// checkRecovered is what must hold when the trouble has been over for a while: who
// lives is active and knows the whole table, the shards are in balance, and every actor
// has answered.
func (w *world) checkRecovered() {
	if w.store.behind {
		w.checkForgotten()
	}
	counts := map[string]int{}
	for _, p := range w.workers {
		if p.session == nil || p.leaving || p.session.holder.State(p.clock()) != lease.Active {
			w.failf("%s has not recovered: leaving %v", p.name, p.leaving)
			return
		}
		counts[p.session.id] = 0
	}
	for at, shard := range w.known {
		for _, p := range w.workers {
			if got := p.entry(place(at)); got.GetEpoch() != shard.GetEpoch() || got.GetWorker() != shard.GetWorker() {
				w.failf("%s believes %v of %v", p.name, got, shard)
			}
		}
		if _, ok := counts[shard.GetWorker()]; !ok || shard.GetNext() != "" {
			w.failf("a shard is not where it should stay: %v", shard)
		}
		counts[shard.GetWorker()]++
	}
	w.checkBalance(counts)
	for at, answers := range w.history.answered {
		if place(at).inhabited() && answers == 0 {
			w.failf("%v answers nobody", place(at))
		}
	}
}

// checkForgotten: it was found out that the store was put back, unless nobody is left who
// has seen what is lost (G11).
func (w *world) checkForgotten() {
	for _, p := range w.workers {
		if p.witness {
			w.failf("G11: %s has seen what the store has lost, and nobody has found out", p)
		}
	}
	w.found()
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

// rewind is told that the store holds what it held before.
func (w *world) rewind(marks *[allShards]milestone) {
	w.history.rewind(marks)
	w.placed = true
}

// found is told that it was found out that the store was put back.
func (w *world) found() {
	w.placed = true
	w.check()
	w.store.behind = false
	for _, p := range w.workers {
		p.witness = false
	}
	w.history.era++
	for at := range w.history.actors {
		w.history.actors[at].shown = w.history.actors[at].length()
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
