package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// shelf is one of the two tables of tasks, and the writer's statements on it.
type shelf struct {
	find, of, replace, drop *stmt
	// recent are tasks that are in the table: many are completed soon after they were set, or
	// again and again.
	recent recent[store.TaskKey, *runtimev1.ScheduledTask]
}

const (
	// tasksKept is the room for recent tasks, about as many as the dispatch reads ahead, and
	// keptTask how large one of them may be when it is encoded, in bytes.
	tasksKept = 1 << 13
	keptTask  = 1 << 10
)

const (
	findTask = `SELECT due, checksum, task FROM %s WHERE type = ? AND kind = ? AND id = ? AND name = ?`
	// Both kinds are named, so that the key of the table leads to the actor's rows.
	findTasksOf = `SELECT kind, name FROM %s WHERE type = ? AND kind IN (1, 2) AND id = ? LIMIT ?`
	replaceTask = `REPLACE INTO %s (type, kind, id, name, due, checksum, task) VALUES (?, ?, ?, ?, ?, ?, ?)`
	deleteTask  = `DELETE FROM %s WHERE type = ? AND kind = ? AND id = ? AND name = ?`
)

const (
	livingTable = "tasks"
	deadTable   = "dead"
)

// newShelf prepares the statements on a table.
func newShelf(c *conn, table string) (s shelf, err error) {
	s.recent.room = tasksKept
	for _, prepare := range []struct {
		to  **stmt
		sql string
	}{{&s.find, findTask}, {&s.of, findTasksOf}, {&s.replace, replaceTask}, {&s.drop, deleteTask}} {
		if *prepare.to, err = c.keep(fmt.Sprintf(prepare.sql, table)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// shelves are both tables.
type shelves struct{ living, dead shelf }

func newShelves(c *conn) (s shelves, err error) {
	if s.living, err = newShelf(c, livingTable); err != nil {
		return s, err
	}
	s.dead, err = newShelf(c, deadTable)
	return s, err
}

func (s *shelves) of(ref tasks.Ref) *shelf {
	if ref.Dead {
		return &s.dead
	}
	return &s.living
}

// read reads the row of a task, as a source of drafts.
func (s *shelves) read(ref tasks.Ref) (*runtimev1.ScheduledTask, error) {
	shelf := s.of(ref)
	if task, ok := shelf.recent.get(ref.TaskKey); ok {
		return task, nil
	}
	row, ok, err := shelf.find.one(ref.Type, int64(ref.Kind), ref.ID, ref.Name)
	if err != nil || !ok {
		return nil, err
	}
	return taskOf(ref.TaskKey, &columns{row: row}), nil
}

// namesOf names the rows of an actor, for drafts.
func (s *shelves) namesOf(actor *runtimev1.Actor) (refs []tasks.Ref, err error) {
	for _, dead := range []bool{false, true} {
		err = s.of(tasks.Ref{Dead: dead}).of.each(func(row []driver.Value) error {
			columns := columns{row: row}
			kind, name := runtimev1.ListRequest_Kind(columns.uint()), columns.text()
			refs = append(refs, tasks.Ref{TaskKey: store.TaskKey{Type: actor.GetType(), ID: actor.GetId(), Kind: kind, Name: name}, Dead: dead})
			return columns.err
		}, actor.GetType(), actor.GetId(), int64(limit.MaxDeleted+1))
		if err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// write writes what a row becomes.
func (s *shelves) write(r *tasks.Row) error {
	shelf := s.of(r.Ref)
	shelf.recent.drop(r.TaskKey)
	if r.Task == nil {
		return shelf.drop.exec(r.Type, int64(r.Kind), r.ID, r.Name)
	}
	encoded, err := proto.Marshal(r.Task)
	if err != nil {
		return err
	}
	if len(encoded) <= keptTask {
		shelf.recent.put(r.TaskKey, r.Task)
	}
	due := r.Task.GetDue().AsTime().UnixMicro()
	return shelf.replace.exec(r.Type, int64(r.Kind), r.ID, r.Name, due, int64(tasks.Sum(r.TaskKey, due, encoded)), encoded)
}

// taskOf is the task in the columns due, checksum and task of a row.
func taskOf(key store.TaskKey, row *columns) *runtimev1.ScheduledTask {
	due := row.uint()
	sum := row.uint()
	encoded := row.bytes()
	s := &runtimev1.ScheduledTask{}
	if row.decode(encoded, s); row.err != nil || sum != tasks.Sum(key, int64(due), encoded) {
		return store.DamagedTask(key)
	}
	return s
}

// work is what a call without records does to tasks.
type work struct {
	do func(*tasks.Work) error
	// rows is how many tasks it is about, and bytes how much it brings.
	rows, bytes int
}

// workOf lets a call do what it does to tasks but by its records, and returns that work;
// nil for a call without.
func (w *writer) workOf(g *group, question write) (*tasks.Work, error) {
	if question.work == nil && !slices.ContainsFunc(question.records, tasks.In) {
		return nil, nil //nolint:nilnil // no work and no fault
	}
	if g.draft == nil {
		g.draft = tasks.NewDraft(tasks.Config{Source: w.tasks.read, Of: w.tasks.namesOf, Now: w.now(), Revision: w.counted().Counter, Random: w.random, Budget: groupBytes})
	}
	work := g.draft.Work()
	if question.work != nil {
		return work, question.work.do(work)
	}
	return work, nil
}

// writeTasks writes what a group does to tasks, inside its transaction, and returns about
// how many pages.
func (w *writer) writeTasks(g *group) (pages int, err error) {
	for _, r := range g.draft.Changed() {
		if err := w.tasks.write(r); err != nil {
			return pages, err
		}
		pages += 5 + len(r.Task.GetTask().GetRequest())/(pageSize/2) // a leaf, and two of each index
	}
	return pages, nil
}

// requests is how many bytes changes bring.
func requests(changes []*runtimev1.TaskChange) (bytes int) {
	for _, change := range changes {
		bytes += len(change.GetSet().GetRequest())
	}
	return bytes
}

// work lets a call change tasks in the transaction of a group.
func (s *Store) work(ctx context.Context, w work) (store.Moved, error) {
	answer, err := queue.Ask(ctx, s.writer.queue, write{work: &w})
	return answer.moved(), err
}

// Change implements store.Tasks.
func (s *Store) Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, store.Moved, error) {
	if err := store.CheckChanges(changes); err != nil {
		return nil, store.Moved{}, err
	}
	var results []runtimev1.ChangeResponse_Result
	moved, err := s.work(ctx, work{rows: len(changes), bytes: requests(changes), do: func(w *tasks.Work) (err error) {
		results, err = w.Changes(changes)
		return err
	}})
	if err != nil { // the writer may still be at it
		return nil, store.Moved{}, err
	}
	return results, moved, nil
}

// Settle implements store.Tasks.
func (s *Store) Settle(ctx context.Context, worker string, settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
	if err := store.CheckSettlements(settlements); err != nil {
		return nil, store.Moved{}, err
	}
	return tasks.SettleInParts(settlements, apart(runtimev1.Verdict_VERDICT_DAMAGED, func(part []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
		var verdicts []runtimev1.Verdict
		moved, err := s.work(ctx, work{rows: len(part), do: func(w *tasks.Work) (err error) {
			verdicts, err = w.Settle(s.held.table, worker, part)
			return err
		}})
		if err != nil { // the writer may still be at it
			return nil, store.Moved{}, err
		}
		return verdicts, moved, nil
	}))
}

// Strand implements store.Tasks.
func (s *Store) Strand(ctx context.Context, out []*runtimev1.Completion) (store.Moved, error) {
	if err := store.CheckCompletions(out); err != nil {
		return store.Moved{}, err
	}
	var moved store.Moved
	for more := true; more; more = len(out) > 0 {
		var left []*runtimev1.Completion
		now, err := s.work(ctx, work{rows: len(out), do: func(w *tasks.Work) (err error) {
			left, err = w.Strand(out)
			return err
		}})
		if err != nil { // the writer may still be at it
			return store.Moved{}, err
		}
		out, moved = left, moved.And(now)
	}
	return moved, nil
}
