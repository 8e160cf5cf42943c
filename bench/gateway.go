package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1connect"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/local"
)

const roleHTTP = "http"

// httpOrders say what a process serves over HTTP.
type httpOrders struct {
	// Place is that of a host, whose gateway is served; "" is a plain Connect handler,
	// which answers with the number that it was sent.
	Place place `json:"place"`
}

// startHTTP serves on a free port.
func startHTTP(ctx context.Context, text []byte) (address string, stop func() error, err error) {
	var orders httpOrders
	if err := json.Unmarshal(text, &orders); err != nil {
		return "", nil, err
	}
	handler, leave := echoHandler(), func() error { return nil }
	if orders.Place != "" {
		if handler, leave, err = startGateway(ctx, orders.Place); err != nil {
			return "", nil, err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, errors.Join(err, leave())
	}
	server := sdk.NewServer(handler)
	go func() { _ = server.Serve(listener) }() // until it is closed
	return listener.Addr().String(), func() error { return errors.Join(server.Close(), leave()) }, nil
}

// startGateway runs a host with the counters.
func startGateway(ctx context.Context, at place) (handler http.Handler, leave func() error, err error) {
	host, err := local.NewHost(at.option(), local.WithLogger(newLog()))
	if err != nil {
		return nil, nil, err
	}
	if err := myactorv1francis.RegisterMyActor(host, newCounter, sdk.WithIdleTimeout(time.Hour)); err != nil {
		return nil, nil, err
	}
	leave, err = join(ctx, host)
	return host.Gateway(), leave, err
}

// echoHandler is the service of the actor without actors.
func echoHandler() http.Handler {
	rpc := connect.NewServer()
	myactorv1connect.RegisterMyActorHandler(rpc, echoes{})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCompressors())
	return mux
}

type echoes struct {
	myactorv1connect.UnimplementedMyActorHandler
}

func (echoes) Increment(_ context.Context, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	out := req.GetIn()
	return &myactorv1.IncrementResponse{Out: &out}, nil
}

// posts are calls over HTTP with JSON, as curl makes them.
type posts struct {
	// gateway calls actors; else the plain handler is called.
	gateway bool
	// http2 is without TLS, with prior knowledge; else it is HTTP/1.1.
	http2 bool
}

// measure measures calls to a server in another process.
func (p posts) measure(ctx context.Context, l *lab, callers int) (res result, err error) {
	var orders httpOrders
	if p.gateway {
		orders.Place = l.newPath("gateway.db")
	}
	server, address, err := l.start(ctx, roleHTTP, orders)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	c := newClient(address, p.http2, callers)
	defer c.http.CloseIdleConnections()
	if p.gateway {
		if err := callEach(actors, func(i int) error { return c.post(ctx, i, i+1, i+1) }); err != nil {
			return result{}, fmt.Errorf("seed the actors: %w", err)
		}
	}
	return work{callers: callers, span: l.cfg.span, children: []process{server}, op: func(caller, n int) error {
		i := (n*callers + caller) % actors
		if p.gateway {
			return c.post(ctx, i, 0, i+1)
		}
		return c.post(ctx, i, i+1, i+1)
	}}.measure(ctx)
}

// client posts to one server.
type client struct {
	http *http.Client
	url  string
}

func newClient(address string, http2 bool, connections int) *client {
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: &protocols, MaxIdleConnsPerHost: connections, DisableCompression: true}
	return &client{&http.Client{Transport: transport}, "http://" + address + myactorv1connect.MyActorIncrementProcedure}
}

// post asks an actor to add in, and wants it to answer with out.
func (c *client) post(ctx context.Context, actor, in, out int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(fmt.Appendf(nil, `{"In":%d}`, in)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Francis-Actor-Id", actorID(actor))
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf(`{"Out":%d}`, out); err == nil && (res.StatusCode != http.StatusOK || string(body) != want) {
		err = fmt.Errorf("actor %d answers %s: %s, want %s", actor, res.Status, body, want)
	}
	return err
}
