package francistest

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/core/task"
)

// listed is how many tasks a list has that does not say.
const listed = 100

// agenda are the alarms, jobs and dead letters of one actor. One of them is out at a time;
// the others wait for their times and for its end. It is guarded by the lock of its
// cluster.
type agenda struct {
	live, dead map[name]*runtimev1.ScheduledTask
	// out is which of them is out, at the stage of that revision; 0 for none.
	out      name
	revision uint64
	// timer rings when the next one is due; nil before the first.
	timer *time.Timer
}

// name names a task among those of its actor: alarms come before jobs.
type name struct {
	kind runtimev1.ListRequest_Kind
	text string
}

func nameOf(k *runtimev1.TaskKey) name {
	if _, job := k.GetName().(*runtimev1.TaskKey_Job); job {
		return name{runtimev1.ListRequest_KIND_JOBS, k.GetJob()}
	}
	return name{runtimev1.ListRequest_KIND_ALARMS, k.GetAlarm()}
}

func compareNames(a, b name) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.text, b.text))
}

func actorOf(k *runtimev1.TaskKey) key { return key{k.GetType(), k.GetId()} }

// agenda is that of an actor. The cluster is locked.
func (s *solo) agenda(of key) *agenda {
	if s.agendas == nil {
		s.agendas = map[key]*agenda{}
	}
	if s.agendas[of] == nil {
		s.agendas[of] = &agenda{live: map[name]*runtimev1.ScheduledTask{}, dead: map[name]*runtimev1.ScheduledTask{}}
	}
	return s.agendas[of]
}

// stage is a task that has this revision; nil if it has another one or is gone. The cluster
// is locked.
func (s *solo) stage(k *runtimev1.TaskKey, revision uint64) *runtimev1.ScheduledTask {
	if have := s.agenda(actorOf(k)).live[nameOf(k)]; have.GetRevision() == revision {
		return have
	}
	return nil
}

// put keeps what a task has become, nil for gone, and waits for what is due next. The
// cluster is locked.
func (s *solo) put(k *runtimev1.TaskKey, stage *runtimev1.ScheduledTask) {
	a, of := s.agenda(actorOf(k)), nameOf(k)
	if stage == nil {
		delete(a.live, of)
	} else {
		a.live[of] = stage
	}
	if a.out == of {
		a.revision = 0
	}
	s.tend(actorOf(k), a)
}

// tend lets the timer of an agenda ring when its next task is due. The cluster is locked.
func (s *solo) tend(of key, a *agenda) {
	next := a.next()
	switch {
	case s.stopped || next == nil || a.revision != 0:
		if a.timer != nil {
			a.timer.Stop()
		}
	case a.timer == nil:
		a.timer = time.AfterFunc(time.Until(next.GetDue().AsTime()), func() { s.ring(of) })
	default:
		a.timer.Reset(time.Until(next.GetDue().AsTime()))
	}
}

// next is the task that is due first; nil for none.
func (a *agenda) next() *runtimev1.ScheduledTask {
	var next *runtimev1.ScheduledTask
	for _, stage := range a.live {
		if next == nil || compareStages(stage, next) < 0 {
			next = stage
		}
	}
	return next
}

func compareStages(a, b *runtimev1.ScheduledTask) int {
	return cmp.Or(a.GetDue().AsTime().Compare(b.GetDue().AsTime()), compareNames(nameOf(a.GetTask().GetKey()), nameOf(b.GetTask().GetKey())))
}

// ring delivers the next task of an actor, if it is due.
func (s *solo) ring(of key) {
	if stage := s.due(of); stage != nil {
		s.deliver(&runtimev1.Delivery{Task: stage, Fence: &runtimev1.Fence{Shard: placement.ShardOf(of.id, placement.Shards), Epoch: epoch}})
	}
}

// due is the next task of an actor, which is out from now on; nil where none is due.
func (s *solo) due(of key) *runtimev1.ScheduledTask {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agenda(of)
	next := a.next()
	if s.stopped || next == nil || a.revision != 0 || time.Now().Before(next.GetDue().AsTime()) {
		s.tend(of, a)
		return nil
	}
	a.out, a.revision = nameOf(next.GetTask().GetKey()), next.GetRevision()
	return next
}

// stop delivers nothing any more.
func (s *solo) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for of, a := range s.agendas {
		s.tend(of, a)
	}
}

// plan does what a record does to tasks. The cluster is locked.
func (s *solo) plan(record *runtimev1.Record) {
	s.revision++
	if c := record.GetCompletes(); c != nil {
		s.put(c.GetKey(), task.Complete(s.stage(c.GetKey(), c.GetRevision()), time.Now(), s.revision, rand.Float64()))
	}
	if record.GetDeletes() {
		s.clear(keyOf(record.GetActor()))
	}
	for _, change := range record.GetChanges() {
		s.change(change)
	}
}

// clear drops all tasks and dead letters of an actor. The cluster is locked.
func (s *solo) clear(of key) {
	a := s.agenda(of)
	clear(a.live)
	clear(a.dead)
	a.revision = 0
	s.tend(of, a)
}

// size is how many tasks and dead letters there are.
func (a *agenda) size() int { return len(a.live) + len(a.dead) }

// superseded reports whether a record completes a delivery that is not what the task is
// any more. The cluster is locked.
func (s *solo) superseded(record *runtimev1.Record) bool {
	c := record.GetCompletes()
	return c != nil && s.stage(c.GetKey(), c.GetRevision()) == nil
}

// Change changes a task.
func (s *solo) Change(_ context.Context, change *runtimev1.TaskChange) (runtimev1.ChangeResponse_Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	return s.change(change), nil
}

// change changes a task. The cluster is locked.
func (s *solo) change(change *runtimev1.TaskChange) runtimev1.ChangeResponse_Result {
	switch change := change.GetChange().(type) {
	case *runtimev1.TaskChange_Set:
		return s.set(change.Set)
	case *runtimev1.TaskChange_Delete:
		if s.agenda(actorOf(change.Delete)).live[nameOf(change.Delete)] == nil {
			return runtimev1.ChangeResponse_RESULT_NOT_FOUND
		}
		s.put(change.Delete, nil)
	case *runtimev1.TaskChange_Revive:
		return s.revive(change.Revive)
	case *runtimev1.TaskChange_Bury:
		dead := s.agenda(actorOf(change.Bury)).dead
		if dead[nameOf(change.Bury)] == nil {
			return runtimev1.ChangeResponse_RESULT_NOT_FOUND
		}
		delete(dead, nameOf(change.Bury))
	}
	return runtimev1.ChangeResponse_RESULT_DONE
}

// set sets a task: an alarm is replaced, a job that waits stays.
func (s *solo) set(t *runtimev1.Task) runtimev1.ChangeResponse_Result {
	if have := s.agenda(actorOf(t.GetKey())).live[nameOf(t.GetKey())]; have != nil && t.GetKey().GetJob() != "" {
		if task.Same(have.GetTask(), t) {
			return runtimev1.ChangeResponse_RESULT_EXISTS
		}
		return runtimev1.ChangeResponse_RESULT_CONFLICT
	}
	s.put(t.GetKey(), task.Set(t, time.Now(), s.revision, rand.Float64()))
	return runtimev1.ChangeResponse_RESULT_DONE
}

// revive makes a dead letter a task again, unless there is one of its name.
func (s *solo) revive(k *runtimev1.TaskKey) runtimev1.ChangeResponse_Result {
	a, of := s.agenda(actorOf(k)), nameOf(k)
	switch {
	case a.dead[of] == nil:
		return runtimev1.ChangeResponse_RESULT_NOT_FOUND
	case a.live[of] != nil:
		return runtimev1.ChangeResponse_RESULT_CONFLICT
	}
	revived := task.Revive(a.dead[of], time.Now(), s.revision)
	delete(a.dead, of)
	s.put(k, revived)
	return runtimev1.ChangeResponse_RESULT_DONE
}

// Settle ends a delivery that no record completes.
func (s *solo) Settle(settlement *runtimev1.Settlement, settled func()) {
	s.settle(settlement)
	settled()
}

func (s *solo) settle(settlement *runtimev1.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := settlement.GetKey()
	stage := s.stage(k, settlement.GetRevision())
	if stage == nil {
		return
	}
	s.revision++
	if settlement.GetFailed() == nil {
		s.put(k, task.Return(stage, settlement.GetReturned().AsDuration(), time.Now(), s.revision, rand.Float64()))
		return
	}
	next, dead, notice := task.Fail(stage, settlement.GetFailed(), time.Now(), s.revision, rand.Float64())
	s.put(k, next)
	if dead != nil {
		s.agenda(actorOf(k)).dead[nameOf(k)] = dead
	}
	if notice != nil {
		s.put(notice.GetTask().GetKey(), notice)
	}
}

// List lists tasks or dead letters.
func (s *solo) List(_ context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*runtimev1.ScheduledTask
	for _, a := range s.agendas {
		for _, stage := range a.of(req) {
			if matches(req, stage.GetTask().GetKey()) {
				found = append(found, stage)
			}
		}
	}
	slices.SortFunc(found, func(a, b *runtimev1.ScheduledTask) int {
		return compareKeys(a.GetTask().GetKey(), b.GetTask().GetKey())
	})
	most := cmp.Or(int(req.GetLimit()), listed)
	return &runtimev1.ListResponse{Tasks: found[:min(len(found), most)], More: len(found) > most}, nil
}

// of are the tasks of the agenda that live, or its dead letters.
func (a *agenda) of(req *runtimev1.ListRequest) map[name]*runtimev1.ScheduledTask {
	if req.GetDead() {
		return a.dead
	}
	return a.live
}

func matches(req *runtimev1.ListRequest, k *runtimev1.TaskKey) bool {
	of := nameOf(k)
	return k.GetType() == req.GetType() && (req.GetId() == "" || k.GetId() == req.GetId()) &&
		(req.GetKind() == runtimev1.ListRequest_KIND_UNSPECIFIED || of.kind == req.GetKind()) &&
		(req.GetName() == "" || of.text == req.GetName()) && (req.GetAfter() == nil || compareKeys(k, req.GetAfter()) > 0)
}

func compareKeys(a, b *runtimev1.TaskKey) int {
	return cmp.Or(strings.Compare(a.GetType(), b.GetType()), strings.Compare(a.GetId(), b.GetId()), compareNames(nameOf(a), nameOf(b)))
}
