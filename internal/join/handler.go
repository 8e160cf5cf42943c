package join

import (
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/inbound"
)

const (
	// maxBody is the largest request, in bytes: before the proof nobody is known.
	maxBody = 16 << 10
	// maxStreams is how many calls a joining connection makes at once; it needs one.
	maxStreams = 4

	stepTimeout = 30 * time.Second
	idleTimeout = 15 * time.Second
	bufferSize  = 64 << 10
)

// noCertificate answers calls that need a certificate, stray what is no call at all.
const (
	noCertificate = "this needs the certificate of a member; without one only joining is possible"
	stray         = "This is the cluster port of a Francis runtime, for its members only. Actors are called at the gateway of a worker."
)

// newHandler serves the join service without compression and with bounded bodies.
func newHandler(service runtimev1connect.JoinServiceHandler) http.Handler {
	rpc := connect.NewServer()
	runtimev1connect.RegisterJoinServiceHandler(rpc, service)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(maxBody))
	mux.Handle("/", elsewhere())
	return http.MaxBytesHandler(mux, maxBody)
}

// elsewhere answers what is not a join, to programs and to people.
func elsewhere() http.Handler {
	errors := connecthttp.NewErrorWriter(connecthttp.WithCompressors())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && errors.IsSupported(r) {
			_ = errors.Write(w, r, connect.NewError(connect.CodeUnauthenticated, noCertificate))
			return
		}
		http.Error(w, stray, http.StatusNotFound)
	})
}

// Handler serves the two calls, and answers everything else with an error that says
// what the port is for. Its http.Server must have [Server.ConnContext].
func (s *Server) Handler() http.Handler { return s.handler }

// HTTPServer returns a new http.Server for connections without a certificate, with
// every limit set; it wants a listener of TLS connections, as [Port.Joiners] is. A step of
// a join takes milliseconds, so all of it has a time, its handler's included.
func (s *Server) HTTPServer() *http.Server {
	server := inbound.NewServer(inbound.ServerConfig{Handler: s.handler, Streams: maxStreams, Idle: idleTimeout}) // what outsiders send wrong is the port's to log
	server.ConnContext = s.ConnContext
	server.ReadTimeout, server.WriteTimeout = stepTimeout, stepTimeout
	server.HTTP2.MaxReceiveBufferPerConnection, server.HTTP2.MaxReceiveBufferPerStream = bufferSize, bufferSize
	return server
}
