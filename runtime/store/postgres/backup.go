package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/archive"
)

// The rows of a backup, in its order. A table is touched at the beginning, so that who
// empties it waits for the backup: emptying is not kept apart from older transactions.
const (
	touchAll = `SELECT EXISTS (SELECT 1 FROM francis.actors), EXISTS (SELECT 1 FROM francis.keys), EXISTS (SELECT 1 FROM francis.types),
		EXISTS (SELECT 1 FROM francis.tasks), EXISTS (SELECT 1 FROM francis.dead)`
	// lastAsLongAs lets a backup wait for who takes it.
	lastAsLongAs = `SET LOCAL idle_in_transaction_session_timeout = 0`

	allActors = `SELECT type, id, activation, sequence, version, keyed, expires, emptied, checksum, message, data FROM francis.actors ORDER BY type, id`
	allKeys   = `SELECT type, id, digest, request, since, checksum, replied, reply FROM francis.keys ORDER BY type, id, digest`
	allTasks  = `SELECT type, id, kind, name, due, checksum, task FROM francis.%s ORDER BY type, kind, id, name`
)

// errEnough ends a backup that nobody takes any more.
var errEnough = errors.New("enough")

// Backup implements store.Archive. It is one transaction, which sees one state of the
// database for as long as it lasts, and in whose way nobody is.
func (s *Store) Backup(ctx context.Context) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		err := s.backUp(ctx, func(record *backupv1.Record) error {
			if !yield(record, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, fmt.Errorf("back up: %w", err))
		}
	}
}

// backUp hands over all records, until somebody refuses one. It is never repeated: what
// was handed over cannot be taken back.
func (s *Store) backUp(ctx context.Context, take func(*backupv1.Record) error) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // the pool closes a connection that is inside a transaction
	err = s.handAll(ctx, &transaction{conn: conn}, take)
	if err != nil && !errors.Is(err, errEnough) && conn.Conn().IsClosed() && ctx.Err() == nil {
		return lost(err)
	}
	return refine(err)
}

func (s *Store) handAll(ctx context.Context, t *transaction, take func(*backupv1.Record) error) error {
	var now standing
	var types []store.Type
	b := beginRead()
	b.Queue(lastAsLongAs)
	b.Queue(planFreely)
	b.Queue(touchAll)
	b.Queue(s.readCluster).QueryRow(scanCluster(&now))
	b.Queue(readTypes).Query(each(scanType, &types))
	if err := t.send(ctx, b); err != nil {
		return err
	}
	if err := take(archive.Header(now.Cluster, time.Now())); err != nil {
		return err
	}
	for _, typ := range types {
		if err := take(archive.Type(typ)); err != nil {
			return err
		}
	}
	for _, part := range parts {
		if err := handPart(ctx, t, part, take); err != nil {
			return err
		}
	}
	_, err := t.conn.Exec(ctx, "COMMIT")
	return err
}

// part is a query of a backup, and how its rows are read.
type part struct {
	query string
	scan  func(pgx.Row) (*backupv1.Record, error)
}

var parts = []part{
	{allActors, scanWholeActor},
	{allKeys, scanWholeKey},
	{fmt.Sprintf(allTasks, livingTable), func(row pgx.Row) (*backupv1.Record, error) {
		_, task, err := scanTask(row)
		return archive.Task(task, false), err
	}},
	{fmt.Sprintf(allTasks, deadTable), func(row pgx.Row) (*backupv1.Record, error) {
		_, task, err := scanTask(row)
		return archive.Task(task, true), err
	}},
}

// handPart hands rows over as they come from the server.
func handPart(ctx context.Context, t *transaction, part part, take func(*backupv1.Record) error) error {
	rows, err := t.conn.Query(ctx, part.query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		record, err := part.scan(rows)
		if err == nil {
			err = take(record)
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanWholeActor(row pgx.Row) (*backupv1.Record, error) {
	a := &backupv1.Actor{State: &runtimev1.State{}}
	var activation, sequence, version, checksum int64
	err := row.Scan(&a.Type, &a.Id, &activation, &sequence, &version, &a.Keyed, &a.Expires, &a.Emptied, &checksum, &a.State.Message, &a.State.Data)
	if err != nil {
		return nil, err
	}
	a.State.Identity, a.State.Version = &runtimev1.Identity{Activation: uint64(activation), Sequence: uint64(sequence)}, uint64(version)
	a.Damaged = uint64(checksum) != store.Checksum(&runtimev1.Actor{Type: a.GetType(), Id: a.GetId()}, a.GetState(), store.Times{Keyed: a.GetKeyed(), Expires: a.GetExpires()})
	return archive.Actor(a), nil
}

func scanWholeKey(row pgx.Row) (*backupv1.Record, error) {
	k := &backupv1.Key{Key: &runtimev1.Key{}}
	var checksum, replied int64
	if err := row.Scan(&k.Type, &k.Id, &k.Key.Digest, &k.Key.Request, &k.Since, &checksum, &replied, &k.Key.Reply); err != nil {
		return nil, err
	}
	actor := &runtimev1.Actor{Type: k.GetType(), Id: k.GetId()}
	k.Damaged = uint64(checksum) != store.KeyChecksum(actor, k.GetKey(), k.GetSince()) || uint64(replied) != store.ReplyChecksum(k.GetKey())
	return archive.Key(k), nil
}
