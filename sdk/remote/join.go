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

// join joins through the first runtime that takes it. A worker that starts and meets
// nobody but strangers has a wrong pin or wrong addresses, which does not pass; one that
// was a member knows that they were right, and tries again.
func (h *Host) join(ctx context.Context) (*member.Membership, error) {
	var errs []error
	strangers := h.worker.Member.Holder() == nil
	for _, address := range h.cfg.runtimes {
		joined, err := h.joinThrough(ctx, address)
		if err == nil {
			return h.membership(joined), nil
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
func (h *Host) joinThrough(ctx context.Context, address string) (*join.Membership, error) {
	if len(h.cfg.runtimes) > 1 {
		patient, cancel := context.WithTimeout(ctx, joinPatience)
		defer cancel()
		ctx = patient
	}
	return join.Join(ctx, join.Request{
		Runtime: address, Trust: h.cfg.trust, Secret: h.cfg.secret, Role: pki.RoleWorker,
		Address: h.address, Types: h.worker.Host.TypeNames(),
	})
}

// membership connects a worker that has joined to the runtimes, of which it uses one at a
// time. A connection that is silent is given up within 0.6 of the lease, so that the lease
// outlives it.
func (h *Host) membership(joined *join.Membership) *member.Membership {
	ping := min(lease.Interval(joined.Lease), pingAfter)
	runtimes := &runtimes{addresses: h.cfg.runtimes, patience: ping, open: func(ctx context.Context, address string) (net.Conn, error) {
		return member.Dial(ctx, address, joined.Holder.DialRuntime())
	}}
	transport := member.NewTransport(joined.Holder, ping, runtimes.dial)
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://runtime",
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(0)))
	life, end := context.WithCancel(context.Background())
	line := member.NewLine(life, joined.Holder, transport, runtimev1connect.NewLinkServiceClient(client).Link)
	return &member.Membership{
		Worker: joined.ID, Holder: joined.Holder, Lease: joined.Lease,
		Runtime: linkedRuntime{runtimev1connect.NewWorkerServiceClient(client), line},
		Leave:   runtimes.leave,
		Close: func() {
			end()
			transport.CloseIdleConnections()
		},
	}
}
