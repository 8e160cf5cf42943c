package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// endpoint are the handlers of one actor type. They differ in how they read JSON:
// a program may send fields of a newer contract, a person has mistyped them.
type endpoint struct{ rpc, people http.Handler }

// endpoint returns the handlers of a type. Types are never forgotten, so neither
// are their handlers.
func (g *Gateway) endpoint(typ *actor.Type) *endpoint {
	if have, ok := g.endpoints.Load(typ); ok {
		return have.(*endpoint)
	}
	server := connect.NewServer()
	for _, method := range typ.Methods {
		if !method.Internal {
			server.Register(g.method(typ, method))
		}
	}
	made, _ := g.endpoints.LoadOrStore(typ, &endpoint{rpc: mount(server, tolerant), people: mount(server, strict)})
	return made.(*endpoint)
}

func mount(server *connect.Server, json connect.Codec) http.Handler {
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server,
		connecthttp.WithCodecs(binary, json),
		connecthttp.WithReadMaxBytes(limit.MaxMessage),
		connecthttp.WithCompressMinBytes(compressFrom),
	)
	return mux
}

func (g *Gateway) method(typ *actor.Type, method *actor.Method) connect.Method {
	spec := connect.Spec{StreamType: connect.StreamTypeUnary, Schema: method.Desc, Procedure: method.Procedure}
	if method.View {
		spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
	}
	return connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
		return g.serve(ctx, typ, method, stream)
	}}
}

// serve answers one call.
func (g *Gateway) serve(ctx context.Context, typ *actor.Type, method *actor.Method, stream connect.ServerStream) error {
	forbidCaching(ctx)
	req := method.Request.New().Interface()
	if err := stream.Receive(req); err != nil {
		return fault.Unreadable(err)
	}
	id, err := actorID(ctx, method, req)
	if err != nil {
		return err
	}
	reply, err := g.directory.Service().Invoke(ctx, actor.Call{
		Type: typ.Name, ID: id, Procedure: method.Procedure, View: method.View,
		Request: req, Timeout: defaultTimeout(ctx, method),
	})
	if err != nil {
		return err
	}
	return stream.Send(reply)
}

// defaultTimeout is the deadline of a call that brings none and whose contract
// says nothing.
func defaultTimeout(ctx context.Context, method *actor.Method) time.Duration {
	if _, brought := ctx.Deadline(); !brought && method.Timeout == 0 {
		return limit.CallTimeout
	}
	return 0
}

// forbidCaching marks the answers to GET: the same URL means another actor under
// another header, and the next turn changes what a view says.
func forbidCaching(ctx context.Context) {
	server, ok := connecthttp.ServerInfoForContext(ctx)
	if !ok || server.HTTPMethod() != http.MethodGet {
		return
	}
	if info, ok := connect.CallInfoForServerContext(ctx); ok {
		info.ResponseHeader().Set("Vary", actor.IDHeader)
		info.ResponseHeader().Set("Cache-Control", "no-store")
	}
}

type pathIDKey struct{}

func withPathID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, pathIDKey{}, id)
}

// actorID is the id that the path, the header or the request names; all that name
// one must agree.
func actorID(ctx context.Context, method *actor.Method, req proto.Message) (string, error) {
	id, err := headerID(ctx)
	if err != nil {
		return "", err
	}
	if inPath, ok := ctx.Value(pathIDKey{}).(string); ok {
		if id != "" && id != inPath {
			return "", fault.InvalidID("the path names the actor " + inPath + ", but the header " + actor.IDHeader + " says " + id + "; leave the header out")
		}
		id = inPath
	} else if id == "" {
		id = actor.RequestID(method, req)
	}
	if id == "" {
		return "", missingID(method)
	}
	return id, nil
}

func headerID(ctx context.Context) (string, error) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return "", nil
	}
	escaped := info.RequestHeader().Get(actor.IDHeader)
	if slices.ContainsFunc(info.RequestHeader().Values(actor.IDHeader), func(line string) bool { return line != escaped }) {
		return "", fault.InvalidID("the header " + actor.IDHeader + " is given twice, with different values; send it once")
	}
	id, err := name.UnescapeID(escaped)
	if err != nil {
		return "", fault.InvalidID("the header " + actor.IDHeader + " is not percent-encoded: " + err.Error())
	}
	return id, nil
}

func missingID(method *actor.Method) error {
	if method.IDField != nil {
		return fault.InvalidID("the call names no actor; set the header " + actor.IDHeader + " or the field " + string(method.IDField.Name()) + " of the request")
	}
	return fault.InvalidID("the call names no actor; set the header " + actor.IDHeader)
}
