package remote

import (
	"context"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/sdk/internal/member"
)

// linkedRuntime is the runtime as a worker sees it: loads, commits, settlements and changes
// travel on a link, unless they are large; the rest are requests of their own.
type linkedRuntime struct {
	runtimev1connect.WorkerServiceClient

	line *member.Line
}

// Load reads the state of actors.
func (r linkedRuntime) Load(ctx context.Context, req *runtimev1.LoadRequest) (*runtimev1.LoadResponse, error) {
	answer, apart, err := r.call(ctx, &runtimev1.LinkRequest{Request: &runtimev1.LinkRequest_Load{Load: req}})
	if apart {
		return r.WorkerServiceClient.Load(ctx, req)
	}
	return answer.GetLoad(), err
}

// Commit writes records of actors.
func (r linkedRuntime) Commit(ctx context.Context, req *runtimev1.CommitRequest) (*runtimev1.CommitResponse, error) {
	answer, apart, err := r.call(ctx, &runtimev1.LinkRequest{Request: &runtimev1.LinkRequest_Commit{Commit: req}})
	if apart {
		return r.WorkerServiceClient.Commit(ctx, req)
	}
	return answer.GetCommit(), err
}

// Settle ends deliveries.
func (r linkedRuntime) Settle(ctx context.Context, req *runtimev1.SettleRequest) (*runtimev1.SettleResponse, error) {
	answer, apart, err := r.call(ctx, &runtimev1.LinkRequest{Request: &runtimev1.LinkRequest_Settle{Settle: req}})
	if apart {
		return r.WorkerServiceClient.Settle(ctx, req)
	}
	return answer.GetSettle(), err
}

// Change changes alarms and jobs.
func (r linkedRuntime) Change(ctx context.Context, req *runtimev1.ChangeRequest) (*runtimev1.ChangeResponse, error) {
	answer, apart, err := r.call(ctx, &runtimev1.LinkRequest{Request: &runtimev1.LinkRequest_Change{Change: req}})
	if apart {
		return r.WorkerServiceClient.Change(ctx, req)
	}
	return answer.GetChange(), err
}

// call makes a request on the link; apart is true for one that is too large for it.
func (r linkedRuntime) call(ctx context.Context, req *runtimev1.LinkRequest) (res *runtimev1.LinkResponse, apart bool, err error) {
	body, err := proto.Marshal(req)
	if err != nil {
		return nil, false, connect.NewError(connect.CodeInvalidArgument, "the request cannot be encoded: "+err.Error())
	}
	if len(body) > link.MaxRequest {
		return nil, true, nil
	}
	answer, err := r.line.Call(ctx, link.Bytes(body))
	if err != nil {
		return nil, false, err
	}
	res = &runtimev1.LinkResponse{}
	return res, false, wire.Unmarshal(answer, res)
}
