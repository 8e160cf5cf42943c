package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// The order of an index is that of its answer, so a page costs what it holds, wherever it
// begins. The last two are the same places without the tasks.
const (
	dueOfType  = `SELECT due, id, kind, name, due, checksum, task ` + whereType
	dueOfActor = `SELECT due, id, kind, name, due, checksum, task ` + whereActor
	placesType = `SELECT due, id, kind, name ` + whereType
	placesOf   = `SELECT due, id, kind, name ` + whereActor

	whereType = `FROM tasks WHERE type = ?1 AND (due, id, kind, name) > (?2, ?3, ?4, ?5) AND due <= ?6
		ORDER BY due, id, kind, name LIMIT ?7`
	whereActor = `FROM tasks WHERE type = ?1 AND id = ?3 AND (due, kind, name) > (?2, ?4, ?5) AND due <= ?6
		ORDER BY due, kind, name LIMIT ?7`
)

// pager is the one goroutine that reads what is due, and lists. It has a connection of its
// own, so that loads, for which somebody waits, need not wait for pages.
type pager struct {
	conn   *conn
	held   *held
	queue  *queue.Queue[*pageCall]
	now    func() time.Time
	logger *slog.Logger

	due, dueActor       *stmt
	places, placesActor *stmt
	actors              *stmt
	tasks               shelves
	told                tasks.Told
}

// pageCall is somebody who waits for a page, which the question fills in.
type pageCall = queue.Call[func(*pager) error, struct{}]

func newPager(c *conn, held *held, config Config, calls *queue.Queue[*pageCall]) (*pager, error) {
	p := &pager{conn: c, held: held, queue: calls, now: config.Now, logger: config.Logger}
	for _, s := range []struct {
		to  **stmt
		sql string
	}{{&p.due, dueOfType}, {&p.dueActor, dueOfActor}, {&p.places, placesType}, {&p.placesActor, placesOf}, {&p.actors, listActors}} {
		var err error
		if *s.to, err = c.keep(s.sql); err != nil {
			return nil, err
		}
	}
	var err error
	p.tasks, err = newShelves(c)
	return p, err
}

// run serves until the queue is closed.
func (p *pager) run() {
	for {
		calls, open := p.queue.Take()
		for _, c := range calls {
			c.End(struct{}{}, p.serve(c))
		}
		if !open {
			return
		}
	}
}

func (p *pager) serve(c *pageCall) error {
	if err := c.Gone(); err != nil {
		return err // nobody waits
	}
	if err := p.held.standing(); err != nil {
		return err
	}
	return c.Question(p)
}

// Due implements store.Tasks.
func (s *Store) Due(ctx context.Context, query store.DueQuery) (store.Due, error) {
	if err := store.CheckDue(query); err != nil {
		return store.Due{}, err
	}
	var page *tasks.DuePage
	_, err := queue.Ask(ctx, s.pages, func(p *pager) (err error) {
		page, err = p.readDue(query)
		return err
	})
	if err != nil { // the pager may still be at it
		return store.Due{}, wrap("read what is due", err)
	}
	return page.Due(), nil
}

// List implements store.Tasks.
func (s *Store) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	if err := store.CheckList(req); err != nil {
		return nil, err
	}
	var page *tasks.ListPage
	_, err := queue.Ask(ctx, s.pages, func(p *pager) (err error) {
		page, err = p.list(req)
		return err
	})
	if err != nil { // the pager may still be at it
		return nil, wrap("list tasks", err)
	}
	return page.Response(), nil
}

func wrap(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }

// readDue reads a page of what is due. Where a page of the file is damaged, its tasks are
// left out, and looked at one by one.
func (p *pager) readDue(query store.DueQuery) (*tasks.DuePage, error) {
	page := tasks.NewDuePage(query, p.now())
	err := p.readTasks(page, query)
	if errors.Is(err, store.ErrDamaged) {
		page = tasks.NewDuePage(query, p.now())
		err = p.readPlaces(page, query)
	}
	return page, err
}

// errEnough ends a scan early.
var errEnough = errors.New("enough")

func (p *pager) readTasks(page *tasks.DuePage, query store.DueQuery) error {
	return scanDue(choose(query, p.due, p.dueActor), page, query, func(place store.Position, rest *columns) error {
		return p.add(page, place, taskOf(place.Key, rest))
	})
}

func (p *pager) readPlaces(page *tasks.DuePage, query store.DueQuery) error {
	return scanDue(choose(query, p.places, p.placesActor), page, query, func(place store.Position, _ *columns) error {
		s, err := p.tasks.read(tasks.Ref{TaskKey: place.Key})
		if err != nil && !errors.Is(err, store.ErrDamaged) {
			return err
		}
		if s == nil {
			s = store.DamagedTask(place.Key)
		}
		return p.add(page, place, s)
	})
}

// choose returns the statement for a type or for an actor.
func choose(query store.DueQuery, typ, actor *stmt) *stmt {
	if query.ID != "" {
		return actor
	}
	return typ
}

// snapshotRows is how many tasks are read in one look at the file, which takes several
// milliseconds: a longer one would keep the log from beginning anew, see logPatience.
const snapshotRows = 512

// scanDue visits the places of a query, and what else is in their rows, until the page is
// full or there are no more.
func scanDue(s *stmt, page *tasks.DuePage, query store.DueQuery, visit func(store.Position, *columns) error) error {
	for {
		limit := min(snapshotRows, page.Room())
		seen, err := scanSome(s, page.From(), query, limit, visit)
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil || seen < limit:
			return err
		}
	}
}

// scanSome visits the first places, and returns how many it has seen.
func scanSome(s *stmt, from store.Position, query store.DueQuery, limit int, visit func(store.Position, *columns) error) (seen int, err error) {
	err = s.each(func(row []driver.Value) error {
		seen++
		c := &columns{row: row}
		place := store.Position{Due: time.UnixMicro(int64(c.uint()))}
		place.Key = store.TaskKey{Type: query.Type, ID: c.text(), Kind: runtimev1.ListRequest_Kind(c.uint()), Name: c.text()}
		if c.err != nil {
			return c.err
		}
		return visit(place, c)
	}, query.Type, from.Due.UnixMicro(), idOf(query, from), int64(from.Key.Kind), from.Key.Name, query.Until.UnixMicro(), int64(limit))
	return seen, err
}

// idOf is the id in a query: that of the only actor, or of the place where it begins.
func idOf(query store.DueQuery, from store.Position) string {
	if query.ID != "" {
		return query.ID
	}
	return from.Key.ID
}

// add adds a task to a page. One that is damaged is left out aloud.
func (p *pager) add(page *tasks.DuePage, place store.Position, s *runtimev1.ScheduledTask) error {
	if s.GetRevision() == 0 {
		p.told.Damaged(p.logger, place.Key)
		s = nil
	}
	if !page.Add(place, s) {
		return errEnough
	}
	return nil
}

// list lists alarms, jobs or both. The answer is full before it passes the end of a kind
// that is cut, since that one would have filled it alone.
func (p *pager) list(req *runtimev1.ListRequest) (*tasks.ListPage, error) {
	page := tasks.NewListPage(req)
	var found []*runtimev1.ScheduledTask
	more := false
	for _, kind := range []runtimev1.ListRequest_Kind{runtimev1.ListRequest_KIND_ALARMS, runtimev1.ListRequest_KIND_JOBS} {
		if req.GetKind() != runtimev1.ListRequest_KIND_UNSPECIFIED && req.GetKind() != kind {
			continue
		}
		part, err := p.listKind(req, kind)
		if err != nil {
			return nil, err
		}
		found = append(found, part.GetTasks()...)
		more = more || part.GetMore()
	}
	slices.SortFunc(found, func(a, b *runtimev1.ScheduledTask) int {
		return store.KeyOf(a.GetTask().GetKey()).Compare(store.KeyOf(b.GetTask().GetKey()))
	})
	page.AddAll(found, more)
	return page, nil
}

func (p *pager) listKind(req *runtimev1.ListRequest, kind runtimev1.ListRequest_Kind) (*runtimev1.ListResponse, error) {
	page := tasks.NewListPage(req)
	statement, args := listOf(req, kind, page.Limit()+1)
	s, err := p.conn.prepare(statement)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = s.each(func(row []driver.Value) error {
		c := &columns{row: row}
		key := store.TaskKey{Type: req.GetType(), Kind: kind, ID: c.text(), Name: c.text()}
		if c.err != nil {
			return c.err
		}
		if !page.Add(taskOf(key, c)) {
			return errEnough
		}
		return nil
	}, args...)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return page.Response(), nil
}

// listOf is the statement that lists a kind, with its arguments. What it asks for is a
// range of the table.
func listOf(req *runtimev1.ListRequest, kind runtimev1.ListRequest_Kind, limit int) (string, []driver.Value) {
	terms, args := []string{"type = ?", "kind = ?"}, []driver.Value{req.GetType(), int64(kind)}
	where := func(term string, values ...driver.Value) {
		terms, args = append(terms, term), append(args, values...)
	}
	if req.GetId() != "" {
		where("id = ?", req.GetId())
	}
	if req.GetName() != "" {
		where("name = ?", req.GetName())
	}
	if req.GetAfter() != nil {
		switch after := store.KeyOf(req.GetAfter()); {
		case after.Kind == kind && after.ID == req.GetId():
			where("name > ?", after.Name)
		case after.Kind == kind:
			where("(id, name) > (?, ?)", after.ID, after.Name)
		case after.Kind > kind:
			where("id > ?", after.ID)
		default:
			where("id >= ?", after.ID)
		}
	}
	table := livingTable
	if req.GetDead() {
		table = deadTable
	}
	return fmt.Sprintf(`SELECT id, name, due, checksum, task FROM %s WHERE %s ORDER BY id, name LIMIT ?`,
		table, strings.Join(terms, " AND ")), append(args, int64(limit))
}
