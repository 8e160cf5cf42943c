package backup_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/backup"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/postgres"
	"github.com/francis-actors/francis/runtime/store/sqlite"
)

// actors is how many TestMany backs up; docs/backup.md has the figures of a million.
var actors = flag.Int("backup.actors", 10_000, "how many actors TestMany backs up and restores")

// stateSize is the size of their states, in bytes.
const stateSize = 100

// TestMany takes a backup of many actors from SQLite to a file and restores it into each
// store, from which another backup of the same length comes.
func TestMany(t *testing.T) {
	t.Parallel()
	source := openSQLite(t)
	fill(t, source, *actors)
	path := filepath.Join(t.TempDir(), "many.backup")
	whole := take(t, source, path)
	if whole.Actors != uint64(*actors) {
		t.Fatalf("%d actors are in the backup of %d", whole.Actors, *actors)
	}
	for name, open := range map[string]func(testing.TB) store.Store{"SQLite": openSQLite, "PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			began := time.Now()
			if _, err := s.Restore(t.Context(), store.Restoration{Backup: backup.Read(file, nil)}); err != nil {
				t.Fatal(err)
			}
			tell(t, "restored", whole, time.Since(began))
			again := take(t, s, filepath.Join(t.TempDir(), "again.backup"))
			again.Bytes, whole.Bytes = 0, 0 // the counter of the store is another one
			if again != whole {
				t.Errorf("%+v was restored as %+v", whole, again)
			}
		})
	}
}

func tell(t *testing.T, what string, tally backup.Tally, lasted time.Duration) {
	t.Helper()
	t.Logf("%s %d actors, %.1f MiB, in %v: %.0f actors/s", what, tally.Actors, float64(tally.Bytes)/(1<<20), lasted.Round(time.Millisecond), float64(tally.Actors)/lasted.Seconds())
}

// take takes a backup to a file.
func take(t *testing.T, s store.Store, path string) backup.Tally {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	began := time.Now()
	tally, err := backup.Write(file, s.Backup(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	tell(t, "backed up", tally, time.Since(began))
	return tally
}

func openSQLite(t testing.TB) store.Store {
	t.Helper()
	s, err := sqlite.Open(sqlite.Config{Path: filepath.Join(t.TempDir(), "data.db")})
	return opened(t, s, err)
}

func openPostgres(t testing.TB) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{ConnectionString: pgtest.Start(t).Database(t)})
	return opened(t, s, err)
}

func opened(t testing.TB, s store.Store, err error) store.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fill gives a store actors.
func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	ctx := context.Background()
	_, err := s.AddWorker(ctx, &runtimev1.Worker{Id: "w1"})
	if err == nil {
		_, _, err = s.RegisterType(ctx, &runtimev1.ActorType{Name: "cart"}, 1)
	}
	if err == nil {
		_, err = s.Assign(ctx, []store.Assignment{{Type: "cart", Worker: "w1"}})
	}
	const piece = 1_000
	for at := 0; err == nil && at < n; at += piece {
		var records []*runtimev1.Record
		for i := at; i < min(at+piece, n); i++ {
			records = append(records, &runtimev1.Record{
				Actor: &runtimev1.Actor{Type: "cart", Id: fmt.Sprint("actor-", i)}, Fence: &runtimev1.Fence{Epoch: 1},
				Identity: &runtimev1.Identity{Activation: uint64(i)<<32 + 1, Sequence: 1}, Message: "shop.v1.CartState", Data: make([]byte, stateSize),
			})
		}
		_, _, err = s.Commit(ctx, "w1", records)
	}
	if err != nil {
		t.Fatal(err)
	}
}
