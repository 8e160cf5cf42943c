package tasks

import (
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/mutant"
	"github.com/francis-actors/francis/runtime/store"
)

// Work is what one call does within a draft. Calls work one after the other.
type Work struct {
	draft *Draft
	// moved are the tasks that it has changed.
	moved []*Row
}

// Work begins the work of a call.
func (d *Draft) Work() *Work { return &Work{draft: d} }

// Draft is the draft of the work; nil without work.
func (w *Work) Draft() *Draft {
	if w == nil {
		return nil
	}
	return w.draft
}

// fits reports whether there is room in the transaction for one more delivery to end. What
// does not fit is left out, with the verdict UNSPECIFIED, and is done in another one (parts.go).
func (w *Work) fits() bool { return !w.draft.full() }

// In reports whether a record does anything to tasks.
func In(record *runtimev1.Record) bool {
	return record.GetCompletes() != nil || len(record.GetChanges()) > 0 || record.GetDeletes()
}

// Moves are the tasks that the work has changed, as the transaction leaves them: it is
// asked when all work of the draft is done.
func (w *Work) Moves() []store.Move {
	if w == nil || len(w.moved) == 0 {
		return nil
	}
	moves := make([]store.Move, len(w.moved))
	for i, r := range w.moved {
		moves[i] = store.Move{Key: r.TaskKey, Task: r.Task, Counter: w.draft.config.Revision}
	}
	return moves
}

// Judge does what a record does to tasks, whose fence and base hold: APPLIED; or nothing,
// and SUPERSEDED when the delivery that it completes is not the stage that the task has, or
// TOO_MANY_TASKS when it deletes an actor that has too many.
// Without work every record is one that does nothing to tasks.
func (w *Work) Judge(record *runtimev1.Record) (runtimev1.Verdict, error) {
	if In(record) && !w.fits() {
		return runtimev1.Verdict_VERDICT_UNSPECIFIED, nil
	}
	var completed *Row
	if c := record.GetCompletes(); c != nil && mutant.Once {
		r, ok, err := w.draft.at(c.GetKey(), c.GetRevision())
		if err != nil || !ok {
			return runtimev1.Verdict_VERDICT_SUPERSEDED, err
		}
		completed = r
	}
	if record.GetDeletes() {
		if ok, err := w.clear(record.GetActor()); err != nil || !ok {
			return runtimev1.Verdict_VERDICT_TOO_MANY_TASKS, err
		}
	} else if completed != nil {
		w.put(completed, task.Complete(completed.Task, w.now(), w.revision(), w.random()))
	}
	for _, change := range record.GetChanges() {
		if _, err := w.change(change); err != nil {
			return 0, err
		}
	}
	return runtimev1.Verdict_VERDICT_APPLIED, nil
}

// clear drops all tasks and dead letters of an actor, unless there are too many of them;
// it reports whether it did.
func (w *Work) clear(actor *runtimev1.Actor) (bool, error) {
	rows, err := w.draft.of(actor)
	if err != nil || len(rows) > limit.MaxDeleted {
		return false, err
	}
	for _, r := range rows {
		w.put(r, nil)
	}
	return true, nil
}

// Changes makes changes and answers each.
func (w *Work) Changes(changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, error) {
	results := make([]runtimev1.ChangeResponse_Result, len(changes))
	for i, change := range changes {
		var err error
		if results[i], err = w.change(change); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (w *Work) change(change *runtimev1.TaskChange) (runtimev1.ChangeResponse_Result, error) {
	switch c := change.GetChange().(type) {
	case *runtimev1.TaskChange_Set:
		return w.set(c.Set)
	case *runtimev1.TaskChange_Delete:
		return w.drop(Ref{TaskKey: store.KeyOf(c.Delete)})
	case *runtimev1.TaskChange_Revive:
		return w.revive(store.KeyOf(c.Revive))
	case *runtimev1.TaskChange_Bury:
		return w.drop(Ref{TaskKey: store.KeyOf(c.Bury), Dead: true})
	default:
		return runtimev1.ChangeResponse_RESULT_UNSPECIFIED, nil
	}
}

// set sets a task. An alarm replaces what is there, so that is not read.
func (w *Work) set(t *runtimev1.Task) (runtimev1.ChangeResponse_Result, error) {
	ref := Ref{TaskKey: store.KeyOf(t.GetKey())}
	r := w.draft.row(ref)
	if ref.Kind == runtimev1.ListRequest_KIND_JOBS {
		if _, err := w.draft.read(ref); err != nil {
			return 0, err
		}
		if waits := r.Task; living(waits) {
			if task.Same(waits.GetTask(), t) {
				return runtimev1.ChangeResponse_RESULT_EXISTS, nil
			}
			return runtimev1.ChangeResponse_RESULT_CONFLICT, nil
		}
	}
	w.put(r, task.Set(t, w.now(), w.revision(), w.random()))
	return runtimev1.ChangeResponse_RESULT_DONE, nil
}

// drop deletes a row.
func (w *Work) drop(ref Ref) (runtimev1.ChangeResponse_Result, error) {
	r, err := w.draft.read(ref)
	switch {
	case err != nil:
		return 0, err
	case r.Task == nil:
		return runtimev1.ChangeResponse_RESULT_NOT_FOUND, nil
	}
	w.put(r, nil)
	return runtimev1.ChangeResponse_RESULT_DONE, nil
}

// revive makes a dead letter a task again, unless its key has one by now: a task that
// repeats goes on while an occurrence of it lies dead.
func (w *Work) revive(key store.TaskKey) (runtimev1.ChangeResponse_Result, error) {
	dead, err := w.draft.read(Ref{TaskKey: key, Dead: true})
	if err != nil {
		return 0, err
	}
	r, err := w.draft.read(Ref{TaskKey: key})
	switch {
	case err != nil:
		return 0, err
	case !living(dead.Task):
		return runtimev1.ChangeResponse_RESULT_NOT_FOUND, nil
	case living(r.Task):
		return runtimev1.ChangeResponse_RESULT_CONFLICT, nil
	}
	w.put(r, task.Revive(dead.Task, w.now(), w.revision()))
	w.put(dead, nil)
	return runtimev1.ChangeResponse_RESULT_DONE, nil
}

// Settle ends deliveries of a worker and answers each.
func (w *Work) Settle(owners Owners, worker string, settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, error) {
	verdicts := make([]runtimev1.Verdict, len(settlements))
	for i, s := range settlements {
		actor := &runtimev1.Actor{Type: s.GetKey().GetType(), Id: s.GetKey().GetId()}
		if verdicts[i] = runtimev1.Verdict_VERDICT_STALE_EPOCH; !owners.Owns(worker, actor, s.GetFence()) {
			continue
		}
		if verdicts[i] = runtimev1.Verdict_VERDICT_UNSPECIFIED; !w.fits() {
			continue
		}
		var err error
		if verdicts[i], err = w.settle(s); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// Owners knows who owns the shard of an actor.
type Owners interface {
	Owns(worker string, actor *runtimev1.Actor, fence *runtimev1.Fence) bool
}

func (w *Work) settle(s *runtimev1.Settlement) (runtimev1.Verdict, error) {
	r, ok, err := w.draft.at(s.GetKey(), s.GetRevision())
	if err != nil || !ok {
		return runtimev1.Verdict_VERDICT_SUPERSEDED, err
	}
	switch end := s.GetEnd().(type) {
	case *runtimev1.Settlement_Failed:
		w.end(r, ended(task.Fail(r.Task, end.Failed, w.now(), w.revision(), w.random())))
	case *runtimev1.Settlement_Returned:
		w.put(r, task.Return(r.Task, end.Returned.AsDuration(), w.now(), w.revision(), w.random()))
	}
	return runtimev1.Verdict_VERDICT_APPLIED, nil
}

// Strand marks tasks that were out with a worker when it died. It returns those that did
// not fit.
func (w *Work) Strand(out []*runtimev1.Completion) (rest []*runtimev1.Completion, err error) {
	for i, c := range out {
		if !w.fits() {
			return out[i:], nil
		}
		r, ok, err := w.draft.at(c.GetKey(), c.GetRevision())
		if err != nil {
			return nil, err
		}
		if ok {
			w.end(r, ended(task.Strand(r.Task, w.now(), w.revision(), w.random())))
		}
	}
	return nil, nil
}

// end is how a delivery ends that no record completes: the task goes on as next, dead
// becomes a dead letter, and notice is a job that tells the actor. Each may be nil.
type end struct{ next, dead, notice *runtimev1.ScheduledTask }

func ended(next, dead, notice *runtimev1.ScheduledTask) end { return end{next, dead, notice} }

func (w *Work) end(r *Row, e end) {
	w.put(r, e.next)
	if e.dead != nil {
		w.put(w.draft.row(Ref{TaskKey: r.TaskKey, Dead: true}), e.dead)
	}
	if e.notice != nil {
		w.put(w.draft.row(Ref{TaskKey: store.KeyOf(e.notice.GetTask().GetKey())}), e.notice)
	}
}

// put says what a row becomes; nil for none.
func (w *Work) put(r *Row, t *runtimev1.ScheduledTask) {
	if t != nil {
		t.Due = store.RoundDue(t.GetDue())
	}
	r.Task, r.known = t, true
	w.draft.weigh(t)
	if !r.changed {
		r.changed = true
		w.draft.changed++
	}
	if !r.Dead && r.touched != w {
		r.touched = w
		w.moved = append(w.moved, r)
	}
}
