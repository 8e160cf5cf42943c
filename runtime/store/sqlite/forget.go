package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// forgetAtOnce bounds the identities that one transaction drops, so that commits
// need not wait long for it.
const forgetAtOnce = 1_000

const (
	dueEmptied   = `SELECT type, id FROM emptied WHERE since < ?1 ORDER BY since, type, id LIMIT ?2`
	countEmptied = `SELECT count(*) FROM (` + dueEmptied + `)`
	dropActors   = `DELETE FROM actors WHERE message = '' AND (type, id) IN (` + dueEmptied + `)`
	dropEmptied  = `DELETE FROM emptied WHERE (type, id) IN (` + dueEmptied + `)`
)

// Forget implements store.Members.
func (s *Store) Forget(ctx context.Context, age time.Duration) (bool, error) {
	before := time.Now().Add(-age)
	_, err := shell{s}.Change(ctx, func(t *cluster.Table) (cluster.Change, error) { return t.Forget(before), nil })
	if err != nil {
		return false, err
	}
	answer, err := ask(ctx, s.writer.queue, write{forget: before})
	return answer.more, err
}

// forget drops identities of actors without state.
func (w *writer) forget(before time.Time) (written, error) {
	if err := w.held.standing(); err != nil {
		return written{}, err
	}
	n, err := w.countEmptied(before)
	if err != nil || n == 0 {
		return written{}, err
	}
	err = w.transact(int(n), w.held.table.Cluster.Counter+1, func() error { return w.dropEmptied(before) })
	if err != nil {
		return written{}, fmt.Errorf("forget actors: %w", err)
	}
	w.lasts.forget()
	w.held.count()
	return written{more: n == forgetAtOnce}, nil
}

func (w *writer) countEmptied(before time.Time) (int64, error) {
	s, err := w.conn.prepare(countEmptied)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	row, _, err := s.one(before.Unix(), int64(forgetAtOnce))
	if err != nil {
		return 0, err
	}
	return scan1[int64](row)
}

func (w *writer) dropEmptied(before time.Time) error {
	for _, statement := range []string{dropActors, dropEmptied} {
		if err := w.drop(statement, before); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) drop(statement string, before time.Time) error {
	s, err := w.conn.prepare(statement)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.exec(before.Unix(), int64(forgetAtOnce))
}
