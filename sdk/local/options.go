package local

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
	"github.com/francis-actors/francis/runtime/store/postgres"
	"github.com/francis-actors/francis/runtime/store/sqlite"
	"github.com/francis-actors/francis/sdk"
)

// Option is a setting of a host.
type Option func(*config)

// config are the settings of a host.
type config struct {
	path     string
	database string
	memory   bool
	grace    time.Duration
	limits   sdk.Limits
	logger   *slog.Logger
}

// WithSQLite keeps the state in a SQLite file on a local disk, which is made when it is
// missing; its folder is not. What was acknowledged survives a crash of the machine.
func WithSQLite(path string) Option { return func(c *config) { c.path = path } }

// WithPostgreSQL keeps the state in a PostgreSQL database, whose tables lie in the schema
// francis and are made when they are missing. The connection string is a URL, or settings
// such as "host=db dbname=francis"; it is never logged. One process at a time may use the
// database like that: a second one is refused.
func WithPostgreSQL(connectionString string) Option {
	return func(c *config) { c.database = connectionString }
}

// WithMemory keeps the state in memory: it ends with Run.
func WithMemory() Option { return func(c *config) { c.memory = true } }

// WithShutdownGracePeriod sets how long Run waits at most for turns when its context
// ends. Default: 30 seconds.
func WithShutdownGracePeriod(d time.Duration) Option { return func(c *config) { c.grace = d } }

// WithLimits bounds what the host takes on. Default: as [sdk.Limits] says.
func WithLimits(limits sdk.Limits) Option { return func(c *config) { c.limits = limits } }

// WithLogger sets where the host logs. Default: slog.Default().
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.logger = logger } }

func newConfig(opts []Option) (config, error) {
	c := config{grace: limit.ShutdownGrace, logger: slog.Default()}
	for _, opt := range opts {
		opt(&c)
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	return c, c.check()
}

func (c *config) check() error {
	stores := 0
	for _, chosen := range []bool{c.path != "", c.database != "", c.memory} {
		if chosen {
			stores++
		}
	}
	switch {
	case stores == 0:
		return errors.New("no store: use WithSQLite(path) or WithPostgreSQL(connectionString), or WithMemory for what may end with the process")
	case stores > 1:
		return errors.New("more than one of WithSQLite, WithPostgreSQL and WithMemory: choose one")
	case c.grace < 0:
		return fmt.Errorf("the shutdown grace is %v; it cannot be negative", c.grace)
	}
	return nil
}

// open opens the store.
func (c *config) open(log *slog.Logger) (store.Store, error) {
	switch {
	case c.memory:
		return memory.New(), nil
	case c.database != "":
		return postgres.Open(postgres.Config{ConnectionString: c.database, Logger: log})
	default:
		return sqlite.Open(sqlite.Config{Path: c.path, Logger: log})
	}
}
