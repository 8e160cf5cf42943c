package postgres

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/storetest"
)

// Copies of a server, as they are put back or take over, have histories of their own.
func TestCopies(t *testing.T) {
	t.Parallel()
	servers := map[store.Store]*pgtest.Server{}
	database := ""
	open := func(t testing.TB, now func() time.Time, server *pgtest.Server) store.Store {
		s := mustOpen(t, Config{ConnectionString: server.URL(database), Now: now})
		servers[s] = server
		return s
	}
	storetest.Copies(t, func(t testing.TB, now func() time.Time) store.Store {
		server := pgtest.Start(t)
		database = nameOf(server.Database(t))
		return open(t, now, server)
	}, func(t testing.TB, s store.Store) store.Store { return open(t, nil, servers[s].Copy(t)) })
}

// nameOf is the name of the database in a connection string.
func nameOf(connection string) string {
	name, _, _ := strings.Cut(path.Base(connection), "?")
	return name
}

// A store goes on when its server is another one, or older, or when its tables are: two
// stores that see it agree on the branch, and what was lost is known.
func TestHistoryGoesBack(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	for name, goBack := range map[string]func(t *testing.T, database string) (before func(), back func()){
		"a base backup is put back": func(t *testing.T, _ string) (func(), func()) {
			return func() { server.Backup(t) }, func() {
				server.Stop(t, pgtest.Immediate)
				server.Restore(t)
				server.Launch(t)
			}
		},
		"a dump is restored into the database": func(t *testing.T, database string) (func(), func()) {
			dump := ""
			return func() { dump = server.Dump(t, database) }, func() { server.Load(t, database, dump) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			database := server.Database(t)
			config := Config{ConnectionString: database}
			one, two := mustOpen(t, config), mustOpen(t, config)
			before, back := goBack(t, database)
			own(t, one, "w1")
			commit := func(s *Store, n uint64, seen store.Point) (runtimev1.Verdict, store.Point, error) {
				base := (*runtimev1.Identity)(nil)
				if n > 1 {
					base = identity(1, n-1)
				}
				results, moved, err := s.After(seen).Commit(t.Context(), "w1", []*runtimev1.Record{record("a", base, identity(1, n), []byte("x"))})
				if err != nil {
					return 0, moved.Point, err
				}
				return results[0].GetVerdict(), moved.Point, nil
			}
			mustCommit := func(s *Store, n uint64) store.Point {
				t.Helper()
				verdict, at, err := commit(s, n, store.Point{})
				if err != nil || verdict != runtimev1.Verdict_VERDICT_APPLIED {
					t.Fatalf("record %d: %v, %v", n, verdict, err)
				}
				return at
			}
			mustCommit(one, 1)
			common := mustCommit(two, 2)
			before()
			lost := mustCommit(one, 3)
			back()

			// The history passes the counter that was lost before anybody shows it.
			var now store.Point
			for n := uint64(3); now.Counter < lost.Counter+2; n++ {
				now = mustCommit([]*Store{one, two}[n%2], n)
			}
			if now.Branch == lost.Branch || now.Branch == 0 {
				t.Errorf("after it went back the branch is %d, and was %d", now.Branch, lost.Branch)
			}
			for _, s := range []*Store{one, two} {
				last, err := s.Cluster(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if last.Behind(common) || last.Behind(now) || !last.Behind(lost) {
					t.Errorf("%+v is behind what it has passed, or not behind %+v", last, lost)
				}
				if last.Point() != now {
					t.Errorf("a store is at %+v, the last change at %+v", last.Point(), now)
				}
				if _, _, err := commit(s, 99, lost); !errors.Is(err, store.ErrBehind) {
					t.Errorf("a record of who has seen what was lost: %v", err)
				}
				_, err = s.After(lost).Load(t.Context(), "w1", []*runtimev1.LoadRequest_Read{{Actor: &runtimev1.Actor{Type: "cart", Id: "a"}, Fence: &runtimev1.Fence{Epoch: 1}}})
				if !errors.Is(err, store.ErrBehind) {
					t.Errorf("a load of who has seen what was lost: %v", err)
				}
				if _, _, err := s.After(lost).Change(t.Context(), nil); !errors.Is(err, store.ErrBehind) {
					t.Errorf("a change of tasks of who has seen what was lost: %v", err)
				}
				if verdict, _, err := commit(s, 99, common); err != nil || verdict != runtimev1.Verdict_VERDICT_STALE_BASE {
					t.Errorf("a record of who has seen what was kept: %v, %v", verdict, err)
				}
			}
		})
	}
}

// A server that comes back as it was goes on in a branch of its own too, and nothing is
// held against anybody.
func TestRestartLosesNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := mustOpen(t, Config{ConnectionString: server.Database(t)})
	var seen []store.Point
	for i := range 3 {
		counter, err := s.AddWorker(t.Context(), &runtimev1.Worker{Id: fmt.Sprint("w", i)})
		if err != nil {
			t.Fatal(err)
		}
		now, err := s.Cluster(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now.Counter != counter || len(now.Branches) != i+1 {
			t.Errorf("after %d restarts there are %d branches at %d, and the change was %d", i, len(now.Branches), now.Counter, counter)
		}
		seen = append(seen, now.Point())
		for _, point := range seen {
			if now.Behind(point) {
				t.Errorf("after %d restarts %+v is said to be lost", i, point)
			}
		}
		server.Restart(t, pgtest.Immediate)
	}
}

// Where several servers write the database in turn no branch says anything; there each
// opening of a store begins one.
func TestSeveralServersOfOneDatabase(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	s := mustOpen(t, Config{ConnectionString: database})
	add := func(s *Store, id string) int {
		t.Helper()
		if _, err := s.AddWorker(t.Context(), &runtimev1.Worker{Id: id}); err != nil {
			t.Fatal(err)
		}
		now, err := s.Cluster(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(now.Branches)
	}
	add(s, "w1")
	// Another server goes on, as the store would see it there, and then this one again.
	other := mustOpen(t, Config{ConnectionString: database})
	other.readCluster = strings.ReplaceAll(other.readCluster, thisServer, `'another one'`)
	add(other, "w2")
	n := add(s, "w3")
	if add(other, "w4") != n || add(s, "w5") != n {
		t.Error("two servers that write in turn begin one branch after the other")
	}
	if again := mustOpen(t, Config{ConnectionString: database}); add(again, "w6") != n+1 {
		t.Error("an opening begins no branch")
	}
}
