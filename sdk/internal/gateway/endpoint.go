package gateway

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/dynamicpb"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/codec"
	"github.com/francis-actors/francis/sdk/internal/deliver"
)

// compressFrom is the size from which answers are compressed, for clients that ask
// for it: below, gzip costs more than it saves.
const compressFrom = 1 << 10

// endpoint are the handlers of one contract. They differ in how they read JSON: a
// program may send fields of a newer contract, a person has mistyped them.
type endpoint struct {
	contract    *contract.Contract
	rpc, people http.Handler
}

// endpoint returns the handlers of a contract. A newer contract of the same actor
// type replaces them.
func (g *Gateway) endpoint(c *contract.Contract) *endpoint {
	if have, ok := g.endpoints.Load(c.Type); ok && have.(*endpoint).contract == c {
		return have.(*endpoint)
	}
	made := &endpoint{contract: c, rpc: g.mount(c, tolerant), people: g.mount(c, strict)}
	g.endpoints.Store(c.Type, made)
	return made
}

func (g *Gateway) mount(c *contract.Contract, json passing) http.Handler {
	server := connect.NewServer()
	for _, method := range c.Methods {
		if !method.Internal {
			server.Register(g.method(c.Type, method, json.codec))
		}
	}
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server,
		connecthttp.WithCodecs(binary, json),
		connecthttp.WithReadMaxBytes(limit.MaxMessage),
		connecthttp.WithCompressors(g.gzip),
		connecthttp.WithCompressMinBytes(compressFrom),
	)
	return mux
}

// target is one method of one actor type, and how its JSON is read.
type target struct {
	contract.Method

	typ  string
	json peerv1.Codec
}

func (g *Gateway) method(typ string, method contract.Method, json peerv1.Codec) connect.Method {
	t := target{method, typ, json}
	spec := connect.Spec{StreamType: connect.StreamTypeUnary, Schema: method.Desc, Procedure: method.Procedure}
	if method.View {
		spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
	}
	return connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
		return g.serve(ctx, t, stream)
	}}
}

// serve answers one call.
func (g *Gateway) serve(ctx context.Context, t target, stream connect.ServerStream) error {
	info, _ := connect.CallInfoForServerContext(ctx)
	forbidCaching(ctx, info)
	var body raw
	if err := stream.Receive(&body); err != nil {
		return advised(info, fault.Unreadable(err))
	}
	encoding := peerv1.Codec_CODEC_PROTO
	if info.Codec == connect.CodecNameJSON {
		encoding = t.json
	}
	id, err := t.actorID(ctx, info, encoding, body.data)
	if err != nil {
		return err
	}
	key, err := headerKey(info.RequestHeader())
	if err != nil {
		return err
	}
	later, err := headerLater(info.RequestHeader(), key)
	if err != nil {
		return err
	}
	active, err := headerActive(info.RequestHeader(), later)
	if err != nil {
		return err
	}
	if err := g.load.take(len(body.data)); err != nil {
		return advised(info, err)
	}
	defer g.load.give(len(body.data))
	call := actor.Call{
		Type: t.typ, ID: id, Procedure: t.Procedure, View: t.View,
		Codec: encoding, Body: body.data, Key: key, OnlyIfActive: active, Later: later,
	}
	if later != nil {
		return g.serveLater(ctx, info, call, stream)
	}
	reply, err := g.directory.InvokeEncoded(ctx, call)
	if err != nil {
		return advised(info, err)
	}
	g.load.hold(len(reply))
	defer g.load.give(len(reply))
	return stream.Send(&raw{reply})
}

// headerKey is the idempotency key that the header brings; "" for none.
func headerKey(header valuer) (string, error) {
	key, given, err := single(header, actor.KeyHeader)
	if err != nil || !given {
		return "", invalid(fault.InvalidKey, err)
	}
	return key, invalid(fault.InvalidKey, name.CheckKey(key))
}

// headerActive is what the header says of a call that is only for an actor in memory. It is
// no authority: whoever may call may do without.
func headerActive(header valuer, later *actor.Later) (bool, error) {
	value, given, err := single(header, actor.ActiveHeader)
	switch {
	case err != nil:
		return false, malformed(err.Error())
	case !given || value == "false":
		return false, nil
	case value != "true":
		return false, malformed("the header " + actor.ActiveHeader + " is " + strconv.Quote(value) + "; it is true or false")
	case later != nil:
		return false, malformed("the header " + actor.ActiveHeader + " is for a call, and " + deliver.Header + " lets the method be called later; leave one of them out")
	}
	return true, nil
}

// valuer is a header, net/http's or Connect's.
type valuer interface{ Values(key string) []string }

// single is the value of a header that has one meaning.
func single(header valuer, key string) (value string, given bool, err error) {
	lines := header.Values(key)
	if len(lines) == 0 {
		return "", false, nil
	}
	if len(slices.Compact(slices.Clone(lines))) > 1 {
		return "", false, fmt.Errorf("the header %s is given twice, with different values; send it once", key)
	}
	return lines[0], true, nil
}

// invalid is a fault with the text of err, nil for nil.
func invalid(kind func(string) *connect.Error, err error) error {
	if err == nil {
		return nil
	}
	return kind(err.Error())
}

// advised tells clients that read no details when to try again.
func advised(info *connect.CallInfo, err error) error {
	if after := retryAfter(err); after != "" {
		info.ResponseHeader().Set("Retry-After", after)
	}
	return err
}

// retryAfter is the advice of an error in whole seconds (RFC 9110 §10.2.3), "" for none.
func retryAfter(err error) string {
	delay := fault.Detail(err).GetRetryDelay().AsDuration()
	if delay <= 0 {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(delay.Seconds())))
}

// forbidCaching marks the answers to GET: the same URL means another actor under
// another header, and the next turn changes what a view says.
func forbidCaching(ctx context.Context, info *connect.CallInfo) {
	if server, ok := connecthttp.ServerInfoForContext(ctx); ok && server.HTTPMethod() == http.MethodGet {
		info.ResponseHeader().Set("Vary", actor.IDHeader)
		info.ResponseHeader().Set("Cache-Control", "no-store")
	}
}

type pathIDKey struct{}

func withPathID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, pathIDKey{}, id)
}

// actorID is the id that the path, the header or the request names. Where path and
// header both do they must agree; the worker compares with the request.
func (t target) actorID(ctx context.Context, info *connect.CallInfo, encoding peerv1.Codec, body []byte) (string, error) {
	inHeader, err := headerID(info.RequestHeader())
	if err != nil {
		return "", err
	}
	inPath, hasPath := ctx.Value(pathIDKey{}).(string)
	switch {
	case hasPath && inHeader != "" && inHeader != inPath:
		return "", fault.InvalidID("the path names the actor " + inPath + ", but the header " + actor.IDHeader + " says " + inHeader + "; leave the header out")
	case hasPath:
		return inPath, nil
	case inHeader != "":
		return inHeader, nil
	default:
		return t.requestID(encoding, body)
	}
}

func headerID(header valuer) (string, error) {
	escaped, given, err := single(header, actor.IDHeader)
	if err != nil || !given {
		return "", invalid(fault.InvalidID, err)
	}
	id, err := name.UnescapeID(escaped)
	if err != nil {
		return "", fault.InvalidID("the header " + actor.IDHeader + " is not percent-encoded: " + err.Error())
	}
	return id, nil
}

// requestID is the id that the request itself names.
func (t target) requestID(encoding peerv1.Codec, body []byte) (string, error) {
	if t.IDField == nil {
		return "", fault.InvalidID("the call names no actor; set the header " + actor.IDHeader)
	}
	req := dynamicpb.NewMessage(t.Desc.Input())
	if err := codec.Unmarshal(encoding, body, req); err != nil {
		return "", fault.Malformed(connect.CodeInvalidArgument, "the request is no "+string(t.Desc.Input().FullName())+": "+err.Error())
	}
	id := actor.RequestID(t.IDField, req)
	if id == "" {
		return "", fault.InvalidID("the call names no actor; set the header " + actor.IDHeader + " or the field " + string(t.IDField.Name()) + " of the request")
	}
	return id, nil
}
