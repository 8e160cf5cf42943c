package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx, for those who look into a database

	"github.com/francis-actors/francis/bench/internal/load"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/postgres"
	"github.com/francis-actors/francis/runtime/store/sqlite"
	"github.com/francis-actors/francis/sdk/local"
)

// place is where a runtime keeps what it has: the path of a SQLite file, or the URL of a
// PostgreSQL database.
type place string

// inPostgreSQL reports whether it is a database.
func (p place) inPostgreSQL() bool { return strings.Contains(string(p), "://") }

// option makes an embedded host keep its state there.
func (p place) option() local.Option {
	if p.inPostgreSQL() {
		return local.WithPostgreSQL(string(p))
	}
	return local.WithSQLite(string(p))
}

// provider is the kind of the place in the configuration of a runtime.
func (p place) provider() string {
	if p.inPostgreSQL() {
		return "postgres"
	}
	return "sqlite"
}

// open opens the store.
func (p place) open(ctx context.Context) (store.Store, error) {
	if p.inPostgreSQL() {
		return postgres.Open(ctx, postgres.Config{ConnectionString: string(p)})
	}
	return sqlite.Open(sqlite.Config{Path: string(p)})
}

// look opens the place for somebody who looks into it while a runtime serves; tasks is
// where its alarms lie.
func (p place) look() (db *sql.DB, tasks string, err error) {
	if p.inPostgreSQL() {
		db, err = sql.Open("pgx", string(p))
		return db, "francis.tasks", err
	}
	db, err = sql.Open("sqlite", "file:"+filepath.ToSlash(string(p))+"?_pragma=query_only(1)&_pragma=busy_timeout(1000)")
	return db, "tasks", err
}

// helpers are the processes that work for who keeps its state there, beside its own.
func (p place) helpers(ctx context.Context) ([]process, error) {
	if !p.inPostgreSQL() {
		return nil, nil
	}
	conn, err := pgx.Connect(ctx, string(p))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	return []process{server{load.ParentOf(int(conn.PgConn().PID()))}}, nil
}

// server is a PostgreSQL server, by its first process; 0 for one on another machine.
type server struct{ pid int }

func (server) collect() error          { return nil }
func (server) used() (u used, _ error) { return u, nil }

// cpu is that of all its processes that live.
func (s server) cpu() time.Duration { return load.CPUOfFamily(s.pid) }

// storage is which kind of place a row uses.
type storage bool

const (
	onSQLite     storage = false
	onPostgreSQL storage = true
)

// newPlace is one where nothing is yet.
func (l *lab) newPlace(ctx context.Context, on storage, file string) (place, error) {
	if on == onPostgreSQL {
		return l.newDatabase(ctx)
	}
	return l.newPath(file), nil
}

// newDatabase makes an empty database on the server of -postgres.
func (l *lab) newDatabase(ctx context.Context) (place, error) {
	if l.cfg.postgres == "" {
		return "", fmt.Errorf("%w: -postgres names no server", errSkipped)
	}
	address, err := url.Parse(l.cfg.postgres)
	if err != nil {
		return "", errors.New("-postgres is no URL, such as postgres://user@localhost/postgres")
	}
	l.files++
	name := "francis_bench_" + strconv.Itoa(l.files)
	if err := l.onServer(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)", "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	l.databases = append(l.databases, name)
	address.Path = "/" + name
	return place(address.String()), nil
}

// onServer executes statements on the server of -postgres.
func (l *lab) onServer(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, l.cfg.postgres)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// dropDatabases removes what newDatabase made.
func (l *lab) dropDatabases() error {
	var statements []string
	for _, name := range l.databases {
		statements = append(statements, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	l.databases = nil
	if statements == nil {
		return nil
	}
	return l.onServer(context.Background(), statements...)
}
