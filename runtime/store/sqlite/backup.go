package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"time"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/archive"
)

// The rows of a backup, in its order, which is that of the tables: nothing is sorted.
const (
	allTypes  = readTypes + ` ORDER BY name`
	allActors = `SELECT type, id, activation, sequence, version, keyed, expires, checksum, message, data,
		CASE WHEN message = '' THEN coalesce((SELECT since FROM emptied e WHERE e.type = a.type AND e.id = a.id), 0) ELSE 0 END
		FROM actors a ORDER BY type, id`
	allKeys  = `SELECT type, id, digest, request, since, checksum, replied, reply FROM keys ORDER BY type, id, digest`
	allTasks = `SELECT type, kind, id, name, due, checksum, task FROM %s ORDER BY type, kind, id, name`
)

// Backup implements store.Archive.
func (s *Store) Backup(ctx context.Context) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		if err := s.held.standing(); err != nil {
			yield(nil, err)
			return
		}
		Backup(ctx, s.path)(yield)
	}
}

// Backup is the backup of a file, which the runtime of another process may be using: it
// looks at the file through a connection of its own, in one transaction. Until that ends
// the log of the file cannot begin anew, see [log].
func Backup(ctx context.Context, path string) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		err := backUp(ctx, path, func(record *backupv1.Record) error {
			if !yield(record, nil) {
				return errEnough
			}
			return ctx.Err()
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, fmt.Errorf("back up %s: %w", path, err))
		}
	}
}

// backUp hands over all records, until somebody refuses one.
func backUp(ctx context.Context, path string, take func(*backupv1.Record) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := dialExisting(path)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	identity, err := loadCluster(c)
	if err != nil {
		return err
	}
	if identity.ID == "" {
		return store.ErrUnfinished
	}
	if err := take(archive.Header(identity, time.Now())); err != nil {
		return err
	}
	for _, part := range parts {
		if err := c.eachUntil(part.query, func(row *columns) error { return part.hand(row, take) }); err != nil {
			return err
		}
	}
	return nil
}

// dialExisting opens a file that is a store of this release, for reading.
func dialExisting(path string) (*conn, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no store: %w", err)
	}
	c, err := dialReader(path)
	if err != nil {
		return nil, err
	}
	if err := checkCurrent(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// checkCurrent refuses a file that is not ours, or of another release.
func checkCurrent(c *conn) error {
	have, err := readStamp(c)
	switch {
	case err != nil:
		return err
	case have == stamp{}:
		return fmt.Errorf("%w: the file is empty", store.ErrForeign)
	case have.version < int64(len(migrations)):
		return fmt.Errorf("the store was written by an older release (its schema is number %d, that of this release %d); start the runtime of this release once, which upgrades it",
			have.version, len(migrations))
	}
	return nil
}

// parts are the queries of a backup, and how their rows are handed over.
var parts = []part{
	{allTypes, func(row *columns, take func(*backupv1.Record) error) error {
		typ := scanType(row)
		return row.hand(take, archive.Type(typ))
	}},
	{allActors, func(row *columns, take func(*backupv1.Record) error) error {
		return row.hand(take, archive.Actor(scanWholeActor(row)))
	}},
	{allKeys, func(row *columns, take func(*backupv1.Record) error) error {
		return row.hand(take, archive.Key(scanWholeKey(row)))
	}},
	{fmt.Sprintf(allTasks, livingTable), func(row *columns, take func(*backupv1.Record) error) error {
		task := scanWholeTask(row)
		return row.hand(take, archive.Task(task, false))
	}},
	{fmt.Sprintf(allTasks, deadTable), func(row *columns, take func(*backupv1.Record) error) error {
		task := scanWholeTask(row)
		return row.hand(take, archive.Task(task, true))
	}},
}

type part struct {
	query string
	hand  func(row *columns, take func(*backupv1.Record) error) error
}

// hand hands a record over, if its row could be read.
func (c *columns) hand(take func(*backupv1.Record) error, record *backupv1.Record) error {
	if c.err != nil {
		return c.err
	}
	return take(record)
}

// eachUntil reads the rows of a query until somebody has enough.
func (c *conn) eachUntil(query string, visit func(*columns) error) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.each(func(row []driver.Value) error { return visit(&columns{row: row}) })
}

func scanWholeActor(row *columns) *backupv1.Actor {
	a := &backupv1.Actor{Type: row.text(), Id: row.text()}
	identity := &runtimev1.Identity{Activation: row.uint(), Sequence: row.uint()}
	version, times := row.uint(), store.Times{Keyed: int64(row.uint()), Expires: int64(row.uint())}
	sum := row.uint()
	a.State = &runtimev1.State{Identity: identity, Version: version, Message: row.text(), Data: row.bytes()}
	a.Keyed, a.Expires, a.Emptied = times.Keyed, times.Expires, int64(row.uint())
	a.Damaged = sum != store.Checksum(&runtimev1.Actor{Type: a.GetType(), Id: a.GetId()}, a.GetState(), times)
	return a
}

func scanWholeKey(row *columns) *backupv1.Key {
	k := &backupv1.Key{Type: row.text(), Id: row.text()}
	k.Key = &runtimev1.Key{Digest: row.bytes(), Request: row.bytes()}
	k.Since = int64(row.uint())
	sum, replied := row.uint(), row.uint()
	k.Key.Reply = row.bytes()
	actor := &runtimev1.Actor{Type: k.GetType(), Id: k.GetId()}
	k.Damaged = sum != store.KeyChecksum(actor, k.GetKey(), k.GetSince()) || replied != store.ReplyChecksum(k.GetKey())
	return k
}

func scanWholeTask(row *columns) *runtimev1.ScheduledTask {
	key := store.TaskKey{Type: row.text(), Kind: runtimev1.ListRequest_Kind(row.uint()), ID: row.text(), Name: row.text()}
	if row.err != nil {
		return nil
	}
	return taskOf(key, row)
}
