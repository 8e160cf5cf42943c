package local

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
	"github.com/francis-actors/francis/runtime/store/sqlite"
	"github.com/francis-actors/francis/sdk"
)

// Option is a setting of a host.
type Option func(*config)

// config are the settings of a host.
type config struct {
	path   string
	memory bool
	grace  time.Duration
	limits sdk.Limits
	logger *slog.Logger
}

// WithSQLite keeps the state in a SQLite file on a local disk, which is made when it is
// missing; its folder is not. What was acknowledged survives a crash of the machine.
func WithSQLite(path string) Option { return func(c *config) { c.path = path } }

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
	switch {
	case c.path == "" && !c.memory:
		return errors.New("no store: use WithSQLite(path), or WithMemory for what may end with the process")
	case c.path != "" && c.memory:
		return errors.New("both WithSQLite and WithMemory: choose one")
	case c.grace < 0:
		return fmt.Errorf("the shutdown grace is %v; it cannot be negative", c.grace)
	}
	return nil
}

// open opens the store.
func (c *config) open(log *slog.Logger) (store.Store, error) {
	if c.memory {
		return memory.New(), nil
	}
	return sqlite.Open(sqlite.Config{Path: c.path, Logger: log})
}
