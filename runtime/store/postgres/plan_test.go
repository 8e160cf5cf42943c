package postgres

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
)

// A statement is planned once, mostly while its table is small: it must look up the rows of
// a group by their keys all the same, and not go through the table.
func TestPlansLookUpKeys(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{ConnectionString: pgtest.Start(t).Database(t)})
	own(t, s, "w1")
	ctx := t.Context()
	if _, _, err := s.Commit(ctx, "w1", []*runtimev1.Record{record("a", nil, identity(1, 1), []byte("one"))}); err != nil {
		t.Fatal(err)
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, table := range []string{"actors", "shards", "tasks", "keys"} {
		if _, err := conn.Exec(ctx, "ANALYZE francis."+table); err != nil {
			t.Fatal(err)
		}
	}
	scan, lookUp := regexp.MustCompile(`Scan .*on (actors|shards|types|tasks|keys)`), regexp.MustCompile(`Index Cond: .* = \(*[rf]\.`)
	for _, statement := range []string{findShards, lockShards, lockActors, findActors, findKeys, recallKeys, fmt.Sprintf(lockTasks, livingTable)} {
		plan := planOf(t, conn.Conn(), statement)
		scans, keyed := len(scan.FindAllString(plan, -1)), len(lookUp.FindAllString(plan, -1))
		if scans == 0 || scans != keyed {
			t.Errorf("%d of %d scans look up a key in the plan of\n%s\n%s", keyed, scans, statement, plan)
		}
	}
}

// planOf is how the server carries out a statement.
func planOf(t *testing.T, conn *pgx.Conn, statement string) string {
	t.Helper()
	parameters := map[string]string{}
	for _, name := range regexp.MustCompile(`\$\d+`).FindAllString(statement, -1) {
		parameters[name] = "NULL"
	}
	if _, err := conn.Exec(t.Context(), "PREPARE looked AS "+statement); err != nil {
		t.Fatal(err)
	}
	nulls := strings.Join(slices.Collect(maps.Values(parameters)), ", ")
	rows, err := conn.Query(t.Context(), "EXPLAIN EXECUTE looked("+nulls+")")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "DEALLOCATE looked"); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
