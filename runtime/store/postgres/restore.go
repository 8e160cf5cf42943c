package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/archive"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

const (
	holdsAnything = `SELECT EXISTS (SELECT 1 FROM francis.types) OR EXISTS (SELECT 1 FROM francis.actors) OR EXISTS (SELECT 1 FROM francis.keys)
		OR EXISTS (SELECT 1 FROM francis.tasks) OR EXISTS (SELECT 1 FROM francis.dead)`
	dropAll    = `TRUNCATE francis.workers, francis.types, francis.shards, francis.actors, francis.keys, francis.tasks, francis.dead`
	setCluster = `UPDATE francis.cluster SET id = $1, generation = $2, counter = $3, branch = 0, server = '', checksum = $4`
)

// Restore implements store.Archive. Workers that live are those whose beat moves within
// their lease: that long it looks at them, if there are any.
func (s *Store) Restore(ctx context.Context, restoration store.Restoration) (store.Cluster, error) {
	return archive.Restore(ctx, restoration.Backup, &restorer{store: s, replace: restoration.Replace})
}

// restorer is an archive.Driver.
type restorer struct {
	store   *Store
	replace bool
	cluster store.Cluster
}

// queueCluster adds the statements to a batch that write the cluster, without a branch: one
// begins with the first change after the restoration.
func queueCluster(b *pgx.Batch, now store.Cluster) {
	row := standing{Cluster: now}
	b.Queue(countPlacement)
	b.Queue(dropBranches)
	b.Queue(setCluster, now.ID, int64(now.Generation), int64(now.Counter), int64(row.sum()))
}

// transact runs a body that fills a batch, and commits it.
func (r *restorer) transact(ctx context.Context, body func(context.Context, *transaction, *pgx.Batch) error) error {
	return r.store.look(ctx, func(ctx context.Context, t *transaction) error {
		b := &pgx.Batch{}
		if err := body(ctx, t, b); err != nil {
			return err
		}
		b.Queue("COMMIT")
		t.sent = true
		return t.send(ctx, b)
	})
}

// Begin implements archive.Driver.
func (r *restorer) Begin(ctx context.Context, header *backupv1.Header) error {
	seen, err := r.watch(ctx)
	if err != nil {
		return err
	}
	return r.transact(ctx, func(ctx context.Context, t *transaction, b *pgx.Batch) error {
		var have standing
		var now []cluster.Member
		var full bool
		look := begin()
		look.Queue(lockPlacement)
		look.Queue(readWorkers).Query(each(scanMember, &now))
		look.Queue(holdsAnything).QueryRow(func(row pgx.Row) error { return row.Scan(&full) })
		look.Queue(r.store.readCluster).QueryRow(scanAnyCluster(&have))
		if err := t.send(ctx, look); err != nil {
			return err
		}
		switch live := moved(seen, public(now)); {
		case len(live) > 0:
			return errLive(live)
		case full && have.ID != "" && !r.replace:
			return store.ErrNotEmpty
		}
		r.cluster = cluster.Restored(header, have.Cluster)
		b.Queue(dropAll)
		queueCluster(b, cluster.Unfinished(r.cluster))
		return nil
	})
}

// watch looks at the workers until it is certain which of them live, and returns them as
// they were at last.
func (r *restorer) watch(ctx context.Context) ([]store.Member, error) {
	before, err := r.store.Workers(ctx)
	if err != nil || longest(before) == 0 {
		return before, err
	}
	if !deadline.Sleep(ctx, longest(before)) {
		return nil, ctx.Err()
	}
	now, err := r.store.Workers(ctx)
	if err != nil {
		return nil, err
	}
	if live := moved(before, now); len(live) > 0 {
		return nil, errLive(live)
	}
	return now, nil
}

// longest is the longest lease of a worker that may live; 0 if there is none.
func longest(members []store.Member) (longest time.Duration) {
	for _, m := range members {
		if !m.Alive {
			continue
		}
		length := m.Worker.GetLease().AsDuration()
		if length <= 0 {
			length = lease.Default
		}
		longest = max(longest, length)
	}
	return longest
}

// moved are the workers that have come or renewed since they were seen.
func moved(seen, now []store.Member) (ids []string) {
	beats := map[string]uint64{}
	for _, m := range seen {
		beats[m.Worker.GetId()] = m.Beat
	}
	for _, m := range now {
		if beat, known := beats[m.Worker.GetId()]; m.Alive && (!known || beat != m.Beat) {
			ids = append(ids, m.Worker.GetId())
		}
	}
	return ids
}

func errLive(ids []string) error {
	return fmt.Errorf("%w (%s)", store.ErrLive, strings.Join(ids, ", "))
}

// Add implements archive.Driver. What another restoration has done meanwhile is in the way.
func (r *restorer) Add(ctx context.Context, rows []*backupv1.Record) error {
	return r.transact(ctx, func(ctx context.Context, t *transaction, b *pgx.Batch) error {
		if err := r.stay(ctx, t); err != nil {
			return err
		}
		return queueRows(b, rows)
	})
}

// stay begins a transaction that nobody else's restoration comes between.
func (r *restorer) stay(ctx context.Context, t *transaction) error {
	var have standing
	b := begin()
	b.Queue(lockPlacement)
	b.Queue(r.store.readCluster).QueryRow(scanAnyCluster(&have))
	if err := t.send(ctx, b); err != nil {
		return err
	}
	if have.ID != "" || have.Point() != r.cluster.Point() {
		return fmt.Errorf("%w: somebody else restores into the database at the same time", store.ErrUnfinished)
	}
	return nil
}

// queueRows adds the statements to a batch that write rows.
func queueRows(b *pgx.Batch, rows []*backupv1.Record) error {
	var actors, keys columns
	shelves := map[bool]*taskColumns{false: {}, true: {}}
	for _, row := range rows {
		var err error
		switch r := row.GetRecord().(type) {
		case *backupv1.Record_Actor:
			err = actors.addWholeActor(r.Actor)
		case *backupv1.Record_Key:
			err = keys.addWholeKey(r.Key)
		case *backupv1.Record_Task:
			err = shelves[r.Task.GetDead()].addWhole(r.Task)
		}
		if err != nil {
			return err
		}
	}
	if actors.n() > 0 {
		b.Queue(insertActors, actors.actor()...)
	}
	if keys.n() > 0 {
		b.Queue(writeKeys, keys.texts[0], keys.texts[1], keys.blobs[0], keys.blobs[1], keys.numbers[0], keys.numbers[1], keys.numbers[2], keys.blobs[2])
	}
	for dead, rows := range shelves {
		if rows.n() > 0 {
			b.Queue(fmt.Sprintf(insertTasks, tableOf(tasks.Ref{Dead: dead})), rows.all()...)
		}
	}
	return nil
}

func (c *columns) addWholeActor(a *backupv1.Actor) error {
	for i, text := range []string{a.GetType(), a.GetId(), a.GetState().GetMessage()} {
		if err := checkText(text); err != nil {
			return err
		}
		c.texts[i] = append(c.texts[i], text)
	}
	state, identity := a.GetState(), a.GetState().GetIdentity()
	sum := archive.Sum(store.Checksum(&runtimev1.Actor{Type: a.GetType(), Id: a.GetId()}, state, store.Times{Keyed: a.GetKeyed(), Expires: a.GetExpires()}), a.GetDamaged())
	c.addNumbers(int64(identity.GetActivation()), int64(identity.GetSequence()), int64(state.GetVersion()), a.GetKeyed(), a.GetExpires(), a.GetEmptied(), int64(sum))
	c.blobs[0] = append(c.blobs[0], blob(state.GetData()))
	return nil
}

func (c *columns) addWholeKey(k *backupv1.Key) error {
	for i, text := range []string{k.GetType(), k.GetId()} {
		if err := checkText(text); err != nil {
			return err
		}
		c.texts[i] = append(c.texts[i], text)
	}
	key := k.GetKey()
	sum := archive.Sum(store.KeyChecksum(&runtimev1.Actor{Type: k.GetType(), Id: k.GetId()}, key, k.GetSince()), k.GetDamaged())
	c.addNumbers(k.GetSince(), int64(sum), int64(archive.Sum(store.ReplyChecksum(key), k.GetDamaged())))
	for i, value := range [][]byte{key.GetDigest(), key.GetRequest(), blob(key.GetReply())} {
		c.blobs[i] = append(c.blobs[i], value)
	}
	return nil
}

// addWhole adds the row of a task as a backup has it.
func (c *taskColumns) addWhole(t *backupv1.Task) error {
	key := t.GetTask().GetTask().GetKey()
	if err := checkKey(key); err != nil {
		return err
	}
	err := c.add(&tasks.Row{Ref: tasks.Ref{TaskKey: store.KeyOf(key)}, Task: t.GetTask()})
	if err == nil {
		last := len(c.sums) - 1
		c.sums[last] = int64(archive.Sum(uint64(c.sums[last]), t.GetDamaged()))
	}
	return err
}

// End implements archive.Driver.
func (r *restorer) End(ctx context.Context, types []store.Type) (store.Cluster, error) {
	change := cluster.Found(r.cluster, types)
	change.Generation = nil // it is written with the id
	now := r.cluster
	now.Counter++
	err := r.transact(ctx, func(ctx context.Context, t *transaction, b *pgx.Batch) error {
		if err := r.stay(ctx, t); err != nil {
			return err
		}
		if err := writeChange(b, cluster.NewTable(cluster.Unfinished(r.cluster)), nil, change); err != nil {
			return err
		}
		queueCluster(b, now)
		return nil
	})
	return now, err
}

var _ archive.Driver = (*restorer)(nil)
