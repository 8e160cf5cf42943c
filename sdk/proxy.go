package sdk

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Caller delivers calls to actors, wherever they live, now or later. Callers are the
// Service of a host or of a client (remote.Dial), a turn or view, and [Gateway]; the same
// proxy works on all of them. Their methods may be called concurrently. The interface is
// sealed: to replace an actor in a test, register another implementation with the test
// kit's host.
type Caller interface {
	Invoke(ctx context.Context, call actor.Call) (proto.Message, error)
	Change(ctx context.Context, change *runtimev1.TaskChange) error
	List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error)
	ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error)
}

// Ref names one actor and how to reach it. Generated proxies hold one.
type Ref struct {
	caller Caller
	typ    string
	id     string
}

// NewRef returns a reference to an actor. A malformed id fails at the first call.
func NewRef(caller Caller, typ, id string) Ref { return Ref{caller, typ, id} }

// check reports a reference by which nothing can be reached.
func (r Ref) check() error {
	if r.caller == nil {
		return connect.Errorf(connect.CodeInvalidArgument, "the proxy of %s/%s has no caller; pass a host's Service(), a turn, or sdk.Gateway", r.typ, r.id)
	}
	return nil
}

// message is a pointer to a generated message struct.
type message[M any] interface {
	*M
	proto.Message
}

// CallTurn calls a method that may change its actor. Generated proxies call it.
func CallTurn[Res any, PRes message[Res]](ctx context.Context, ref Ref, procedure string, req proto.Message, opts ...CallOption) (PRes, error) {
	return call[Res, PRes](ctx, ref, &actor.Call{Procedure: procedure, Request: req}, opts)
}

// CallView calls a view. Generated proxies call it.
func CallView[Res any, PRes message[Res]](ctx context.Context, ref Ref, procedure string, req proto.Message, opts ...CallOption) (PRes, error) {
	return call[Res, PRes](ctx, ref, &actor.Call{Procedure: procedure, Request: req, View: true}, opts)
}

func call[Res any, PRes message[Res]](ctx context.Context, ref Ref, c *actor.Call, opts []CallOption) (PRes, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	c.Type, c.ID, c.Reply = ref.typ, ref.id, PRes(nil)
	for _, opt := range opts {
		*c = opt.applyToCall(*c)
	}
	if c.Timeout < 0 {
		return nil, fault.EndedWaiting(context.DeadlineExceeded)
	}
	reply, err := invoke(ctx, ref.caller, c)
	if err != nil {
		return nil, err
	}
	res, ok := reply.(PRes)
	if !ok {
		return nil, fault.WrongReply(fmt.Sprintf("%s answered with %T instead of %T; generate the code of caller and actor from one contract", c.Procedure, reply, res))
	}
	return res, nil
}
