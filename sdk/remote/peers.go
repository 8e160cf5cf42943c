package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/sdk/internal/link"
	"github.com/francis-actors/francis/sdk/internal/member"
)

// The limits of the port on which other workers reach this one.
const (
	maxStreams    = 1000
	maxHeaders    = 16 << 10
	headerTimeout = 5 * time.Second
	idleTimeout   = 10 * time.Minute
	pingAfter     = 15 * time.Second
	writeTimeout  = 10 * time.Second
)

// peerServer answers the calls that other workers forward.
type peerServer struct {
	server *http.Server
	// closing is closed when no more calls shall come.
	closing chan struct{}
}

func (h *Host) newPeerServer() *peerServer {
	closing := make(chan struct{})
	rpc := connect.NewServer()
	peerv1connect.RegisterPeerServiceHandler(rpc, peerHandler{h, closing})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCodecs(wire.NewCodec()), connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(member.MaxFrame))
	var protocols http.Protocols
	protocols.SetHTTP1(true) // only to answer curl and browsers
	protocols.SetHTTP2(true)
	return &peerServer{closing: closing, server: &http.Server{
		Handler:           boundBodies(mux),
		TLSConfig:         h.peerTLS(),
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaders,
		ErrorLog:          slog.NewLogLogger(h.cfg.logger.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      pingAfter, PingTimeout: pingAfter, WriteByteTimeout: writeTimeout,
		},
	}}
}

// boundBodies bounds the bodies of requests. That of a link has no end; each of its
// frames is bounded.
func boundBodies(next http.Handler) http.Handler {
	bounded := http.MaxBytesHandler(next, member.MaxFrame)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == peerv1connect.PeerServiceLinkProcedure {
			next.ServeHTTP(w, r)
			return
		}
		bounded.ServeHTTP(w, r)
	})
}

// peerTLS shows the certificate of the present session, and asks for a member's.
func (h *Host) peerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			holder := h.worker.Member.Holder()
			if holder == nil {
				return nil, errors.New("this worker has not joined the cluster yet")
			}
			return holder.MemberServer(pki.RoleWorker, pki.RoleRuntime), nil
		},
	}
}

func (p *peerServer) serve(listener net.Listener) error {
	if err := p.server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown waits for the calls that run, and cuts off what is left after the grace.
func (p *peerServer) shutdown(grace time.Duration) {
	close(p.closing)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if p.server.Shutdown(ctx) != nil {
		_ = p.server.Close()
	}
}

// peerHandler answers other workers; who is no worker is refused.
type peerHandler struct {
	host *Host
	// closing is closed when no more calls shall come.
	closing <-chan struct{}
}

// Link serves the calls of another worker.
func (p peerHandler) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	if err := fromWorker(ctx); err != nil {
		return err
	}
	return link.Serve(ctx, stream, link.Server{
		Invoke: p.host.worker.Host.Serve, Closing: p.closing,
		Valid: func() bool { return fromWorker(ctx) == nil },
	})
}

func (p peerHandler) Invoke(ctx context.Context, req *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	if err := fromWorker(ctx); err != nil {
		return nil, err
	}
	type answer struct {
		res *peerv1.InvokeResponse
		err error
	}
	answered := make(chan answer, 1)
	p.host.worker.Host.Serve(ctx, req, func(res *peerv1.InvokeResponse, err error) { answered <- answer{res, err} })
	a := <-answered
	return a.res, a.err
}

// fromWorker checks that the connection is another worker's, and that the
// certificate that was shown when it began has not ended since.
func fromWorker(ctx context.Context) error {
	info, ok := connecthttp.ServerInfoForContext(ctx)
	if !ok || info.TLS() == nil {
		return fault.Unauthenticated("it is not secured")
	}
	who, ok := pki.PeerOf(*info.TLS())
	if !ok || who.Role != pki.RoleWorker {
		return fault.New(connect.CodePermissionDenied, &francisv1.ErrorDetail{
			Outcome: francisv1.Outcome_OUTCOME_NOTHING_HAPPENED,
		}, "only workers call actors here; others use a gateway")
	}
	if time.Now().After(info.TLS().PeerCertificates[0].NotAfter) {
		return fault.Unauthenticated("its certificate has ended; connect again with the renewed one")
	}
	return nil
}
