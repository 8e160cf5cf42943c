package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// library is a backup of a store with a few actors.
func library(t *testing.T) (records []*backupv1.Record, source store.Cluster) {
	t.Helper()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "library.db")})
	defer mustClose(t, s)
	own(t, s, "w1")
	for _, id := range []string{"a", "b", "c"} {
		commit(t, s, "w1", id, nil, identity(1, 1), "state of "+id)
	}
	for record, err := range s.Backup(t.Context()) {
		ok(t, err)
		records = append(records, record)
	}
	source, err := s.Cluster(t.Context())
	ok(t, err)
	return records, source
}

// first are the first records, and then an error.
func first(records []*backupv1.Record, end error) store.Restoration {
	return store.Restoration{Backup: func(yield func(*backupv1.Record, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}}
}

// A runtime does not begin on a file into which a backup was not restored to its end;
// another restoration does, in a later generation, and the runtime after it.
func TestUnfinishedRestorationIsRefused(t *testing.T) {
	t.Parallel()
	records, _ := library(t)
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpenToRestore(t, config)
	if _, err := s.Restore(t.Context(), first(records[:3], errPipe)); !errors.Is(err, errPipe) {
		t.Fatalf("restore: %v", err)
	}
	mustClose(t, s)
	if _, err := Open(config); !errors.Is(err, store.ErrUnfinished) {
		t.Fatalf("open: %v, want %v", err, store.ErrUnfinished)
	}
	for _, err := range Backup(t.Context(), config.Path) {
		if !errors.Is(err, store.ErrUnfinished) {
			t.Errorf("backup: %v, want %v", err, store.ErrUnfinished)
		}
	}

	s = mustOpenToRestore(t, config)
	now, err := s.Restore(t.Context(), first(records, nil))
	ok(t, err)
	mustClose(t, s)
	if now.Generation != 3 {
		t.Errorf("the generation is %d; the first attempt had 2", now.Generation)
	}
	s = mustOpen(t, config)
	defer mustClose(t, s)
	if again, err := s.Cluster(t.Context()); err != nil || again.ID != now.ID || again.Point() != now.Point() {
		t.Errorf("the cluster is %+v, error %v; %+v was restored", again, err, now)
	}
}

var errPipe = errors.New("the pipe broke")

// A new file in the place of one that was lost is restored, in a generation later than
// what the witness has seen; without a restoration it is refused.
func TestRestorationBelievesTheWitness(t *testing.T) {
	t.Parallel()
	records, source := library(t)
	for name, seen := range map[string]store.Cluster{
		"of the same cluster": {ID: source.ID, Generation: 5, Counter: 1 << 20},
		"of another cluster":  {ID: "another", Generation: 5, Counter: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
			ok(t, writeWitness(config.Path, seen))
			if _, err := Open(config); !errors.Is(err, store.ErrForeign) {
				t.Fatalf("open: %v, want %v", err, store.ErrForeign)
			}
			s := mustOpenToRestore(t, config)
			now, err := s.Restore(t.Context(), first(records, nil))
			ok(t, err)
			if now.ID != source.ID || now.Generation != 6 || now.Counter < seen.Counter {
				t.Errorf("restored as %+v; the witness had seen %+v", now, seen)
			}
			mustClose(t, s)
			s = mustOpen(t, config)
			defer mustClose(t, s)
			if said, err := readWitness(config.Path); err != nil || said.ID != now.ID || said.point() != now.Point() {
				t.Errorf("the witness says %+v, error %v; %+v was restored", said, err, now)
			}
		})
	}
}

// While a backup is restored there is no witness: it would be that of what was there.
func TestRestorationDropsTheWitness(t *testing.T) {
	t.Parallel()
	records, _ := library(t)
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	s.bearWitness(0)
	restoration := first(records[:2], errPipe)
	restoration.Replace = true
	if _, err := s.Restore(t.Context(), restoration); !errors.Is(err, errPipe) {
		t.Fatalf("restore: %v", err)
	}
	mustClose(t, s)
	if _, err := os.Stat(witnessOf(config.Path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the witness: %v", err)
	}
}

// A backup reads a file that somebody else's runtime has, and refuses what is no store.
func TestBackupBesideARuntime(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	if err := backupError(t, config.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := os.Stat(config.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the missing file was made")
	}
	ok(t, os.WriteFile(config.Path, nil, 0o600))
	if err := backupError(t, config.Path); !errors.Is(err, store.ErrForeign) {
		t.Errorf("an empty file: %v", err)
	}
	s := mustOpen(t, config)
	defer mustClose(t, s)
	own(t, s, "w1")
	commit(t, s, "w1", "a", nil, identity(1, 1), "state")
	ok(t, backupError(t, config.Path))
	commit(t, s, "w1", "a", identity(1, 1), identity(1, 2), "state")
	onWriter(t, s, func() error { return s.writer.conn.exec("PRAGMA user_version = 1") })
	if err := backupError(t, config.Path); err == nil {
		t.Error("a file of an older release was backed up")
	}
}

func backupError(t *testing.T, path string) error {
	t.Helper()
	for _, err := range Backup(t.Context(), path) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A row that a disk has changed is handed over as damaged.
func TestBackupReportsDamage(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db")})
	defer mustClose(t, s)
	own(t, s, "w1")
	for _, id := range []string{"a", "b"} {
		commit(t, s, "w1", id, nil, identity(1, 1), "state")
	}
	job := &runtimev1.TaskKey{Type: "cart", Id: "b", Name: &runtimev1.TaskKey_Job{Job: "1"}}
	_, _, err := s.Change(t.Context(), []*runtimev1.TaskChange{{Change: &runtimev1.TaskChange_Set{Set: &runtimev1.Task{Key: job, Procedure: "/p/M"}}}})
	ok(t, err)
	onWriter(t, s, func() error {
		return errors.Join(s.writer.conn.exec("UPDATE actors SET version = 7 WHERE id = 'a'"), s.writer.conn.exec("UPDATE tasks SET due = due + 1"))
	})
	damaged := map[string]bool{}
	for record, err := range s.Backup(t.Context()) {
		ok(t, err)
		if a := record.GetActor(); a != nil {
			damaged[a.GetId()] = a.GetDamaged()
		}
		if task := record.GetTask(); task != nil {
			damaged["the job"] = task.GetDamaged() && task.GetTask().GetTask().GetKey().GetJob() == "1"
		}
	}
	if len(damaged) != 3 || !damaged["a"] || damaged["b"] || !damaged["the job"] {
		t.Errorf("damaged are %v; the actor a and the job are", damaged)
	}
}

func mustOpenToRestore(t testing.TB, config Config) *Store {
	t.Helper()
	s, err := OpenToRestore(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Other work that is asked for while a backup is restored is refused, and does not break it.
func TestNobodyIsServedMeanwhile(t *testing.T) {
	t.Parallel()
	records, _ := library(t)
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db")})
	defer mustClose(t, s)
	asked := 0
	_, err := s.Restore(t.Context(), store.Restoration{Backup: func(yield func(*backupv1.Record, error) bool) {
		for i, record := range records {
			if i > 0 {
				asked++
				refuseAll(t, s)
			}
			if !yield(record, nil) {
				return
			}
		}
	}})
	ok(t, err)
	if asked == 0 {
		t.Error("nobody asked")
	}
	own(t, s, "w1")
}

func refuseAll(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	_, _, committed := s.Commit(ctx, "w1", []*runtimev1.Record{record("a", nil, identity(1, 1), nil)})
	_, loaded := s.Load(ctx, "w1", []*runtimev1.LoadRequest_Read{readOf("a")})
	_, due := s.Due(ctx, store.DueQuery{Type: "cart", Limit: 1})
	_, forgot := s.Forget(ctx, 0)
	for what, err := range map[string]error{"commit": committed, "load": loaded, "due": due, "forget": forgot, "beat": s.Beat(ctx, "w1")} {
		if !errors.Is(err, store.ErrUnfinished) {
			t.Errorf("%s: %v, want %v", what, err, store.ErrUnfinished)
		}
	}
}
