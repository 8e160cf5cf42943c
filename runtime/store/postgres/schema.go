package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/schema"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are numbered from 1; the table francis.schema has the number of the last one
// that the database has.
var migrations = schema.Migrations(embedded)

const (
	createSchema = `CREATE SCHEMA IF NOT EXISTS francis`
	createNumber = `CREATE TABLE IF NOT EXISTS francis.schema (one BIGINT PRIMARY KEY CHECK (one = 1), application TEXT NOT NULL, number BIGINT NOT NULL)`
	insertNumber = `INSERT INTO francis.schema VALUES (1, $1, 0) ON CONFLICT DO NOTHING`
	lockNumber   = `SELECT application, number FROM francis.schema FOR UPDATE`
	setNumber    = `UPDATE francis.schema SET number = $1`
	// findTables counts the tables of the schema, and whether the number is among them.
	findTables = `SELECT count(*), count(*) FILTER (WHERE table_name = 'schema') FROM information_schema.tables WHERE table_schema = 'francis'`
)

// application marks the schema as ours.
const application = "francis-actors"

// migrate runs the migrations that a database lacks, each in a transaction. The row with
// the number is locked meanwhile, so that of several runtimes that start one does it.
func migrate(ctx context.Context, pool *pgxpool.Pool, migrations []string) error {
	if err := claim(ctx, pool); err != nil {
		return err
	}
	for more := true; more; {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			more, err = migrateOne(ctx, tx, migrations)
			return err
		})
		if err != nil {
			return refine(err)
		}
	}
	return nil
}

// claim makes the schema, unless somebody else's is there.
func claim(ctx context.Context, pool *pgxpool.Pool) error {
	var tables, ours int
	if err := pool.QueryRow(ctx, findTables).Scan(&tables, &ours); err != nil {
		return fmt.Errorf("look for the schema: %w", err)
	}
	switch {
	case ours > 0:
		return nil
	case tables > 0:
		return fmt.Errorf("%w: the database has a schema francis with %d tables of another application; use another database", store.ErrForeign, tables)
	}
	for tries := 0; ; tries++ { // IF NOT EXISTS does not hold between two who look at the same time
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			for _, statement := range []string{createSchema, createNumber} {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, insertNumber, application)
			return err
		})
		if err == nil || !metAnother(err) || tries == 10 {
			return err
		}
	}
}

// metAnother reports whether a definition failed because somebody made the same.
func metAnother(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch answer.Code {
	case codeUnique, codeSerialization, codeDeadlock, "42P06", "42P07", "42710", "XX000": // there already, or "tuple concurrently updated"
		return true
	}
	return false
}

// migrateOne runs the next migration and reports whether there may be more.
func migrateOne(ctx context.Context, tx pgx.Tx, migrations []string) (more bool, err error) {
	var owner string
	var number int
	if err := tx.QueryRow(ctx, lockNumber).Scan(&owner, &number); err != nil {
		return false, fmt.Errorf("read the number of the schema: %w", err)
	}
	switch {
	case owner != application:
		return false, fmt.Errorf("%w: the schema francis belongs to %q; use another database", store.ErrForeign, owner)
	case number > len(migrations):
		return false, fmt.Errorf("%w (its schema is number %d, and this release knows %d)", store.ErrNewer, number, len(migrations))
	case number == len(migrations):
		return false, nil
	}
	if _, err := tx.Exec(ctx, migrations[number], pgx.QueryExecModeSimpleProtocol); err != nil {
		return false, fmt.Errorf("migration %d: %w", number+1, err)
	}
	if number == 0 {
		first := standing{Cluster: store.Cluster{ID: rand.Text(), Generation: 1}}
		if _, err := tx.Exec(ctx, foundCluster, first.ID, int64(first.sum())); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec(ctx, setNumber, number+1)
	return true, err
}
