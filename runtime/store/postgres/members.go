package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// one says that a statement had to concern one row: otherwise another transaction has
// changed it since it was read.
func one(tag pgconn.CommandTag) error {
	if tag.RowsAffected() != 1 {
		return errConflict
	}
	return nil
}

// shell is the store, as its keeper sees it.
type shell struct{ *Store }

// Change implements cluster.Driver.
func (s shell) Change(ctx context.Context, transition func(*cluster.Table) (cluster.Change, error)) (counter store.Counter, err error) {
	if err := s.gate.enter(ctx); err != nil {
		return 0, err
	}
	defer s.gate.leave()
	err = s.transact(ctx, func(ctx context.Context, t *transaction) error {
		counter, err = s.change(ctx, t, transition)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("change the cluster table: %w", err)
	}
	return counter, nil
}

// change makes a transition in a transaction. What is written is looked at before the
// commit is sent: it may depend on what others do to a row meanwhile.
func (s shell) change(ctx context.Context, t *transaction, transition func(*cluster.Table) (cluster.Change, error)) (store.Counter, error) {
	b := begin()
	b.Queue(lockPlacement)
	table, now, err := s.readTable(ctx, t, b)
	if err != nil {
		return 0, err
	}
	change, err := transition(table)
	switch {
	case err != nil || !change.Durable():
		return now.Counter, err
	case now.moved():
		return 0, errMoved
	}
	write := &pgx.Batch{}
	write.Queue(countPlacement)
	if err := writeChange(write, table, now, change); err != nil {
		return 0, err
	}
	if err := t.send(ctx, write); err != nil {
		return 0, err
	}
	after, err := t.commit(ctx, &pgx.Batch{})
	return after.Counter, err
}

// Read implements cluster.Driver.
func (s shell) Read(read func(*cluster.Table)) error {
	return s.look(context.Background(), func(ctx context.Context, t *transaction) error {
		table, _, err := s.readTable(ctx, t, beginRead())
		if err == nil {
			read(table)
		}
		return err
	})
}

// look reads something in a transaction of its own.
func (s *Store) look(ctx context.Context, read func(context.Context, *transaction) error) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.transact(ctx, read)
}

// ask looks at one state of the database, with the queries that are put into the batch.
func (s *Store) ask(ctx context.Context, what string, queries func(*pgx.Batch)) error {
	err := s.look(ctx, func(ctx context.Context, t *transaction) error {
		b := beginRead()
		queries(b)
		b.Queue("COMMIT")
		return t.send(ctx, b)
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// Cluster implements store.Store.
func (s *Store) Cluster(ctx context.Context) (store.Cluster, error) {
	var now standing
	var branches []branch
	err := s.ask(ctx, "the identity of the cluster", func(b *pgx.Batch) {
		b.Queue(s.readCluster).QueryRow(scanCluster(&now))
		b.Queue(readBranches).Query(each(scanBranch, &branches))
	})
	now.Branches = branchesOf(branches)
	return now.Cluster, err
}

// Workers implements store.Members.
func (s *Store) Workers(ctx context.Context) ([]store.Member, error) {
	var found []cluster.Member
	err := s.ask(ctx, "the workers", func(b *pgx.Batch) { b.Queue(readWorkers).Query(each(scanMember, &found)) })
	return public(found), err
}

func public(found []cluster.Member) []store.Member {
	members := make([]store.Member, len(found))
	for i, member := range found {
		members[i] = member.Member
	}
	return members
}

// Types implements store.Placement.
func (s *Store) Types(ctx context.Context) (types []store.Type, err error) {
	err = s.ask(ctx, "the types", func(b *pgx.Batch) { b.Queue(readTypes).Query(each(scanType, &types)) })
	return types, err
}

// Shards implements store.Placement.
func (s *Store) Shards(ctx context.Context) (store.Placed, error) {
	var now standing
	var shards []*runtimev1.Shard
	err := s.ask(ctx, "the shards", func(b *pgx.Batch) {
		b.Queue(s.readCluster).QueryRow(scanCluster(&now))
		b.Queue(readShards).Query(each(scanShard, &shards))
	})
	return store.Placed{Shards: shards, Counter: now.Counter}, err
}

// Placements implements store.Shared.
func (s *Store) Placements(ctx context.Context) (store.Placements, error) {
	var changes, branch int64
	err := s.ask(ctx, "the number of placements", func(b *pgx.Batch) {
		b.Queue(readPlacement).QueryRow(func(row pgx.Row) error { return row.Scan(&changes, &branch) })
	})
	return store.Placements{Branch: uint64(branch), Changes: uint64(changes)}, err
}

// Beat implements store.Members. It is durable like everything else: a renewal that was
// accepted and then lost would let a decree pass that was judged without it.
func (s *Store) Beat(ctx context.Context, worker string) error {
	alive := false
	err := s.look(ctx, func(ctx context.Context, t *transaction) error {
		tag, err := t.conn.Exec(ctx, beatWorker, worker)
		alive = tag.RowsAffected() == 1
		return err
	})
	if err == nil && !alive {
		err = store.ErrDead
	}
	if err != nil {
		return fmt.Errorf("renew worker %q: %w", worker, err)
	}
	return nil
}

// forgetAtOnce bounds the rows that one transaction drops, so that others need not wait
// long for it.
const forgetAtOnce = 1_000

const (
	dropEmptied = `DELETE FROM francis.actors WHERE emptied > 0 AND emptied < $1 AND (type, id) IN
		(SELECT type, id FROM francis.actors WHERE emptied > 0 AND emptied < $1 ORDER BY emptied LIMIT $2)`
	dropKeys = `DELETE FROM francis.keys WHERE since < $1 AND (type, id, digest) IN
		(SELECT type, id, digest FROM francis.keys WHERE since < $1 ORDER BY since LIMIT $2)`
)

// Forget implements store.Members.
func (s *Store) Forget(ctx context.Context, age time.Duration) (more bool, err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return false, err
	}
	_, err = shell{s}.Change(ctx, func(t *cluster.Table) (cluster.Change, error) { return t.Forget(now.Add(-age)), nil })
	if err != nil {
		return false, err
	}
	n, err := s.sweepStates(ctx, now)
	if err != nil {
		return false, fmt.Errorf("forget: %w", err)
	}
	more = n == expireAtOnce
	for _, sweep := range []struct {
		drop   string
		before time.Time
	}{{dropEmptied, now.Add(-age)}, {dropKeys, now.Add(-keys.Life)}} {
		n, err := s.sweep(ctx, sweep.drop, sweep.before)
		if err != nil {
			return false, fmt.Errorf("forget: %w", err)
		}
		more = more || n == forgetAtOnce
	}
	return more, nil
}

// sweep drops a bounded number of rows, and returns how many.
func (s *Store) sweep(ctx context.Context, drop string, before time.Time) (n int64, err error) {
	err = s.look(ctx, func(ctx context.Context, t *transaction) error {
		var now standing
		b := begin()
		b.Queue(planFreely)
		b.Queue(s.readCluster).QueryRow(scanCluster(&now))
		b.Queue(drop, before.Unix(), forgetAtOnce).Exec(func(tag pgconn.CommandTag) error {
			n = tag.RowsAffected()
			return nil
		})
		if err := t.send(ctx, b); err != nil || n == 0 {
			return err
		}
		if now.moved() {
			return errMoved
		}
		_, err := t.commit(ctx, &pgx.Batch{})
		return err
	})
	return n, err
}

// readClock is the time in Unix microseconds.
const readClock = `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// Now implements store.Store.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.ask(ctx, "the clock", func(b *pgx.Batch) { b.Queue(readClock).QueryRow(s.scanClock(&now)) })
	return now, err
}

// scanClock reads the clock; a test has one of its own.
func (s *Store) scanClock(now *time.Time) func(pgx.Row) error {
	return func(row pgx.Row) error {
		var micros int64
		err := row.Scan(&micros)
		*now = time.UnixMicro(micros)
		if s.config.Now != nil {
			*now = s.config.Now()
		}
		return err
	}
}
