package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/francis-actors/francis/internal/boottime"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
	"github.com/francis-actors/francis/runtime/store/postgres"
	"github.com/francis-actors/francis/runtime/store/sqlite"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// Option is a setting of a host.
type Option func(*config)

// config are the settings of a host.
type config struct {
	worker.Settings

	path     string
	database string
	memory   bool
	clusters bool
	psks     [][]byte
	lease    time.Duration

	// authority signs the certificates of the processes of the cluster; nil without one.
	authority *pki.Authority
}

// WithSQLite keeps the state in a SQLite file on a local disk, which is made when it is
// missing; its folder is not. What was acknowledged survives a crash of the machine.
func WithSQLite(path string) Option { return func(c *config) { c.path = path } }

// WithPostgreSQL keeps the state in a PostgreSQL database, whose tables lie in the schema
// francis and are made when they are missing. The connection string is a URL, or settings
// such as "host=db dbname=francis"; it is never logged. One process at a time may use the
// database like that, a second one is refused; with [WithCluster] all of them share it.
func WithPostgreSQL(connectionString string) Option {
	return func(c *config) { c.database = connectionString }
}

// WithCluster makes one cluster of all processes that share a database and a secret: each of
// them hosts a part of the actors, and has the others' called there. The address is where
// the others reach this process, "host:port"; port 0 takes a free one. The secret is a
// runtime secret, as "runtime gen-key" makes one, from which the certificates of the
// processes are derived; of several the first one signs, and all are accepted, so that it can
// be changed process by process. When a process ends its actors go on in the others; when it
// crashes, after the lease and a second.
//
// Runtimes (the binary) with the same database, secret, lease and the cluster's default name
// belong to the same cluster, and so do their workers.
func WithCluster(address string, secret []byte, others ...[]byte) Option {
	return func(c *config) {
		c.clusters, c.Place.Address = true, address
		c.psks = append([][]byte{secret}, others...)
	}
}

// WithBind sets where a host of a cluster listens for the others, where that differs from
// its address. Default: the address.
func WithBind(address string) Option { return func(c *config) { c.Place.Bind = address } }

// WithLease sets how long a process of a cluster may be silent before its actors go to the
// others, from 2 to 60 seconds; it is the same in all of them. Default: 5 seconds.
func WithLease(d time.Duration) Option { return func(c *config) { c.lease = d } }

// WithMemory keeps the state in memory: it ends with Run.
func WithMemory() Option { return func(c *config) { c.memory = true } }

// WithShutdownGracePeriod sets how long Run waits at most for turns when its context
// ends. Default: 30 seconds.
func WithShutdownGracePeriod(d time.Duration) Option { return func(c *config) { c.Grace = d } }

// WithLimits bounds what the host takes on. Default: as [sdk.Limits] says.
func WithLimits(limits sdk.Limits) Option { return func(c *config) { c.Limits = limits } }

// WithLogger sets where the host logs. Default: slog.Default().
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.Logger = logger } }

func newConfig(opts []Option) (config, error) {
	c := config{Settings: worker.DefaultSettings(), lease: lease.Default}
	for _, opt := range opts {
		opt(&c)
	}
	err := errors.Join(c.Complete(), c.checkStore(), lease.Check(c.lease), c.checkCluster())
	return c, err
}

func (c *config) checkStore() error {
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
	}
	return nil
}

// checkCluster derives the authority of the cluster, if there is one. Its secret may be weak
// where only this machine can reach the host.
func (c *config) checkCluster() (err error) {
	switch {
	case !c.clusters && c.Place.Bind != "":
		return errors.New("WithBind without WithCluster: a host alone listens nowhere")
	case !c.clusters:
		return nil
	case c.database == "":
		return errors.New("WithCluster without WithPostgreSQL: several processes need a database that they share")
	}
	if err := c.Place.Check(); err != nil {
		return err
	}
	secrets := make([]pki.Secret, len(c.psks))
	for i, psk := range c.psks {
		if secrets[i], err = pki.ParseSecret(psk); err != nil {
			return fmt.Errorf("secret of the cluster: %w", err)
		}
		warning, err := secrets[i].Vet(c.Place.Listening())
		if err != nil {
			return fmt.Errorf("secret of the cluster: %w", err)
		}
		if warning != "" {
			c.Logger.Warn("the secret of the cluster is weak", "why", warning)
		}
	}
	c.authority, err = pki.NewAuthority(clusterName, secrets...)
	return err
}

// clock counts the lease. A file that is locked, and memory, are this process's while it
// lives, also while the machine is suspended: nobody else can own its actors by then, and
// the monotonic clock, which every call reads, costs a tenth of the one that goes on. A
// database may have been given to others: nil is the default.
func (c *config) clock() boottime.Clock {
	if c.database != "" {
		return nil
	}
	return boottime.Monotonic
}

// clusterName is the name of the cluster in certificates, that of runtimes by default.
const clusterName = "francis"

// open opens the store.
func (c *config) open(ctx context.Context) (store.Store, error) {
	switch {
	case c.memory:
		return memory.New(), nil
	case c.database != "":
		return postgres.Open(ctx, postgres.Config{ConnectionString: c.database, Logger: c.Logger})
	default:
		return sqlite.Open(sqlite.Config{Path: c.path, Logger: c.Logger})
	}
}
