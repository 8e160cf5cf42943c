package remote

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk/internal/member"
)

// pingAfter is how long the runtime may be silent at most before it is asked whether it
// is still there.
const pingAfter = 15 * time.Second

// applicant is who wants to join.
type applicant struct {
	join.Request

	// known is true for one that was a member before.
	known bool
}

// join joins through the first runtime that takes the applicant. One that starts and meets
// nobody but strangers has a wrong pin or wrong addresses, which does not pass; one that
// was a member knows that they were right, and tries again.
func (c *config) join(ctx context.Context, who applicant) (*join.Membership, error) {
	var errs []error
	strangers := !who.known
	who.Trust, who.Secret = c.trust, c.secret
	for _, who.Runtime = range c.runtimes {
		joined, err := c.joinThrough(ctx, who.Request)
		if err == nil {
			return joined, nil
		}
		if member.Permanent(err) {
			return nil, err // another one would say the same
		}
		errs = append(errs, err)
		strangers = strangers && join.Stranger(err)
	}
	err := errors.Join(errs...)
	if strangers {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err.Error()).WithCause(err)
	}
	return nil, err
}

// joinPatience is how long one of several runtimes has to answer who joins.
const joinPatience = 5 * time.Second

// joinThrough joins through one runtime. Where there are others, it has not all the time.
func (c *config) joinThrough(ctx context.Context, who join.Request) (*join.Membership, error) {
	if len(c.runtimes) > 1 {
		patient, cancel := context.WithTimeout(ctx, joinPatience)
		defer cancel()
		ctx = patient
	}
	return join.Join(ctx, who)
}

// way is how a member that has joined reaches the runtimes, of which it uses one at a time.
type way struct {
	runtimes  *runtimes
	transport *member.Transport
	client    *connect.Client
}

// wayOf is that of a member. A connection that is silent is given up within 0.6 of a lease,
// so that the lease outlives it.
func (c *config) wayOf(joined *join.Membership) way {
	ping := min(lease.Interval(joined.Lease), pingAfter)
	runtimes := &runtimes{addresses: c.runtimes, patience: ping, open: func(ctx context.Context, address string) (net.Conn, error) {
		return member.Dial(ctx, address, joined.Holder.DialRuntime())
	}}
	transport := member.NewTransport(joined.Holder, ping, runtimes.dial)
	return way{runtimes, transport, connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://runtime",
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(0)))}
}

// join makes the host a worker.
func (h *Host) join(ctx context.Context) (*member.Membership, error) {
	joined, err := h.cfg.join(ctx, applicant{
		Request: join.Request{Role: pki.RoleWorker, Address: h.worker.Address(), Types: h.worker.Host.TypeNames()},
		known:   h.worker.Member.Holder() != nil,
	})
	if err != nil {
		return nil, err
	}
	way := h.cfg.wayOf(joined)
	life, end := context.WithCancel(context.Background())
	line := member.NewLine(life, joined.Holder, way.transport, runtimev1connect.NewLinkServiceClient(way.client).Link)
	return &member.Membership{
		Worker: joined.ID, Holder: joined.Holder, Lease: joined.Lease,
		Runtime: linkedRuntime{runtimev1connect.NewWorkerServiceClient(way.client), line},
		Leave:   way.runtimes.leave,
		Close: func() {
			end()
			way.transport.CloseIdleConnections()
		},
	}, nil
}
