package remote

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"connectrpc.com/connect/v2"

	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/member"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// Client calls the actors of a cluster and hosts none: for web servers, command line tools
// and whatever else only wants something of them. It listens nowhere and needs no address
// that others can reach. Its calls go straight to the workers, so they go on while no
// runtime answers, for as long as its certificate is valid: 20 minutes at least. Its methods
// may be called concurrently.
type Client struct {
	cfg    config
	worker *worker.Worker
	// refused is why the last attempt to join has failed; nil for none.
	refused atomic.Pointer[error]

	stop  context.CancelFunc
	ended chan struct{}
	// err is set before ended is closed.
	err error
}

// Dial joins a cluster as a client, and returns when actors can be called. It fails when
// the options contradict each other, when the cluster refuses the client (another secret,
// another CA, an older release), and when ctx ends; until then it tries again. A client
// that Dial has returned stays connected, whatever happens to runtimes and workers, until
// it is closed; ctx ends nothing then.
func Dial(ctx context.Context, opts ...ClientOption) (*Client, error) {
	cfg, err := clientConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	c := &Client{cfg: cfg, ended: make(chan struct{})}
	c.worker, err = worker.New(worker.Config{Settings: cfg.Settings, Client: true, Join: c.join})
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	c.run()
	if err := c.connected(ctx); err != nil {
		_ = c.Close() // its error is this one, or none
		return nil, fmt.Errorf("remote: %w", err)
	}
	return c, nil
}

// run keeps the client connected until it is closed.
func (c *Client) run() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() {
		defer close(c.ended)
		c.err = c.worker.Run(ctx, worker.Parts{})
	}()
}

// connected waits until actors can be called.
func (c *Client) connected(ctx context.Context) error {
	select {
	case <-c.worker.Member.Ready():
		return nil
	case <-c.ended:
		return c.err
	case <-ctx.Done():
	}
	if refused := c.refused.Load(); refused != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), *refused)
	}
	return ctx.Err()
}

// Service returns the caller for proxies.
func (c *Client) Service() sdk.Caller { return c.worker.Host.Service() }

// Gateway returns the HTTP endpoints of all actors of the cluster, as that of a [Host] does.
func (c *Client) Gateway() http.Handler { return c.worker.Gateway }

// Close ends the client. Calls that are under way fail, and nobody knows what becomes of
// those that have left; later ones fail too. It may be called again.
func (c *Client) Close() error {
	c.stop()
	<-c.ended
	return c.err
}

// join gives the client an identity. Nothing that one who was a member meets is for good.
func (c *Client) join(ctx context.Context) (*member.Membership, error) {
	known := c.worker.Member.Holder() != nil
	joined, err := c.cfg.join(ctx, applicant{Request: join.Request{Role: pki.RoleClient}, known: known})
	if err != nil {
		c.refused.Store(&err)
		if known {
			err = connect.NewError(connect.CodeUnavailable, err.Error()).WithCause(err)
		}
		return nil, err
	}
	way := c.cfg.wayOf(joined)
	return &member.Membership{
		Worker: joined.ID, Holder: joined.Holder, Lease: joined.Lease,
		Runtime: runtimev1connect.NewWorkerServiceClient(way.client),
		Leave:   way.runtimes.leave, Close: way.transport.CloseIdleConnections,
	}, nil
}
