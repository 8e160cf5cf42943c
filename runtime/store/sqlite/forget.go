package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
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
	before := s.writer.now().Add(-age)
	_, err := shell{s}.Change(ctx, func(t *cluster.Table) (cluster.Change, error) { return t.Forget(before), nil })
	if err != nil {
		return false, err
	}
	answer, err := queue.Ask(ctx, s.writer.queue, write{forget: before})
	return answer.more, err
}

// forget takes states that have expired, and drops identities of actors without state, and
// keys that have expired.
func (w *writer) forget(before time.Time) (written, error) {
	if err := w.held.standing(); err != nil {
		return written{}, err
	}
	sweeps := []sweep{
		{count: countEmptied, drops: []string{dropActors, dropEmptied}, before: before.Unix()},
		{count: countKeys, drops: []string{dropKeys}, before: expired(w.now()) / secondsOfHour},
	}
	n, err := w.sweepStates()
	if err != nil {
		return written{}, fmt.Errorf("forget: %w", err)
	}
	more := n == expireAtOnce
	for _, s := range sweeps {
		n, err := w.sweep(s)
		if err != nil {
			return written{}, fmt.Errorf("forget: %w", err)
		}
		more = more || n == forgetAtOnce
	}
	return written{more: more}, nil
}

// sweep is a bounded piece of forgetting: what is due before some time.
type sweep struct {
	count  string
	drops  []string
	before int64
}

// sweep returns how many rows it dropped.
func (w *writer) sweep(s sweep) (int64, error) {
	n, err := w.due(s)
	if err != nil || n == 0 {
		return 0, err
	}
	err = w.transact(w.counted(), func() (int, error) {
		for _, drop := range s.drops {
			if err := w.drop(drop, s.before); err != nil {
				return 0, err
			}
		}
		return int(n), nil
	})
	if err != nil {
		return 0, err
	}
	w.lasts.forget()
	w.held.count()
	return n, nil
}

func (w *writer) due(s sweep) (int64, error) {
	count, err := w.conn.prepare(s.count)
	if err != nil {
		return 0, err
	}
	defer count.Close()
	row, _, err := count.one(s.before, int64(forgetAtOnce))
	if err != nil {
		return 0, err
	}
	return scan1[int64](row)
}

func (w *writer) drop(statement string, before int64) error {
	s, err := w.conn.prepare(statement)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.exec(before, int64(forgetAtOnce))
}
