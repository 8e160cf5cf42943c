package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"google.golang.org/protobuf/proto"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/archive"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

const (
	insertActor   = `INSERT INTO actors (type, id, activation, sequence, version, keyed, expires, checksum, message, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertEmptied = `INSERT INTO emptied (type, id, since) VALUES (?, ?, ?)`
	insertKey     = `INSERT INTO keys (type, id, digest, request, since, hour, checksum, replied, reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertTask    = `INSERT INTO %s (type, kind, id, name, due, checksum, task) VALUES (?, ?, ?, ?, ?, ?, ?)`

	holdsAnything = `SELECT EXISTS (SELECT 1 FROM types) OR EXISTS (SELECT 1 FROM actors) OR EXISTS (SELECT 1 FROM keys)
		OR EXISTS (SELECT 1 FROM tasks) OR EXISTS (SELECT 1 FROM dead)`
	dropAll = `DELETE FROM workers; DELETE FROM types; DELETE FROM shards; DELETE FROM actors; DELETE FROM emptied; DELETE FROM expiring;
		DELETE FROM keys; DELETE FROM tasks; DELETE FROM dead`
)

// OpenToRestore opens a file as Open does, but also one into which a backup was not
// restored to its end, and one that has been another cluster's, of which only a witness is
// left. Nothing but Restore and Close may be called, until Restore has succeeded.
func OpenToRestore(config Config) (*Store, error) {
	config.restoring = true
	return Open(config)
}

// Restore implements store.Archive. The lock of the file keeps runtimes away, so there are
// no workers that could do anything, whatever the file says of them.
func (s *Store) Restore(ctx context.Context, restoration store.Restoration) (store.Cluster, error) {
	return archive.Restore(ctx, restoration.Backup, &restorer{store: s, replace: restoration.Replace})
}

// restorer is an archive.Driver. Each of its steps runs on the writer's goroutine.
type restorer struct {
	store   *Store
	replace bool
	cluster store.Cluster
}

// step runs a step.
func (r *restorer) step(ctx context.Context, do func(*writer) error) error {
	_, err := queue.Ask(ctx, r.store.writer.queue, write{step: do})
	return err
}

// Begin implements archive.Driver. The witness goes when the file itself knows of a later
// generation.
func (r *restorer) Begin(ctx context.Context, header *backupv1.Header) error {
	err := r.step(ctx, func(w *writer) error { return r.begin(w, header) })
	if err != nil {
		return err
	}
	return r.store.dropWitness()
}

func (r *restorer) begin(w *writer, header *backupv1.Header) error {
	have := w.held.table.Cluster
	if have.ID != "" && !r.replace {
		full, err := w.conn.number(holdsAnything)
		if err != nil {
			return err
		}
		if full != 0 {
			return store.ErrNotEmpty
		}
	}
	r.cluster = cluster.Restored(header, have, r.store.witnessed).Branched(newBranch())
	w.branched = false
	err := w.transact(cluster.Unfinished(r.cluster), func() (int, error) { return logPages, w.conn.exec(dropAll) })
	if err != nil {
		return err
	}
	w.forgetRecent()
	w.held.show(cluster.NewTable(cluster.Unfinished(r.cluster)))
	return nil
}

// Add implements archive.Driver.
func (r *restorer) Add(ctx context.Context, rows []*backupv1.Record) error {
	return r.step(ctx, func(w *writer) error {
		return w.transact(cluster.Unfinished(r.cluster), func() (int, error) { return insertAll(w.conn, rows) })
	})
}

// insertAll writes rows, inside a transaction, and returns about how many pages that takes.
func insertAll(c *conn, rows []*backupv1.Record) (pages int, err error) {
	i := &inserter{conn: c, statements: map[string]*stmt{}}
	defer i.close()
	for _, row := range rows {
		if err := i.insert(row); err != nil {
			return 0, err
		}
		pages += 2*proto.Size(row)/pageSize + 1
	}
	return pages, nil
}

// inserter prepares each statement once.
type inserter struct {
	conn       *conn
	statements map[string]*stmt
}

func (i *inserter) close() {
	for _, s := range i.statements {
		_ = s.Close() // it only reports again how the last run ended
	}
}

func (i *inserter) exec(statement string, args ...driver.Value) error {
	s := i.statements[statement]
	if s == nil {
		var err error
		if s, err = i.conn.prepare(statement); err != nil {
			return err
		}
		i.statements[statement] = s
	}
	return s.exec(args...)
}

func (i *inserter) insert(record *backupv1.Record) error {
	switch r := record.GetRecord().(type) {
	case *backupv1.Record_Actor:
		return i.actor(r.Actor)
	case *backupv1.Record_Key:
		return i.key(r.Key)
	case *backupv1.Record_Task:
		return i.task(r.Task)
	}
	return fmt.Errorf("%w: a record of the backup is no row", store.ErrInvalid)
}

func (i *inserter) actor(a *backupv1.Actor) error {
	state, identity := a.GetState(), a.GetState().GetIdentity()
	times := store.Times{Keyed: a.GetKeyed(), Expires: a.GetExpires()}
	sum := archive.Sum(store.Checksum(&runtimev1.Actor{Type: a.GetType(), Id: a.GetId()}, state, times), a.GetDamaged())
	err := i.exec(insertActor, a.GetType(), a.GetId(), int64(identity.GetActivation()), int64(identity.GetSequence()),
		int64(state.GetVersion()), times.Keyed, times.Expires, int64(sum), state.GetMessage(), blob(state.GetData()))
	if err == nil && times.Expires != 0 {
		err = i.exec(insertExpiring, hourOf(times.Expires), a.GetType(), a.GetId())
	}
	if err != nil || a.GetEmptied() == 0 {
		return err
	}
	return i.exec(insertEmptied, a.GetType(), a.GetId(), a.GetEmptied())
}

func (i *inserter) key(k *backupv1.Key) error {
	key, since := k.GetKey(), k.GetSince()
	sum := archive.Sum(store.KeyChecksum(&runtimev1.Actor{Type: k.GetType(), Id: k.GetId()}, key, since), k.GetDamaged())
	replied := archive.Sum(store.ReplyChecksum(key), k.GetDamaged())
	return i.exec(insertKey, k.GetType(), k.GetId(), key.GetDigest(), key.GetRequest(), since, since/secondsOfHour,
		int64(sum), int64(replied), blob(key.GetReply()))
}

func (i *inserter) task(t *backupv1.Task) error {
	encoded, err := proto.Marshal(t.GetTask())
	if err != nil {
		return err
	}
	key, due, table := store.KeyOf(t.GetTask().GetTask().GetKey()), t.GetTask().GetDue().AsTime().UnixMicro(), livingTable
	if t.GetDead() {
		table = deadTable
	}
	sum := archive.Sum(tasks.Sum(key, due, encoded), t.GetDamaged())
	return i.exec(fmt.Sprintf(insertTask, table), key.Type, int64(key.Kind), key.ID, key.Name, due, int64(sum), encoded)
}

// End implements archive.Driver.
func (r *restorer) End(ctx context.Context, types []store.Type) (store.Cluster, error) {
	table := cluster.NewTable(r.cluster)
	change := cluster.Found(r.cluster, types)
	table.Apply(change)
	err := r.step(ctx, func(w *writer) error {
		if err := w.writeChanges([]cluster.Change{change}, table); err != nil {
			return err
		}
		w.held.show(table)
		return nil
	})
	return table.Cluster, err
}

// dropWitness removes what the witness says of the store before it was emptied.
func (s *Store) dropWitness() error {
	s.witnessing.Lock()
	defer s.witnessing.Unlock()
	if err := os.Remove(witnessOf(s.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

var _ archive.Driver = (*restorer)(nil)
