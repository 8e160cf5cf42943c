package sdk

import (
	"context"
	"errors"
	"net"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Gateway returns a [Caller] for processes that are no hosts: it calls the HTTP
// endpoints of a host's gateway below url, for example "http://localhost:8081",
// with the Connect protocol. The options are Connect's, for example
// connecthttp.WithGRPC.
func Gateway(client connecthttp.HTTPClient, url string, opts ...connecthttp.Option) Caller {
	return gateway{connect.NewClient(connecthttp.NewTransport(client, url, opts...))}
}

type gateway struct{ client *connect.Client }

// Invoke sends the call and receives its reply.
func (g gateway) Invoke(ctx context.Context, call actor.Call) (proto.Message, error) {
	if call.Later != nil {
		return nil, fault.NotOffered("keep alarms and jobs for who calls over HTTP")
	}
	if err := name.CheckID(call.ID); err != nil {
		return nil, fault.InvalidID(err.Error())
	}
	if call.Key != "" {
		if err := name.CheckKey(call.Key); err != nil {
			return nil, fault.InvalidKey(err.Error())
		}
	}
	if call.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, call.Timeout)
		defer cancel()
	}
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set(actor.IDHeader, name.EscapeID(call.ID))
	if call.Key != "" {
		info.RequestHeader().Set(actor.KeyHeader, call.Key)
	}
	spec := connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: call.Procedure}
	if call.View {
		spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
	}
	reply := call.Reply.ProtoReflect().New().Interface()
	if err := g.client.CallUnary(ctx, spec, call.Request, reply); err != nil {
		switch {
		case undialled(err):
			return nil, fault.Unreached(err)
		case connect.CodeOf(err) == connect.CodeCanceled && ctx.Err() == nil: // Connect's word for a broken line
			return nil, fault.LinkLost(err)
		default:
			return nil, fault.Received(err)
		}
	}
	return reply, nil
}

// Change deletes a task or decides about a dead letter.
func (gateway) Change(context.Context, *runtimev1.TaskChange) error {
	return fault.NotOffered("keep alarms and jobs for who calls over HTTP")
}

// List lists tasks.
func (gateway) List(context.Context, *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return nil, fault.NotOffered("keep alarms and jobs for who calls over HTTP")
}

// undialled reports whether a call failed because nobody answered at the address: it has
// not left.
func undialled(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}
