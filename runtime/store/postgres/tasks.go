package postgres

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// The statements on the two tables of tasks; %s is one of them.
const (
	lockTasks = `SELECT k.type, k.id, k.kind, k.name, k.due, k.checksum, CASE WHEN octet_length(k.task) <= $5 THEN k.task END
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS r (type, id, kind, name)
		CROSS JOIN LATERAL (SELECT type, id, kind, name, due, checksum, task FROM francis.%s WHERE type = r.type AND id = r.id AND kind = r.kind AND name = r.name OFFSET 0 FOR UPDATE) k`
	lockTasksOf = `SELECT kind, name FROM francis.%s WHERE type = $1 AND id = $2 ORDER BY kind, name LIMIT $3 FOR UPDATE`
	taskArrays  = `SELECT r.type, r.id, r.kind, r.name, r.due, r.checksum, r.task
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bytea[])
		AS r (type, id, kind, name, due, checksum, task)`
	writeTasks = `INSERT INTO francis.%s (type, id, kind, name, due, checksum, task)
		` + taskArrays + `
		ON CONFLICT (type, id, kind, name) DO UPDATE SET due = excluded.due, checksum = excluded.checksum, task = excluded.task`
	insertTasks = `INSERT INTO francis.%s (type, id, kind, name, due, checksum, task)
		` + taskArrays
	// Of one actor there may be very many.
	deleteTasksOf = `DELETE FROM francis.%s WHERE type = $1 AND id = $2 AND kind = $3 AND name = ANY($4::text[])`
	deleteTasks   = `DELETE FROM francis.%s k USING unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS r (type, id, kind, name)
		WHERE k.type = r.type AND k.id = r.id AND k.kind = r.kind AND k.name = r.name`

	livingTable = "tasks"
	deadTable   = "dead"
)

// taskTables are both tables, in the order of locks.
var taskTables = []string{livingTable, deadTable}

func tableOf(ref tasks.Ref) string {
	if ref.Dead {
		return deadTable
	}
	return livingTable
}

// small is the largest task that is read together with others, in bytes. Larger ones are
// read when it is their turn: there may be room for a few of them only.
const small = 4 << 10

// shelf holds the rows of tasks that a transaction has locked.
type shelf struct {
	// rows are those that were read; nil where there is none.
	rows map[tasks.Ref]*runtimev1.ScheduledTask
	// of names the rows of actors that are deleted, which are locked too. What others add
	// meanwhile comes after that.
	of map[actorKey][]tasks.Ref
}

// compareRefs orders rows as they are locked: those of each table by key.
func compareRefs(a, b tasks.Ref) int {
	return cmp.Or(strings.Compare(tableOf(b), tableOf(a)), a.Compare(b.TaskKey))
}

// refsOf are the rows of tasks that a record may change.
func refsOf(record *runtimev1.Record) []tasks.Ref {
	var refs []tasks.Ref
	if c := record.GetCompletes(); c != nil {
		refs = append(refs, tasks.Ref{TaskKey: store.KeyOf(c.GetKey())})
	}
	return append(refs, refsOfChanges(record.GetChanges())...)
}

func refsOfChanges(changes []*runtimev1.TaskChange) []tasks.Ref {
	var refs []tasks.Ref
	for _, change := range changes {
		key := store.KeyOf(store.ChangedKey(change))
		switch change.GetChange().(type) {
		case *runtimev1.TaskChange_Bury:
			refs = append(refs, tasks.Ref{TaskKey: key, Dead: true})
		case *runtimev1.TaskChange_Revive:
			refs = append(refs, tasks.Ref{TaskKey: key}, tasks.Ref{TaskKey: key, Dead: true})
		default:
			refs = append(refs, tasks.Ref{TaskKey: key})
		}
	}
	return refs
}

// lock adds the queries to a batch that lock rows and read them.
func (s *shelf) lock(b *pgx.Batch, refs []tasks.Ref) {
	s.rows = map[tasks.Ref]*runtimev1.ScheduledTask{}
	s.queue(b, refs, small)
}

// lockOf adds the queries that lock the rows of actors, and name them. They come after
// those of other actors, out of order: a deletion that meets others in this is repeated.
func (s *shelf) lockOf(b *pgx.Batch, actors []actorKey) {
	if len(actors) == 0 {
		return
	}
	s.of = map[actorKey][]tasks.Ref{}
	for _, table := range taskTables {
		for _, a := range actors {
			b.Queue(fmt.Sprintf(lockTasksOf, table), a.typ, a.id, limit.MaxDeleted+1).Query(func(rows pgx.Rows) error {
				ref := tasks.Ref{TaskKey: store.TaskKey{Type: a.typ, ID: a.id}, Dead: table == deadTable}
				_, err := pgx.ForEachRow(rows, []any{(*int32)(&ref.Kind), &ref.Name}, func() error {
					s.of[a] = append(s.of[a], ref)
					return nil
				})
				return err
			})
		}
	}
}

// queue asks for rows, and for what they hold up to a size.
func (s *shelf) queue(b *pgx.Batch, refs []tasks.Ref, size int) {
	for _, table := range taskTables {
		var rows taskColumns
		for _, ref := range refs {
			if tableOf(ref) == table {
				s.rows[ref] = nil
				rows.addKey(ref.TaskKey)
			}
		}
		if rows.n() > 0 {
			b.Queue(fmt.Sprintf(lockTasks, table), append(rows.keys(), size)...).Query(func(found pgx.Rows) error { return s.scan(found, table) })
		}
	}
}

func (s *shelf) scan(rows pgx.Rows, table string) error {
	defer rows.Close()
	for rows.Next() {
		place, task, err := scanTask(rows)
		if err != nil {
			return err
		}
		ref := tasks.Ref{TaskKey: place.Key, Dead: table == deadTable}
		if s.rows[ref] = task; task == nil {
			delete(s.rows, ref) // it is large
		}
	}
	return rows.Err()
}

// scanTask reads the row of a task, and its place. One that is damaged says so; one whose
// task was left out is nil.
func scanTask(row pgx.Row) (store.Position, *runtimev1.ScheduledTask, error) {
	var key store.TaskKey
	var kind, due, checksum int64
	var encoded []byte
	if err := row.Scan(&key.Type, &key.ID, &kind, &key.Name, &due, &checksum, &encoded); err != nil {
		return store.Position{}, nil, err
	}
	key.Kind = runtimev1.ListRequest_Kind(kind)
	place := store.Position{Due: time.UnixMicro(due), Key: key}
	if encoded == nil {
		return place, nil, nil
	}
	task := &runtimev1.ScheduledTask{}
	if uint64(checksum) != tasks.Sum(key, due, encoded) || proto.Unmarshal(encoded, task) != nil {
		task = store.DamagedTask(key)
	}
	return place, task, nil
}

// read is the row of a task, as a source of drafts.
func (s *shelf) read(ctx context.Context, t *transaction, ref tasks.Ref) (*runtimev1.ScheduledTask, error) {
	if task, read := s.rows[ref]; read {
		return task, nil
	}
	b := &pgx.Batch{}
	s.queue(b, []tasks.Ref{ref}, math.MaxInt32)
	err := t.send(ctx, b)
	return s.rows[ref], err
}

// write adds the rows that change to a batch.
func (s *shelf) write(b *pgx.Batch, changed []*tasks.Row) error {
	for _, table := range taskTables {
		if err := s.writeTable(b, table, changed); err != nil {
			return err
		}
	}
	return nil
}

// writeTable adds those of one table.
func (s *shelf) writeTable(b *pgx.Batch, table string, changed []*tasks.Row) error {
	var gone, made, kept taskColumns
	cleared := map[kindOf][]string{}
	for _, r := range changed {
		if tableOf(r.Ref) != table {
			continue
		}
		if k := (kindOf{actorKey{r.Type, r.ID}, int64(r.Kind)}); r.Task == nil && s.of[k.actorKey] != nil {
			cleared[k] = append(cleared[k], r.Name)
			continue
		}
		if err := s.among(r, &gone, &made, &kept).add(r); err != nil {
			return err
		}
	}
	for k, names := range cleared {
		b.Queue(fmt.Sprintf(deleteTasksOf, table), k.typ, k.id, k.kind, names)
	}
	if gone.n() > 0 {
		b.Queue(fmt.Sprintf(deleteTasks, table), gone.keys()...)
	}
	if made.n() > 0 {
		b.Queue(fmt.Sprintf(insertTasks, table), made.all()...)
	}
	if kept.n() > 0 {
		b.Queue(fmt.Sprintf(writeTasks, table), kept.all()...)
	}
	return nil
}

// kindOf are the alarms or the jobs of an actor.
type kindOf struct {
	actorKey

	kind int64
}

// among says what becomes of a row. One that was looked for and is not there is made, so
// that one which another transaction has made meanwhile is in the way.
func (s *shelf) among(r *tasks.Row, gone, made, kept *taskColumns) *taskColumns {
	have, read := s.rows[r.Ref]
	switch {
	case r.Task == nil:
		return gone
	case read && have == nil:
		return made
	default:
		return kept
	}
}

// taskColumns are rows of tasks as arrays, one for each column.
type taskColumns struct {
	types, ids, names []string
	kinds, dues, sums []int64
	tasks             [][]byte
}

// n is the number of rows.
func (c *taskColumns) n() int { return len(c.types) }

func (c *taskColumns) addKey(k store.TaskKey) {
	c.types, c.ids, c.names = append(c.types, k.Type), append(c.ids, k.ID), append(c.names, k.Name)
	c.kinds = append(c.kinds, int64(k.Kind))
}

func (c *taskColumns) add(r *tasks.Row) error {
	c.addKey(r.TaskKey)
	if r.Task == nil {
		return nil
	}
	encoded, err := proto.Marshal(r.Task)
	if err != nil {
		return err
	}
	due := r.Task.GetDue().AsTime().UnixMicro()
	c.dues, c.sums = append(c.dues, due), append(c.sums, int64(tasks.Sum(r.TaskKey, due, encoded)))
	c.tasks = append(c.tasks, encoded)
	return nil
}

func (c *taskColumns) keys() []any { return []any{c.types, c.ids, c.kinds, c.names} }

func (c *taskColumns) all() []any { return append(c.keys(), c.dues, c.sums, c.tasks) }

// workOn lets a call change tasks in the transaction of a group.
func (s *Store) workOn(ctx context.Context, w write) (store.Moved, error) {
	answer, err := queue.Ask(ctx, s.laneOf(w.worker).queue, w)
	return answer.moved(), err
}

// Change implements store.Tasks.
func (s *Store) Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, store.Moved, error) {
	return requester{Store: s}.Change(ctx, changes)
}

// Change implements store.Requests.
func (s requester) Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, store.Moved, error) {
	if err := store.CheckChanges(changes); err != nil {
		return nil, store.Moved{}, err
	}
	for _, change := range changes {
		if err := checkKey(store.ChangedKey(change)); err != nil {
			return nil, store.Moved{}, err
		}
	}
	var results []runtimev1.ChangeResponse_Result
	moved, err := s.workOn(ctx, write{seen: s.seen, work: &work{refs: refsOfChanges(changes), bytes: requests(changes), do: func(_ *cluster.Table, w *tasks.Work) (err error) {
		results, err = w.Changes(changes)
		return err
	}}})
	if err != nil { // the lane may still be at it
		return nil, store.Moved{}, err
	}
	return results, moved, nil
}

// Settle implements store.Tasks.
func (s *Store) Settle(ctx context.Context, worker string, settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
	if err := store.CheckSettlements(settlements); err != nil {
		return nil, store.Moved{}, err
	}
	return tasks.SettleInParts(settlements, func(part []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
		return s.settle(ctx, worker, part)
	})
}

// settle settles in one transaction.
func (s *Store) settle(ctx context.Context, worker string, settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
	w := work{}
	for _, settlement := range settlements {
		key := store.KeyOf(settlement.GetKey())
		if err := checkKey(settlement.GetKey()); err != nil {
			return nil, store.Moved{}, err
		}
		w.refs = append(w.refs, tasks.Ref{TaskKey: key})
		w.fences = append(w.fences, shardKey{key.Type, settlement.GetFence().GetShard()})
	}
	var verdicts []runtimev1.Verdict
	w.do = func(owners *cluster.Table, w *tasks.Work) (err error) {
		verdicts, err = w.Settle(owners, worker, settlements)
		return err
	}
	moved, err := s.workOn(ctx, write{worker: worker, work: &w})
	if err != nil { // the lane may still be at it
		return nil, store.Moved{}, err
	}
	return verdicts, moved, nil
}

// Strand implements store.Tasks.
func (s *Store) Strand(ctx context.Context, out []*runtimev1.Completion) (moved store.Moved, err error) {
	if err := store.CheckCompletions(out); err != nil {
		return store.Moved{}, err
	}
	for more := true; more; more = len(out) > 0 {
		var now store.Moved
		if out, now, err = s.strand(ctx, out); err != nil {
			return store.Moved{}, err
		}
		moved = moved.And(now)
	}
	return moved, nil
}

// strand marks tasks in one transaction, and returns those that did not fit.
func (s *Store) strand(ctx context.Context, out []*runtimev1.Completion) ([]*runtimev1.Completion, store.Moved, error) {
	var rest []*runtimev1.Completion
	w := work{do: func(_ *cluster.Table, w *tasks.Work) (err error) {
		rest, err = w.Strand(out)
		return err
	}}
	for _, c := range out {
		if err := checkKey(c.GetKey()); err != nil {
			return nil, store.Moved{}, err
		}
		w.refs = append(w.refs, tasks.Ref{TaskKey: store.KeyOf(c.GetKey())})
	}
	moved, err := s.workOn(ctx, write{work: &w})
	if err != nil { // the lane may still be at it
		return nil, store.Moved{}, err
	}
	return rest, moved, nil
}

// The order of an index is that of its answer, so a page costs what it holds, wherever it
// begins.
const (
	dueOfType  = `tasks WHERE type = $1 AND (due, id, kind, name) > ($2, $3, $4, $5) AND due <= $6`
	dueOfActor = `tasks WHERE type = $1 AND id = $3 AND (due, kind, name) > ($2, $4, $5) AND due <= $6`
)

// pageBytes is how many bytes of tasks a page reads: twice what its answer may hold, so
// that where it is cut there is a task behind its end.
const pageBytes = 16 << 20

// pageOf is the statement that reads a page out of a table, in an order.
func pageOf(from, order string, limit int) string {
	return fmt.Sprintf(`SELECT type, id, kind, name, due, checksum, task FROM
		(SELECT type, id, kind, name, due, checksum, task, sum(octet_length(task)) OVER (ORDER BY %[2]s) - octet_length(task) AS before FROM
			(SELECT type, id, kind, name, due, checksum, task FROM francis.%[1]s ORDER BY %[2]s LIMIT %[3]d) t) t
		WHERE before < %[4]d ORDER BY %[2]s`, from, order, limit, pageBytes)
}

// Due implements store.Tasks.
func (s *Store) Due(ctx context.Context, query store.DueQuery) (store.Due, error) {
	if err := store.CheckDue(query); err != nil {
		return store.Due{}, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return store.Due{}, err
	}
	var page *tasks.DuePage
	err = s.ask(ctx, "what is due", func(b *pgx.Batch) {
		page = tasks.NewDuePage(query, now)
		from := page.From()
		statement, id := pageOf(dueOfType, "due, id, kind, name", query.Limit), from.Key.ID
		if query.ID != "" {
			statement, id = pageOf(dueOfActor, "due, kind, name", query.Limit), query.ID
		}
		b.Queue(statement, query.Type, from.Due.UnixMicro(), id, int64(from.Key.Kind), from.Key.Name, query.Until.UnixMicro()).
			Query(func(rows pgx.Rows) error { return s.addDue(page, rows) })
	})
	if err != nil {
		return store.Due{}, err
	}
	return page.Due(), nil
}

// addDue adds rows to a page, until it is full. One that is damaged is left out aloud.
func (s *Store) addDue(page *tasks.DuePage, rows pgx.Rows) error {
	defer rows.Close()
	for more := true; more && rows.Next(); {
		place, task, err := scanTask(rows)
		if err != nil {
			return err
		}
		if task.GetRevision() == 0 {
			s.told.Damaged(s.config.Logger, place.Key)
			task = nil
		}
		more = page.Add(place, task)
	}
	rows.Close()
	return rows.Err()
}

// List implements store.Tasks.
func (s *Store) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	if err := store.CheckList(req); err != nil {
		return nil, err
	}
	var page *tasks.ListPage
	err := s.ask(ctx, "tasks", func(b *pgx.Batch) {
		page = tasks.NewListPage(req)
		statement, args := listOf(req, page.Limit()+1)
		b.Queue(statement, args...).Query(func(rows pgx.Rows) error { return addListed(page, rows) })
	})
	if err != nil {
		return nil, err
	}
	return page.Response(), nil
}

func addListed(page *tasks.ListPage, rows pgx.Rows) error {
	defer rows.Close()
	for more := true; more && rows.Next(); {
		_, task, err := scanTask(rows)
		if err != nil {
			return err
		}
		more = page.Add(task)
	}
	rows.Close()
	return rows.Err()
}

// listOf is the statement that lists tasks, with its arguments. What it asks for is a range
// of the table.
func listOf(req *runtimev1.ListRequest, limit int) (string, []any) {
	terms, args := []string{"type = $1"}, []any{req.GetType()}
	where := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, fmt.Sprintf(term, len(args)))
	}
	if req.GetId() != "" {
		where("id = $%d", req.GetId())
	}
	if req.GetKind() != runtimev1.ListRequest_KIND_UNSPECIFIED {
		where("kind = $%d", int64(req.GetKind()))
	}
	if req.GetName() != "" {
		where("name = $%d", req.GetName())
	}
	if req.GetAfter() != nil {
		after := store.KeyOf(req.GetAfter())
		args = append(args, after.Type, after.ID, int64(after.Kind), after.Name)
		n := len(args)
		terms = append(terms, fmt.Sprintf("(type, id, kind, name) > ($%d, $%d, $%d, $%d)", n-3, n-2, n-1, n))
	}
	return pageOf(tableOf(tasks.Ref{Dead: req.GetDead()})+" WHERE "+strings.Join(terms, " AND "), "type, id, kind, name", limit), args
}
