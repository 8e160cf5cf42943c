package sqlite

import (
	"database/sql/driver"
	"errors"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// expireAtOnce bounds the states that one transaction takes: they are read, and may be large.
const expireAtOnce = 128

const (
	insertExpiring = `REPLACE INTO expiring (hour, type, id) VALUES (?, ?, ?)`
	deleteExpiring = `DELETE FROM expiring WHERE hour = ? AND type = ? AND id = ?`
	dueExpiring    = `SELECT hour, type, id FROM expiring WHERE hour < ? ORDER BY hour, type, id LIMIT ?`
)

// hourOf is the hour in which a state expires, -1 for never.
func hourOf(expires int64) int64 {
	if expires == 0 {
		return -1
	}
	return expires / time.Hour.Microseconds()
}

// noteExpiring notes in which hour the state of a row expires, if that has changed, inside a
// transaction.
func (w *writer) noteExpiring(r row) error {
	before, after := hourOf(r.expired), hourOf(r.times.Expires)
	if before == after {
		return nil
	}
	actor := r.record.GetActor()
	if before >= 0 {
		if err := w.unexpiring.exec(before, actor.GetType(), actor.GetId()); err != nil {
			return err
		}
	}
	if after < 0 {
		return nil
	}
	return w.expiring.exec(after, actor.GetType(), actor.GetId())
}

// expiringActor is an actor whose state expires, and when.
type expiringActor struct {
	hour  int64
	actor *runtimev1.Actor
}

// sweepStates takes states that have expired, once the hour of that has passed: the rows
// become those of actors without state. It returns how many it looked at.
func (w *writer) sweepStates() (int, error) {
	due, err := w.dueStates()
	if err != nil || len(due) == 0 {
		return 0, err
	}
	find, err := w.conn.prepare(findState)
	if err != nil {
		return 0, err
	}
	defer find.Close()
	w.lasts.forget()
	err = w.transact(w.counted(), func() (int, error) {
		for _, d := range due {
			if err := w.expire(find, d); err != nil {
				return 0, err
			}
		}
		return 3 * len(due), nil
	})
	if err != nil {
		return 0, err
	}
	w.held.count()
	return len(due), nil
}

// dueStates are those whose hour has passed.
func (w *writer) dueStates() (due []expiringActor, err error) {
	query, err := w.conn.prepare(dueExpiring)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	err = query.each(func(row []driver.Value) error {
		columns := columns{row: row}
		due = append(due, expiringActor{int64(columns.uint()), &runtimev1.Actor{Type: columns.text(), Id: columns.text()}})
		return columns.err
	}, hourOf(w.now().UnixMicro()), int64(expireAtOnce))
	return due, err
}

// expire takes the state of an actor, if it has expired, inside a transaction. One that is
// damaged stays, for people to look at.
func (w *writer) expire(find *stmt, d expiringActor) error {
	state, times, err := stateBy(find, d.actor)
	switch {
	case err != nil && !errors.Is(err, store.ErrDamaged):
		return err
	case err != nil || !times.Expired(w.now()):
		return w.unexpiring.exec(d.hour, d.actor.GetType(), d.actor.GetId())
	}
	return w.replaceRow(row{
		record: &runtimev1.Record{Actor: d.actor, Identity: state.GetIdentity()}, version: state.GetVersion(),
		times: store.Times{Keyed: times.Keyed}, expired: times.Expires,
	})
}
