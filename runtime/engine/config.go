package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/dispatch"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
)

// defaultMovesInFlight is how many shards of a type move for balance at a time: a
// sixteenth of them.
const defaultMovesInFlight = 16

// defaultReadAnew is how late a task may be found that another engine has set.
const defaultReadAnew = time.Second

// Config is what an engine needs.
type Config struct {
	// Store keeps everything. It stays the caller's, who closes it after Run.
	Store store.Store
	// Lease is the lease of every worker, between 2 and 60 seconds; 0 is 5 seconds.
	// It must be the same for all engines of one store.
	Lease time.Duration
	// Probe reports whether the worker still answers at the address, with its
	// certificate. It is asked when another worker announces the same address, and
	// bounds its own time. Nil means that nobody ever answers.
	Probe func(ctx context.Context, address, workerID string) bool
	// Certify signs a new certificate for a worker that lives. Nil offers none.
	Certify func(ctx context.Context, workerID string, csr []byte) (*runtimev1.CertifyResponse, error)
	// MovesInFlight is how many shards of one actor type may be moving for balance
	// at the same time; 0 is 16.
	MovesInFlight int
	// Deliveries is how fast the tasks of an actor type are dispatched, by type and for
	// those without an entry of their own; 0 is 25,000 a second, and 10,000 at once.
	Deliveries dispatch.Rate
	// DeliveriesOf has the types for which that is different.
	DeliveriesOf map[string]dispatch.Rate
	// ReadAnew is how often what is due is read from the beginning, because engines of
	// other processes may have changed it; 0 is a second over a store that is shared, and
	// never over any other.
	ReadAnew time.Duration
	// Local lets a worker announce no address: the only worker is in this process.
	Local bool
	// Logger receives what the engine says; nil is slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Lease = cmp.Or(c.Lease, lease.Default)
	c.MovesInFlight = cmp.Or(c.MovesInFlight, defaultMovesInFlight)
	c.Deliveries = withRate(c.Deliveries)
	if _, shared := c.Store.(store.Shared); shared {
		c.ReadAnew = cmp.Or(c.ReadAnew, defaultReadAnew)
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Probe == nil {
		c.Probe = func(context.Context, string, string) bool { return false }
	}
	return c
}

// withRate fills in what is not given of a rate.
func withRate(rate dispatch.Rate) dispatch.Rate {
	return dispatch.Rate{PerSecond: cmp.Or(rate.PerSecond, limit.DeliveriesPerSecond), Burst: cmp.Or(rate.Burst, limit.DeliveriesBurst)}
}

// rate is how fast the tasks of a type are dispatched.
func (c Config) rate(typ string) dispatch.Rate {
	if rate, other := c.DeliveriesOf[typ]; other {
		return withRate(rate)
	}
	return c.Deliveries
}

func (c Config) validate() error {
	if c.Store == nil {
		return errors.New("engine: Config.Store is missing")
	}
	if err := lease.Check(c.Lease); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if c.MovesInFlight < 0 {
		return fmt.Errorf("engine: Config.MovesInFlight is %d; it must be at least 1, or 0 for %d", c.MovesInFlight, defaultMovesInFlight)
	}
	return nil
}
