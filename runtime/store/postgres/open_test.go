package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
)

func TestOpenRefusesDatabases(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	ours := func(statement string) func(*testing.T) string {
		return func(t *testing.T) string {
			database := server.Database(t)
			s := mustOpen(t, Config{ConnectionString: database})
			own(t, s, "w1")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			execute(t, database, statement)
			return database
		}
	}
	tests := map[string]struct {
		database func(*testing.T) string
		want     error
		says     string
	}{
		"a newer schema":    {ours("UPDATE francis.schema SET number = 99"), store.ErrNewer, "99"},
		"another's schema":  {ours("UPDATE francis.schema SET application = 'x'"), store.ErrForeign, "another database"},
		"others' tables":    {ours("DROP TABLE francis.schema"), store.ErrForeign, "another database"},
		"no such database":  {func(*testing.T) string { return server.URL("nowhere") }, store.ErrAway, "nowhere"},
		"another encoding":  {func(t *testing.T) string { return encoded(t, server) }, store.ErrAway, "UTF8"},
		"nobody listens":    {func(*testing.T) string { return "postgres://127.0.0.1:1/x?sslmode=disable" }, store.ErrAway, "refused"},
		"a changed shard":   {ours("UPDATE francis.shards SET epoch = 7"), nil, ""},
		"a changed cluster": {ours("UPDATE francis.cluster SET generation = 7"), store.ErrDamaged, "checksum"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Config{ConnectionString: test.database(t)})
			if test.want != nil {
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error %v, want %v that says %q", err, test.want, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Shards(t.Context()); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("shards: error %v, want %v", err, store.ErrDamaged)
			}
		})
	}
}

// encoded is a database of another encoding.
func encoded(t *testing.T, server *pgtest.Server) string {
	execute(t, server.Database(t), "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
	return server.URL("ascii")
}

// A server that may lose what it has acknowledged is refused.
func TestOpenRefusesServers(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "fsync=off")
	database := server.Database(t)
	_, err := Open(t.Context(), Config{ConnectionString: database})
	if err == nil || !strings.Contains(err.Error(), "fsync = off") {
		t.Errorf("a server that does not sync: %v", err)
	}
	server.Stop(t, pgtest.Fast)
	server.Launch(t, "fsync=on", "synchronous_commit=off")
	s := mustOpen(t, Config{ConnectionString: database})
	var level string
	if err := s.pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&level); err != nil || level != "on" {
		t.Errorf("synchronous_commit is %s (%v) in our sessions", level, err)
	}
	own(t, s, "w1")

	server.Standby(t)
	_, err = Open(t.Context(), Config{ConnectionString: database})
	if err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("a standby: %v", err)
	}
	if _, err := s.AddWorker(t.Context(), &runtimev1.Worker{Id: "w2"}); !errors.Is(err, store.ErrAway) {
		t.Errorf("a change on a server that became a standby: %v", err)
	}
}

// Of runtimes that start together one makes the schema, and all use it.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	var opening sync.WaitGroup
	ids := make([]string, 6)
	for i := range ids {
		opening.Go(func() {
			s, err := Open(t.Context(), Config{ConnectionString: database})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			cluster, err := s.Cluster(t.Context())
			if ids[i] = cluster.ID; err != nil || cluster.ID == "" {
				t.Errorf("the cluster is %+v, %v", cluster, err)
			}
		})
	}
	opening.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the clusters are %q", ids)
		}
	}
}

func TestMigratesForward(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	pool, err := pgxpool.New(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := migrate(t.Context(), pool, migrations); err != nil {
		t.Fatal(err)
	}
	later := append(append([]string{}, migrations...), "CREATE TABLE francis.later (x INT)", "INSERT INTO francis.later VALUES (1); no such statement")
	if err := migrate(t.Context(), pool, later); err == nil || !strings.Contains(err.Error(), fmt.Sprint("migration ", len(later))) {
		t.Errorf("a migration that fails: %v", err)
	}
	var number, rows int
	if err := pool.QueryRow(t.Context(), "SELECT number, (SELECT count(*) FROM francis.later) FROM francis.schema").Scan(&number, &rows); err != nil {
		t.Fatal(err)
	}
	if want := len(later) - 1; number != want || rows != 0 {
		t.Errorf("schema %d with %d rows after a migration that failed; want %d and 0", number, rows, want)
	}
}

// The states of a database of the release before they could expire live for ever, until the
// next record says something else.
func TestMigratesToExpiry(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	s := mustOpen(t, Config{ConnectionString: database})
	own(t, s, "w1")
	commit := func(s store.Store, r *runtimev1.Record) {
		t.Helper()
		if _, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	commit(s, record("a", nil, identity(1, 1), []byte("state")))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, database, "ALTER TABLE francis.actors DROP COLUMN expires")
	execute(t, database, "UPDATE francis.schema SET number = 2")
	s = mustOpen(t, Config{ConnectionString: database})
	defer s.Close()
	if state := loadOne(t, s, "w1", "a").GetState(); string(state.GetData()) != "state" || state.GetExpiresIn() != nil {
		t.Errorf("the state is %v", state)
	}
	next := record("a", identity(1, 1), identity(1, 2), []byte("next"))
	next.StateTtl = durationpb.New(time.Hour)
	commit(s, next)
	if state := loadOne(t, s, "w1", "a").GetState(); string(state.GetData()) != "next" || state.GetExpiresIn() == nil {
		t.Errorf("the state is %v", state)
	}
}

// No error and no log says a password, however the connection string is wrong.
func TestPasswordsStaySecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, text := range []string{
		"postgres://u:" + secret + "@127.0.0.1:1/x?sslmode=disable",
		"postgres://u:" + secret + "@127.0.0.1:port/x",
		"postgres://u:" + secret + "@[::1/x",
		"postgres://u:" + secret + "%zz@h/x",
		"postgres://u:" + secret + "@h/x?sslmode=never",
		"postgres://u:p@h/x?password=" + secret + "&sslmode=never",
		"host=127.0.0.1 port=1 password=" + secret,
		"host=127.0.0.1 port=x password='" + secret + "'",
		"host=127.0.0.1 password='" + secret,
		"password=" + secret + " nonsense",
		"postgres//u:" + secret + "@h/x",
	} {
		_, err := Open(t.Context(), Config{ConnectionString: text})
		if err == nil {
			t.Errorf("%s opens", text)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("the error says the password: %v", err)
		}
	}
}

func TestMeaningOfCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"53100": store.ErrFull, "40001": errConflict, "40P01": errConflict, "25006": store.ErrAway,
		"57P01": store.ErrAway, "53300": store.ErrAway, "XX001": store.ErrDamaged,
	} {
		if err := refine(&pgconn.PgError{Code: code}); !errors.Is(err, want) {
			t.Errorf("%s is %v, want %v", code, err, want)
		}
	}
	if err := refine(&pgconn.PgError{Code: "42601"}); errors.Is(err, store.ErrAway) || errors.Is(err, errConflict) {
		t.Errorf("a wrong statement is %v", err)
	}
}

// A row that somebody has changed is found out.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	s := mustOpen(t, Config{ConnectionString: database})
	own(t, s, "w1")
	for _, id := range []string{"good", "bad"} {
		if _, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{record(id, nil, identity(1, 1), []byte("x"))}); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, database, "UPDATE francis.actors SET data = 'y' WHERE id = 'bad'")
	if got := loadOne(t, s, "w1", "bad").GetVerdict(); got != runtimev1.Verdict_VERDICT_DAMAGED {
		t.Errorf("a changed row: %v", got)
	}
	if got := loadOne(t, s, "w1", "good").GetVerdict(); got != runtimev1.Verdict_VERDICT_APPLIED {
		t.Errorf("its neighbour: %v", got)
	}
	execute(t, database, "UPDATE francis.shards SET worker = 'w2'")
	_, _, err := s.Commit(t.Context(), "w2", []*runtimev1.Record{record("good", identity(1, 1), identity(1, 2), nil)})
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a shard that somebody has taken: %v", err)
	}
}
