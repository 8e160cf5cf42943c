package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/francis-actors/francis/runtime/store"
)

const (
	// connectPatience bounds how long a connection may take to open.
	connectPatience = 5 * time.Second
	// oldest is the first release of PostgreSQL that is still maintained.
	oldest = 140000
	// idleInTransaction is after how long, in milliseconds, the server ends a session that
	// holds locks and says nothing: its runtime was stopped or cut off.
	idleInTransaction = 2_000
	// spare is the number of connections for what does not go through lanes and readers.
	spare = 4
)

// dial opens a pool, and one connection, so that what is wrong with the settings or the
// server is told at once.
func dial(ctx context.Context, config Config) (*pgxpool.Pool, error) {
	settings, err := pgxpool.ParseConfig(config.ConnectionString)
	if err != nil {
		return nil, fmt.Errorf("the connection string cannot be read: %w", describe(err))
	}
	settings.MaxConns = max(settings.MaxConns, int32(config.Lanes+config.Readers+spare))
	if settings.ConnConfig.ConnectTimeout == 0 {
		settings.ConnConfig.ConnectTimeout = connectPatience
	}
	if settings.ConnConfig.RuntimeParams["application_name"] == "" {
		settings.ConnConfig.RuntimeParams["application_name"] = "francis"
	}
	settings.AfterConnect = inspect
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("the connection string cannot be used: %w", describe(err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, lost(err)
	}
	return pool, nil
}

// refused is a server that cannot keep what it acknowledges, or that we cannot work with.
type refused string

func (r refused) Error() string { return string(r) }

// inspect refuses a server on which acknowledged commits could be lost, and prepares the
// session. A setting that a database does not have says nothing.
func inspect(ctx context.Context, c *pgx.Conn) error {
	var standby bool
	var release int
	var fsync, synchronous, encoding string
	err := c.QueryRow(ctx, `SELECT pg_is_in_recovery(), current_setting('server_version_num')::int,
		coalesce(current_setting('fsync', true), 'on'), coalesce(current_setting('synchronous_commit', true), 'on'),
		coalesce(current_setting('server_encoding', true), 'UTF8')`).Scan(&standby, &release, &fsync, &synchronous, &encoding)
	switch {
	case err != nil:
		return fmt.Errorf("look at the server: %w", err)
	case standby:
		return refused("the server is a standby, which takes no writes; name the primary, or list both and add target_session_attrs=read-write")
	case release < oldest:
		return refused(fmt.Sprintf("the server is of release %d, and at least %d is needed", release/10000, oldest/10000))
	case fsync != "on":
		return refused("the server runs with fsync = off and loses what it has acknowledged when its machine stops; set fsync = on")
	case encoding != "UTF8":
		return refused(fmt.Sprintf("the encoding of the database is %s; create one with ENCODING 'UTF8'", encoding))
	}
	session := fmt.Sprintf("SET idle_in_transaction_session_timeout = %d; SET default_transaction_isolation = 'read committed'", idleInTransaction)
	if synchronous == "off" {
		session += "; SET synchronous_commit = on"
	}
	session += "; " + planByIndex
	if _, err := c.Exec(ctx, session, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("prepare the session: %w", err)
	}
	return nil
}

// planByIndex has the server plan a statement once, for all that come later, and look rows
// up by their keys, where it has these settings. Left to itself it would join the rows of a
// group to a table by reading all of it where that was small when the statement was planned,
// and go on with that when it has become large. planFreely leaves the statements of a
// transaction to the server that go through a table.
const (
	planByIndex = `SELECT set_config(name, CASE name WHEN 'plan_cache_mode' THEN 'force_generic_plan' ELSE 'off' END, false) ` + planSettings
	planFreely  = `SELECT set_config(name, reset_val, true) ` + planSettings

	planSettings = `FROM pg_settings WHERE name IN
		('plan_cache_mode', 'enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_memoize', 'jit')`
)

// acquire takes a connection out of the pool.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	c, err := s.pool.Acquire(ctx)
	if err == nil {
		return c, nil
	}
	if reason, ok := errors.AsType[refused](err); ok {
		return nil, fmt.Errorf("%w (%w)", store.ErrAway, reason)
	}
	return nil, lost(err)
}
