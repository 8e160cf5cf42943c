package sqlite

import (
	"errors"
	"fmt"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

const (
	findLast     = `SELECT activation, sequence, version, keyed, expires FROM actors WHERE type = ? AND id = ?`
	replaceActor = `REPLACE INTO actors (type, id, activation, sequence, version, keyed, expires, checksum, message, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	// overwriteActor does the same where the row is larger, see replacing.
	overwriteActor = `INSERT INTO actors (type, id, activation, sequence, version, keyed, expires, checksum, message, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (type, id) DO UPDATE SET activation = excluded.activation, sequence = excluded.sequence, version = excluded.version,
		keyed = excluded.keyed, expires = excluded.expires, checksum = excluded.checksum, message = excluded.message, data = excluded.data`
	noteEmptied = `REPLACE INTO emptied (type, id, since) VALUES (?, ?, ?)`
)

// row is an actor that gets the state of a record, at a version, and its times.
type row struct {
	record  *runtimev1.Record
	version uint64
	times   store.Times
	// expired is when its last state would have expired, as in times.
	expired int64
}

// group is what one transaction commits.
type group struct {
	calls   []*writeCall
	answers []written
	// rows are those that were judged and not written yet.
	rows []row
	size size
	// draft is what the group does to tasks; nil for nothing.
	draft *tasks.Draft
	// alone keeps others from joining.
	alone bool
}

// commitGroup answers calls that carry records, in one transaction. A damaged page
// fails only those who touch it: then each call has a transaction of its own.
func (w *writer) commitGroup(g *group) {
	switch err := w.commitAll(g); {
	case err == nil:
		for i, c := range g.calls {
			c.End(g.answers[i], nil)
		}
	case errors.Is(err, store.ErrDamaged) && len(g.calls) > 1:
		for i := range g.calls {
			w.commitGroup(&group{calls: g.calls[i : i+1], alone: true})
		}
	default:
		queue.Refuse(g.calls, fmt.Errorf("commit: %w", err))
	}
}

// commitAll judges all records and writes those that apply, in one transaction: between the
// two nobody else can write, and what is read to judge them costs no transaction of its own.
func (w *writer) commitAll(g *group) error {
	if err := w.held.standing(); err != nil {
		return err
	}
	g.rows = w.rows[:0]
	defer w.keep(g)
	err := w.transact(w.counted(), func() (int, error) { return w.writeAll(g) })
	switch {
	case err == nil:
		w.held.count()
	case !errors.Is(err, errNothing):
		return err
	}
	for i := range g.answers {
		g.answers[i].point = w.held.table.Cluster.Point()
	}
	return nil
}

// keep keeps the memory for rows, and forgets what they hold.
func (w *writer) keep(g *group) {
	clear(g.rows)
	w.rows = g.rows[:0]
}

// writeAll judges and writes what a group brings, inside its transaction. Who has come
// meanwhile joins: the sync at the end costs the same for one more. It returns about how
// many pages were written.
func (w *writer) writeAll(g *group) (pages int, err error) {
	for more := true; more; more = w.join(g) {
		if err := w.judgeAll(g); err != nil {
			return pages, err
		}
		for _, row := range g.rows {
			if err := w.replaceRow(row); err != nil {
				return pages, err
			}
		}
		pages += pagesOf(g.rows)
		clear(g.rows)
		g.rows = g.rows[:0]
	}
	if pages == 0 && g.draft.Empty() {
		return 0, errNothing
	}
	more, err := w.writeTasks(g)
	return pages + more, err
}

// judgeAll answers the calls of a group that have no answer yet.
func (w *writer) judgeAll(g *group) error {
	for _, c := range g.calls[len(g.answers):] {
		work, err := w.workOf(g, c.Question)
		if err != nil {
			return err
		}
		results, rows, err := w.judge(c.Question, work, g.rows)
		if err != nil {
			return err
		}
		g.answers, g.rows = append(g.answers, written{results: results, work: work}), rows
	}
	return nil
}

// join lets the calls into a group that wait by now and only carry records, and reports
// whether there were any.
func (w *writer) join(g *group) bool {
	if g.alone {
		return false
	}
	joined := w.queue.TakeWhile(func(c *writeCall) bool {
		return c.Gone() == nil && c.Question.commits() && g.size.add(c)
	})
	g.calls = append(g.calls, joined...)
	return len(joined) > 0
}

// judge answers the records of a call and adds those that apply to rows. What it
// says of an applied one is true once the rows are written.
func (w *writer) judge(question write, work *tasks.Work, rows []row) ([]*runtimev1.CommitResponse_Result, []row, error) {
	answers := make([]runtimev1.CommitResponse_Result, len(question.records))
	results := make([]*runtimev1.CommitResponse_Result, len(question.records))
	for i, record := range question.records {
		verdict, after, expired, err := w.verdict(question.worker, record, work)
		if err != nil {
			return nil, nil, err
		}
		if verdict == runtimev1.Verdict_VERDICT_APPLIED {
			rows = append(rows, row{record: record, version: after.version, times: after.times, expired: expired})
		}
		answers[i].Verdict, answers[i].Version = verdict, after.version
		results[i] = &answers[i]
	}
	return results, rows, nil
}

// verdict says what becomes of a record, and what is the last of its actor after it, and
// remembers it. Of a record that applies it also says when the state before it would have
// expired.
func (w *writer) verdict(worker string, record *runtimev1.Record, work *tasks.Work) (runtimev1.Verdict, last, int64, error) {
	actor := record.GetActor()
	if !w.held.table.Owns(worker, actor, record.GetFence()) {
		return runtimev1.Verdict_VERDICT_STALE_EPOCH, last{}, 0, nil
	}
	key := actorKey{actor.GetType(), actor.GetId()}
	have, err := w.last(key)
	if err != nil {
		return 0, last{}, 0, err
	}
	verdict := store.Judge(have.identity(), record)
	if verdict == runtimev1.Verdict_VERDICT_APPLIED {
		if verdict, err = work.Judge(record); err != nil {
			return 0, last{}, 0, err
		}
	}
	switch verdict {
	case runtimev1.Verdict_VERDICT_APPLIED:
		next := last{
			activation: record.GetIdentity().GetActivation(), sequence: record.GetIdentity().GetSequence(), version: have.version + 1,
			times: w.timesAfter(record, have.times),
		}
		w.lasts.put(key, next)
		return verdict, next, have.times.Expires, nil
	case runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
		return verdict, have, 0, nil
	default:
		return verdict, last{}, 0, nil
	}
}

// timesAfter asks for the time only where a record depends on it.
func (w *writer) timesAfter(record *runtimev1.Record, have store.Times) store.Times {
	var now time.Time
	if len(record.GetKeys()) > 0 || record.GetStateTtl() != nil {
		now = w.now()
	}
	return store.TimesAfter(record, have, now)
}

// last returns the last record of an actor.
func (w *writer) last(key actorKey) (last, error) {
	if found, ok := w.lasts.get(key); ok {
		return found, nil
	}
	found, ok, err := w.find.one(key.typ, key.id)
	if err != nil || !ok {
		return last{}, err
	}
	columns := columns{row: found}
	have := last{
		activation: columns.uint(), sequence: columns.uint(), version: columns.uint(),
		times: store.Times{Keyed: int64(columns.uint()), Expires: int64(columns.uint())},
	}
	return have, columns.err
}

// replaceRow writes the state of an actor.
func (w *writer) replaceRow(r row) error {
	actor, state := r.record.GetActor(), store.After(r.record, r.version)
	err := w.replacing(state).exec(
		actor.GetType(), actor.GetId(), int64(state.GetIdentity().GetActivation()), int64(state.GetIdentity().GetSequence()),
		int64(state.GetVersion()), r.times.Keyed, r.times.Expires, int64(store.Checksum(actor, state, r.times)),
		state.GetMessage(), blob(state.GetData()),
	)
	if err == nil && state.GetMessage() == "" {
		err = w.emptied.exec(actor.GetType(), actor.GetId(), w.forgettable(r))
	}
	if err == nil {
		err = w.noteExpiring(r)
	}
	if err == nil && r.record.GetDeletes() {
		err = w.dropKeys.exec(actor.GetType(), actor.GetId())
	}
	if err == nil {
		err = w.writeKeys(r)
	}
	return err
}

// smallState is the size of the data of a state, in bytes, from which its row is updated
// instead of replaced.
const smallState = 64

// replacing is the statement that writes a state. REPLACE deletes the old row and inserts
// the new one, and each of the two may move rows beside it to other pages: groups of 64
// states of 600 bytes wrote 1.8 pages to the log for each, and an update, which puts one row
// in the place of the other, 0.8. Small rows hardly move, and to replace them takes a tenth
// less time.
func (w *writer) replacing(state *runtimev1.State) *stmt {
	if len(state.GetData()) < smallState {
		return w.replace
	}
	return w.overwrite
}

// blob is data that is never null.
func blob(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// pagesOf estimates from above how many pages rows take in the log: a leaf each, and
// what does not fit beside it.
func pagesOf(rows []row) int {
	pages := 0
	for _, row := range rows {
		pages += 1 + len(row.record.GetData())/(pageSize/2)
		for _, key := range row.record.GetKeys() {
			pages += 2 + len(key.GetReply())/(pageSize/2)
		}
	}
	return pages
}
