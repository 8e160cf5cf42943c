package engine

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/fault"
)

// Identify finds out who makes a request, from what its connection proved. Each fails for
// somebody else.
type Identify struct {
	// Worker returns the id of a worker, and Caller that of a worker or client.
	Worker, Caller func(ctx context.Context) (id string, err error)
}

// Handler serves the engine over Connect: each request in the name of the worker that makes
// it. Clients may do what needs no shard: they are served as a worker is that owns none.
func (e *Engine) Handler(identify Identify) runtimev1connect.WorkerServiceHandler {
	return handler{engine: e, identify: identify}
}

type handler struct {
	engine   *Engine
	identify Identify
}

func (h handler) Announce(ctx context.Context, req *runtimev1.AnnounceRequest) (*runtimev1.AnnounceResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Announce)
}

func (h handler) Renew(ctx context.Context, req *runtimev1.RenewRequest) (*runtimev1.RenewResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Renew)
}

func (h handler) Watch(ctx context.Context, req *runtimev1.WatchRequest) (*runtimev1.WatchResponse, error) {
	return forward(ctx, h, h.identify.Caller, req, (*Worker).Watch)
}

func (h handler) Release(ctx context.Context, req *runtimev1.ReleaseRequest) (*runtimev1.ReleaseResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Release)
}

func (h handler) Leave(ctx context.Context, req *runtimev1.LeaveRequest) (*runtimev1.LeaveResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Leave)
}

func (h handler) Load(ctx context.Context, req *runtimev1.LoadRequest) (*runtimev1.LoadResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Load)
}

func (h handler) Commit(ctx context.Context, req *runtimev1.CommitRequest) (*runtimev1.CommitResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Commit)
}

func (h handler) Receive(ctx context.Context, req *runtimev1.ReceiveRequest) (*runtimev1.ReceiveResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Receive)
}

func (h handler) Settle(ctx context.Context, req *runtimev1.SettleRequest) (*runtimev1.SettleResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Settle)
}

func (h handler) Change(ctx context.Context, req *runtimev1.ChangeRequest) (*runtimev1.ChangeResponse, error) {
	return forward(ctx, h, h.identify.Caller, req, (*Worker).Change)
}

func (h handler) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return forward(ctx, h, h.identify.Caller, req, (*Worker).List)
}

func (h handler) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return forward(ctx, h, h.identify.Caller, req, (*Worker).ListActors)
}

func (h handler) Certify(ctx context.Context, req *runtimev1.CertifyRequest) (*runtimev1.CertifyResponse, error) {
	return forward(ctx, h, h.identify.Worker, req, (*Worker).Certify)
}

// forward makes a request in the name of the member that the connection proves.
func forward[Request, Answer any](ctx context.Context, h handler, identify func(context.Context) (string, error), req *Request,
	call func(*Worker, context.Context, *Request) (*Answer, error),
) (*Answer, error) {
	id, err := identify(ctx)
	if err != nil {
		return nil, unauthenticated(err)
	}
	return call(h.engine.Worker(id), ctx, req)
}

func unauthenticated(err error) error {
	if coded, ok := errors.AsType[*connect.Error](err); ok {
		return coded
	}
	return fault.Unauthenticated(err.Error())
}
