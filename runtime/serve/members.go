package serve

import (
	"log/slog"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/inbound"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/runtime/engine"
)

const (
	// maxMessage is the largest request of a member, in bytes: a commit or an
	// announcement of 4 MiB, and what frames it. A record that brings as many keys as it may,
	// forgets as many, and changes as many tasks, takes 64 KiB for that alone.
	maxMessage = 4<<20 + 128<<10
	// maxStreams is how many requests a connection makes at once.
	maxStreams = 1000
)

// newMemberServer serves the engine to the connections that showed a certificate, which
// [join.Port] bounds.
func newMemberServer(e *engine.Engine, log *slog.Logger, closing <-chan struct{}) *http.Server {
	return inbound.NewServer(inbound.ServerConfig{Handler: newMemberHandler(e, closing), Streams: maxStreams, Logger: log})
}

// newMemberHandler serves without compression and with bounded bodies. A link has no end,
// and may be silent; each of its frames is bounded.
func newMemberHandler(e *engine.Engine, closing <-chan struct{}) http.Handler {
	rpc := connect.NewServer()
	runtimev1connect.RegisterWorkerServiceHandler(rpc, e.Handler(engine.Identify{Worker: workerOf, Caller: callerOf}))
	runtimev1connect.RegisterLinkServiceHandler(rpc, newLinks(e, closing))
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCodecs(wire.NewCodec()), connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(maxMessage))
	bounded := inbound.Bound(mux, maxMessage)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == runtimev1connect.LinkServiceLinkProcedure {
			mux.ServeHTTP(w, r)
			return
		}
		bounded.ServeHTTP(w, r)
	})
}
