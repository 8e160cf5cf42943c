package sdk

import (
	"context"
	"errors"
	"net"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/schedule"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/deliver"
)

// Gateway returns a [Caller] for processes that are no hosts: it calls the HTTP
// endpoints of a host's gateway below url, for example "http://localhost:8081",
// with the Connect protocol. The options are Connect's, for example
// connecthttp.WithGRPC. A nil client is http.DefaultClient.
func Gateway(client connecthttp.HTTPClient, url string, opts ...connecthttp.Option) Caller {
	if client == nil {
		client = http.DefaultClient
	}
	return gateway{connect.NewClient(connecthttp.NewTransport(client, url, opts...)), client, url}
}

type gateway struct {
	client *connect.Client
	http   connecthttp.HTTPClient
	url    string
}

// Invoke sends the call and receives its reply.
func (g gateway) Invoke(ctx context.Context, call actor.Call) (proto.Message, error) {
	if err := unsendable(call); err != nil {
		return nil, err
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
	if call.OnlyIfActive {
		info.RequestHeader().Set(actor.ActiveHeader, "true")
	}
	reply := proto.Message(&emptypb.Empty{})
	if call.Later == nil {
		reply = call.Reply.ProtoReflect().New().Interface()
	} else {
		info.RequestHeader().Set(deliver.Header, deliver.Format(call.Later))
	}
	spec := connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: call.Procedure}
	if call.View {
		spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
	}
	if err := g.client.CallUnary(ctx, spec, call.Request, reply); err != nil {
		return nil, failed(ctx, err)
	}
	return reply, nil
}

// unsendable is why a call cannot be made by HTTP, nil if it can.
func unsendable(call actor.Call) error {
	if err := name.CheckID(call.ID); err != nil {
		return fault.InvalidID(err.Error())
	}
	if call.Procedure == actor.DeleteProcedure {
		return fault.NotByGateway("deletes no actors", "delete it with the Service() of a host, or in an rpc of the actor whose method calls turn.Delete")
	}
	if call.Procedure == actor.HaltProcedure {
		return fault.NotByGateway("halts no actors", "halt them in a worker, or let a method of the actor call turn.Halt")
	}
	if call.Key != "" {
		if err := name.CheckKey(call.Key); err != nil {
			return fault.InvalidKey(err.Error())
		}
	}
	if call.Later != nil { // a header leaves out what is empty, and so would mean something else
		if err := schedule.CheckForm(call.Later.Timing); err != nil {
			return fault.InvalidTask(err.Error())
		}
	}
	return nil
}

// failed is the fault of a request that ended with err.
func failed(ctx context.Context, err error) error {
	switch {
	case undialled(err):
		return fault.Unreached(err)
	case connect.CodeOf(err) == connect.CodeCanceled && ctx.Err() == nil: // Connect's word for a broken line
		return fault.LinkLost(err)
	default:
		return fault.Received(err)
	}
}

// undialled reports whether a call failed because nobody answered at the address: it has
// not left.
func undialled(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}
