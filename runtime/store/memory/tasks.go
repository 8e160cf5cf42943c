package memory

import (
	"context"
	"maps"
	"slices"
	"strings"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// shelf holds the tasks. Messages in it are never changed, only replaced.
type shelf struct {
	rows map[tasks.Ref]*runtimev1.ScheduledTask
	// due has the places of all tasks that live, and actors the same, actor by actor.
	due, actors ordered[store.Position]
}

func newShelf() shelf {
	return shelf{
		rows:   map[tasks.Ref]*runtimev1.ScheduledTask{},
		due:    ordered[store.Position]{compare: store.Position.Compare},
		actors: ordered[store.Position]{compare: compareActors},
	}
}

// compareActors orders tasks by actor, then by when they are due.
func compareActors(a, b store.Position) int {
	if order := strings.Compare(a.Key.Type, b.Key.Type); order != 0 {
		return order
	}
	if order := strings.Compare(a.Key.ID, b.Key.ID); order != 0 {
		return order
	}
	return a.Compare(b)
}

func (s *shelf) clone() shelf {
	return shelf{rows: maps.Clone(s.rows), due: s.due.clone(), actors: s.actors.clone()}
}

// put keeps what a row becomes.
func (s *shelf) put(row *tasks.Row) {
	if have := s.rows[row.Ref]; have != nil && !row.Dead {
		s.due.remove(store.PositionOf(have))
		s.actors.remove(store.PositionOf(have))
	}
	if row.Task == nil {
		delete(s.rows, row.Ref)
		return
	}
	s.rows[row.Ref] = row.Task
	if !row.Dead {
		s.due.add(store.PositionOf(row.Task))
		s.actors.add(store.PositionOf(row.Task))
	}
}

// draft begins what a call does to tasks; it is called under mu.
func (s *Store) draft() *tasks.Draft {
	return tasks.NewDraft(tasks.Config{
		Source:   func(ref tasks.Ref) (*runtimev1.ScheduledTask, error) { return s.tasks.rows[ref], nil },
		Of:       s.tasks.of,
		Now:      s.now(),
		Revision: s.table.Cluster.Counter + 1,
		Random:   s.random,
	})
}

// of names the rows of an actor. It looks through all rows: an actor is deleted once.
func (s *shelf) of(actor *runtimev1.Actor) ([]tasks.Ref, error) {
	var refs []tasks.Ref
	for ref := range s.rows {
		if ref.Type == actor.GetType() && ref.ID == actor.GetId() {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// keep keeps what a draft has come to. It is called under mu, and the caller counts.
func (s *Store) keep(draft *tasks.Draft) {
	for _, row := range draft.Changed() {
		s.tasks.put(row)
	}
}

// workOf begins what records do to tasks; nil where they do nothing to any.
func (s *Store) workOf(records []*runtimev1.Record) *tasks.Work {
	if !slices.ContainsFunc(records, tasks.In) {
		return nil
	}
	return s.draft().Work()
}

// work lets somebody change tasks, as one transaction.
func (s *Store) work(ctx context.Context, do func(*tasks.Work) error) (store.Moved, error) {
	if err := s.enter(ctx); err != nil {
		return store.Moved{}, err
	}
	defer s.mu.Unlock()
	draft := s.draft()
	work := draft.Work()
	if err := do(work); err != nil {
		return store.Moved{}, err
	}
	if s.keep(draft); !draft.Empty() {
		s.table.Cluster.Counter++
	}
	return store.Moved{Moves: work.Moves(), Point: s.table.Cluster.Point()}, nil
}

// Change implements store.Tasks.
func (s *Store) Change(ctx context.Context, changes []*runtimev1.TaskChange) (results []runtimev1.ChangeResponse_Result, moved store.Moved, err error) {
	if err := store.CheckChanges(changes); err != nil {
		return nil, store.Moved{}, err
	}
	moved, err = s.work(ctx, func(w *tasks.Work) (err error) {
		results, err = w.Changes(changes)
		return err
	})
	return results, moved, err
}

// Settle implements store.Tasks.
func (s *Store) Settle(ctx context.Context, worker string, settlements []*runtimev1.Settlement) (verdicts []runtimev1.Verdict, moved store.Moved, err error) {
	if err := store.CheckSettlements(settlements); err != nil {
		return nil, store.Moved{}, err
	}
	moved, err = s.work(ctx, func(w *tasks.Work) (err error) {
		verdicts, err = w.Settle(s.table, worker, settlements)
		return err
	})
	return verdicts, moved, err
}

// Strand implements store.Tasks.
func (s *Store) Strand(ctx context.Context, out []*runtimev1.Completion) (store.Moved, error) {
	if err := store.CheckCompletions(out); err != nil {
		return store.Moved{}, err
	}
	return s.work(ctx, func(w *tasks.Work) error { return strand(w, out) })
}

func strand(w *tasks.Work, out []*runtimev1.Completion) error {
	_, err := w.Strand(out) // without a budget there is no rest
	return err
}

// Due implements store.Tasks.
func (s *Store) Due(ctx context.Context, query store.DueQuery) (store.Due, error) {
	if err := store.CheckDue(query); err != nil {
		return store.Due{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Due{}, err
	}
	defer s.mu.Unlock()
	page := tasks.NewDuePage(query, s.now())
	order := &s.tasks.due
	if query.ID != "" {
		order = &s.tasks.actors
	}
	for place := range order.after(page.From()) {
		if !page.Holds(place) || !page.Add(place, s.tasks.rows[tasks.Ref{TaskKey: place.Key}]) {
			break
		}
	}
	return page.Due(), nil
}

// List implements store.Tasks.
func (s *Store) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	if err := store.CheckList(req); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	page := tasks.NewListPage(req)
	for _, ref := range s.tasks.listed(page) {
		if !page.Add(s.tasks.rows[ref]) {
			break
		}
	}
	return page.Response(), nil
}

// listed are the rows that a page may hold, in order. Lists are for people: to look
// through all rows for one costs no one anything that counts.
func (s *shelf) listed(page *tasks.ListPage) []tasks.Ref {
	var refs []tasks.Ref
	for ref := range s.rows {
		if page.Holds(ref) {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b tasks.Ref) int { return a.Compare(b.TaskKey) })
	return refs
}
