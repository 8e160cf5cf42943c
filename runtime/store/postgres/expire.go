package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// expireAtOnce bounds the states that one transaction takes: they are read, and may be large.
const expireAtOnce = 128

// dueStates locks actors whose state has expired. It waits for nobody: who commits one just
// now gives it another time.
const dueStates = `SELECT type, id, activation, sequence, version, keyed, expires, checksum, message, data
	FROM francis.actors WHERE expires > 0 AND expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED`

// passDamaged keeps sweeps from rows that are damaged.
const passDamaged = `UPDATE francis.actors SET expires = 0 WHERE (type, id) IN (SELECT r.type, r.id FROM unnest($1::text[], $2::text[]) AS r (type, id))`

// sweepStates takes a bounded number of states that have expired: the rows become those of
// actors without state. It returns how many it looked at.
func (s *Store) sweepStates(ctx context.Context, now time.Time) (n int, err error) {
	err = s.look(ctx, func(ctx context.Context, t *transaction) error {
		var at standing
		var due []*row
		b := begin()
		b.Queue(s.readCluster).QueryRow(scanCluster(&at))
		b.Queue(dueStates, now.UnixMicro(), expireAtOnce).Query(each(scanExpired, &due))
		err := t.send(ctx, b)
		n = len(due)
		switch {
		case err != nil || n == 0:
			return err
		case at.moved():
			return errMoved
		}
		b = &pgx.Batch{}
		queueExpired(b, due, now)
		_, err = t.commit(ctx, b)
		return err
	})
	return n, err
}

// queueExpired writes what becomes of rows whose state has expired. One that is damaged
// stays, for people to look at.
func queueExpired(b *pgx.Batch, due []*row, now time.Time) {
	var sound columns
	var types, ids []string
	for _, r := range due {
		if r.state == nil {
			types, ids = append(types, r.actor.GetType()), append(ids, r.actor.GetId())
		} else {
			sound.addActor(r, emptied(r, now))
		}
	}
	if sound.n() > 0 {
		b.Queue(writeActors, sound.actor()...)
	}
	if len(ids) > 0 {
		b.Queue(passDamaged, types, ids)
	}
}

// scanExpired reads the row of an actor, and makes it one without state; without that too,
// where it is damaged.
func scanExpired(r pgx.Row) (*row, error) {
	actor, state := &runtimev1.Actor{}, &runtimev1.State{}
	var activation, sequence, version, checksum int64
	var times store.Times
	if err := r.Scan(&actor.Type, &actor.Id, &activation, &sequence, &version, &times.Keyed, &times.Expires, &checksum, &state.Message, &state.Data); err != nil {
		return nil, err
	}
	state.Identity, state.Version = &runtimev1.Identity{Activation: uint64(activation), Sequence: uint64(sequence)}, uint64(version)
	if store.Checksum(actor, state, times) != uint64(checksum) {
		return &row{actor: actor}, nil
	}
	return &row{actor: actor, state: store.Emptied(state), times: store.Times{Keyed: times.Keyed}, stored: true}, nil
}
