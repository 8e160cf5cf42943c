package sqlite

import (
	"errors"
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	findLast     = `SELECT activation, sequence, version, keyed FROM actors WHERE type = ? AND id = ?`
	replaceActor = `REPLACE INTO actors (type, id, activation, sequence, version, keyed, checksum, message, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	noteEmptied = `REPLACE INTO emptied (type, id, since) VALUES (?, ?, ?)`
)

// row is an actor, the state that it gets, and when it got its last key.
type row struct {
	record *runtimev1.Record
	state  *runtimev1.State
	keyed  int64
}

// commitGroup answers calls that carry records, in one transaction. A damaged page
// fails only those who touch it: then each call has a transaction of its own.
func (w *writer) commitGroup(calls []*writeCall) {
	answers, err := w.commitAll(calls)
	switch {
	case err == nil:
		for i, c := range calls {
			c.end(answers[i], nil)
		}
	case errors.Is(err, store.ErrDamaged) && len(calls) > 1:
		for i := range calls {
			w.commitGroup(calls[i : i+1])
		}
	default:
		refuse(calls, fmt.Errorf("commit: %w", err))
	}
}

// commitAll judges all records and then writes those that apply. Between the two
// nobody else can write. Without any there is no transaction.
func (w *writer) commitAll(calls []*writeCall) ([]written, error) {
	if err := w.held.standing(); err != nil {
		return nil, err
	}
	answers := make([]written, len(calls))
	var rows []row
	for i, c := range calls {
		var err error
		if answers[i].results, rows, err = w.judge(c.question, rows); err != nil {
			w.lasts.forget()
			return nil, w.broken(err)
		}
	}
	if err := w.writeAll(rows); err != nil {
		return nil, err
	}
	for i := range answers {
		answers[i].counter = w.held.table.Cluster.Counter
	}
	return answers, nil
}

// writeAll writes rows in one transaction.
func (w *writer) writeAll(rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	err := w.transact(pagesOf(rows), w.counted(), func() error {
		for _, row := range rows {
			if err := w.replaceRow(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		w.held.count()
	}
	return err
}

// judge answers the records of a call and adds those that apply to rows. What it
// says of an applied one is true once the rows are written.
func (w *writer) judge(question write, rows []row) ([]*runtimev1.CommitResponse_Result, []row, error) {
	answers := make([]runtimev1.CommitResponse_Result, len(question.records))
	results := make([]*runtimev1.CommitResponse_Result, len(question.records))
	for i, record := range question.records {
		verdict, after, err := w.verdict(question.worker, record)
		if err != nil {
			return nil, nil, err
		}
		if verdict == runtimev1.Verdict_VERDICT_APPLIED {
			rows = append(rows, row{record: record, state: store.After(record, after.version), keyed: after.keyed})
		}
		answers[i].Verdict, answers[i].Version = verdict, after.version
		results[i] = &answers[i]
	}
	return results, rows, nil
}

// verdict says what becomes of a record, and what is the last of its actor after it, and
// remembers it.
func (w *writer) verdict(worker string, record *runtimev1.Record) (runtimev1.Verdict, last, error) {
	actor := record.GetActor()
	if !w.held.table.Owns(worker, actor, record.GetFence()) {
		return runtimev1.Verdict_VERDICT_STALE_EPOCH, last{}, nil
	}
	key := actorKey{actor.GetType(), actor.GetId()}
	have, err := w.last(key)
	if err != nil {
		return 0, last{}, err
	}
	switch verdict := store.Judge(have.identity, record); verdict {
	case runtimev1.Verdict_VERDICT_APPLIED:
		next := last{identity: record.GetIdentity(), version: have.version + 1, keyed: have.keyed}
		if len(record.GetKeys()) > 0 {
			next.keyed = w.now().Unix()
		}
		w.lasts.put(key, next)
		return verdict, next, nil
	case runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
		return verdict, have, nil
	default:
		return verdict, last{}, nil
	}
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
		identity: &runtimev1.Identity{Activation: columns.uint(), Sequence: columns.uint()},
		version:  columns.uint(),
		keyed:    int64(columns.uint()),
	}
	return have, columns.err
}

// replaceRow writes the state of an actor.
func (w *writer) replaceRow(r row) error {
	actor, identity := r.record.GetActor(), r.state.GetIdentity()
	err := w.replace.exec(
		actor.GetType(), actor.GetId(), int64(identity.GetActivation()), int64(identity.GetSequence()),
		int64(r.state.GetVersion()), r.keyed, int64(store.Checksum(actor, r.state, r.keyed)),
		r.state.GetMessage(), blob(r.state.GetData()),
	)
	if err == nil && r.state.GetMessage() == "" {
		err = w.emptied.exec(actor.GetType(), actor.GetId(), w.forgettable(r))
	}
	if err == nil {
		err = w.writeKeys(r)
	}
	return err
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
		pages += 1 + len(row.state.GetData())/(pageSize/2)
		for _, key := range row.record.GetKeys() {
			pages += 2 + len(key.GetReply())/(pageSize/2)
		}
	}
	return pages
}
