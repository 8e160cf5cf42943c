package remote

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

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
		joined, err := join.Join(ctx, join.Request{
			Runtime: address, Trust: h.cfg.trust, Secret: h.cfg.secret, Role: pki.RoleWorker,
			Address: h.address, Types: h.worker.Host.TypeNames(),
		})
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

// membership connects a worker that has joined to its runtime. A connection that is
// silent is given up within 0.6 of the lease, so that the lease outlives it.
func (h *Host) membership(joined *join.Membership) *member.Membership {
	var next atomic.Uint32
	transport := member.NewTransport(joined.Holder, min(lease.Interval(joined.Lease), pingAfter), func(ctx context.Context) (net.Conn, error) {
		var errs []error
		for range h.cfg.runtimes {
			address := h.cfg.runtimes[int(next.Load())%len(h.cfg.runtimes)]
			conn, err := member.Dial(ctx, address, joined.Holder.DialRuntime())
			if err == nil {
				return conn, nil
			}
			next.Add(1)
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	})
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://runtime",
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(0)))
	life, end := context.WithCancel(context.Background())
	line := member.NewLine(life, joined.Holder, transport, runtimev1connect.NewLinkServiceClient(client).Link)
	return &member.Membership{
		Worker: joined.ID, Holder: joined.Holder, Lease: joined.Lease,
		Runtime: linkedRuntime{runtimev1connect.NewWorkerServiceClient(client), line},
		Close: func() {
			end()
			transport.CloseIdleConnections()
		},
	}
}
