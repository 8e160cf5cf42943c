package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/archive"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// Backup implements store.Archive.
func (s *Store) Backup(ctx context.Context) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(nil, err)
			return
		}
		s.mu.Unlock()
		for _, record := range s.Copy().records() {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// records are all records of a backup. Nobody changes the store.
func (s *Store) records() []*backupv1.Record {
	records := []*backupv1.Record{archive.Header(s.table.Cluster, s.now())}
	for _, typ := range s.table.Types() {
		records = append(records, archive.Type(typ))
	}
	sorted := slices.SortedFunc(maps.Keys(s.actors), actorKey.compare)
	for _, key := range sorted {
		records = append(records, s.actors[key].actor(key))
	}
	for _, key := range sorted {
		records = append(records, s.actors[key].allKeys(key)...)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(s.tasks.rows), compareRefs) {
		records = append(records, archive.Task(s.tasks.rows[ref], ref.Dead))
	}
	return records
}

func (k actorKey) compare(other actorKey) int {
	return cmp.Or(strings.Compare(k.typ, other.typ), strings.Compare(k.id, other.id))
}

// compareRefs orders tasks as a backup does.
func compareRefs(a, b tasks.Ref) int {
	switch {
	case a.Dead != b.Dead && b.Dead:
		return -1
	case a.Dead != b.Dead:
		return 1
	}
	return cmp.Or(strings.Compare(a.Type, b.Type), cmp.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID), strings.Compare(a.Name, b.Name))
}

// actor is an actor in a backup. When it got its last key is found anew.
func (r row) actor(key actorKey) *backupv1.Record {
	a := &backupv1.Actor{Type: key.typ, Id: key.id, State: r.state, Expires: r.expires}
	if !r.emptied.IsZero() {
		a.Emptied = r.emptied.Unix()
	}
	if n := len(r.keys); n > 0 {
		a.Keyed = r.keys[n-1].since.Unix()
	}
	return archive.Actor(a)
}

// allKeys are the keys of an actor in a backup.
func (r row) allKeys(of actorKey) []*backupv1.Record {
	var all []*backupv1.Record
	for _, k := range r.keys {
		all = append(all, archive.Key(&backupv1.Key{Type: of.typ, Id: of.id, Key: k.Key, Since: k.since.Unix()}))
	}
	slices.SortFunc(all, func(a, b *backupv1.Record) int {
		return bytes.Compare(a.GetKey().GetKey().GetDigest(), b.GetKey().GetKey().GetDigest())
	})
	return all
}

// Restore implements store.Archive.
func (s *Store) Restore(ctx context.Context, restoration store.Restoration) (store.Cluster, error) {
	return archive.Restore(ctx, restoration.Backup, &restorer{store: s, replace: restoration.Replace})
}

// restorer is an archive.Driver.
type restorer struct {
	store   *Store
	replace bool
	cluster store.Cluster
}

// Begin implements archive.Driver.
func (r *restorer) Begin(_ context.Context, header *backupv1.Header) error {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.table.Cluster
	switch {
	case s.closed:
		return store.ErrClosed
	case have.ID != "" && !r.replace && len(s.table.Types())+len(s.actors)+len(s.tasks.rows) > 0:
		return store.ErrNotEmpty
	}
	r.cluster = cluster.Restored(header, have).Branched(s.branches.Add(1))
	s.table = cluster.NewTable(cluster.Unfinished(r.cluster))
	s.actors, s.order, s.tasks = map[actorKey]row{}, newOrder(), newShelf()
	return nil
}

// Add implements archive.Driver.
func (r *restorer) Add(ctx context.Context, rows []*backupv1.Record) error {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	for _, row := range rows {
		if err := s.add(row); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// add adds a row. Memory is never damaged, and cannot say so.
func (s *Store) add(r *backupv1.Record) error {
	if r.GetActor().GetDamaged() || r.GetKey().GetDamaged() || r.GetTask().GetDamaged() {
		return fmt.Errorf("%w: the backup has damaged rows, which a store in memory cannot hold", store.ErrDamaged)
	}
	switch r := r.GetRecord().(type) {
	case *backupv1.Record_Actor:
		have := row{state: stateOf(r.Actor), expires: r.Actor.GetExpires()}
		if r.Actor.GetEmptied() != 0 {
			have.emptied = time.Unix(r.Actor.GetEmptied(), 0)
		}
		s.put(actorKey{r.Actor.GetType(), r.Actor.GetId()}, have)
	case *backupv1.Record_Key:
		of := actorKey{r.Key.GetType(), r.Key.GetId()}
		have := s.actors[of]
		have.keys = append(have.keys, key{Key: r.Key.GetKey(), since: time.Unix(r.Key.GetSince(), 0)})
		slices.SortStableFunc(have.keys, func(a, b key) int { return a.since.Compare(b.since) })
		s.put(of, have)
	case *backupv1.Record_Task:
		s.tasks.put(&tasks.Row{Ref: tasks.Ref{TaskKey: store.KeyOf(r.Task.GetTask().GetTask().GetKey()), Dead: r.Task.GetDead()}, Task: r.Task.GetTask()})
	}
	return nil
}

// stateOf is the state of an actor, which is there also when it says nothing.
func stateOf(a *backupv1.Actor) *runtimev1.State {
	if a.GetState() == nil {
		return &runtimev1.State{}
	}
	return proto.CloneOf(a.GetState())
}

// End implements archive.Driver.
func (r *restorer) End(ctx context.Context, types []store.Type) (store.Cluster, error) {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return store.Cluster{}, store.ErrClosed
	case ctx.Err() != nil:
		return store.Cluster{}, ctx.Err()
	}
	s.table = cluster.NewTable(r.cluster)
	s.table.Apply(cluster.Found(r.cluster, types))
	return s.table.Cluster, nil
}

var _ archive.Driver = (*restorer)(nil)
