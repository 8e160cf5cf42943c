package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/inbound"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/sdk/internal/member"
)

const (
	// maxStreams is how many requests a connection of another worker makes at once: its
	// link, and the large calls that are made apart.
	maxStreams = 1000
	// idleTimeout is longer than other workers keep a connection without use: they close it.
	idleTimeout = 10 * time.Minute
)

// peers is where a worker answers the calls that other workers and clients forward.
type peers struct {
	port   *join.Port
	server *http.Server
	// closing is closed when no more calls shall come.
	closing chan struct{}
}

// newPeers makes the port of a worker on a listener, which is the port's from then on.
func (w *Worker) newPeers(listener net.Listener) (*peers, error) {
	port, err := join.NewPort(join.PortConfig{Listener: listener, TLS: w.peerTLS(), Logger: w.cfg.Logger})
	if err != nil {
		return nil, err
	}
	closing := make(chan struct{})
	return &peers{port: port, closing: closing, server: inbound.NewServer(inbound.ServerConfig{
		Handler: newPeerHandler(peerHandler{w, closing}), Streams: maxStreams, Idle: idleTimeout, Logger: w.cfg.Logger,
	})}, nil
}

// newPeerHandler bounds requests in size and time. A link has no end, and may be silent;
// each of its frames is bounded.
func newPeerHandler(service peerv1connect.PeerServiceHandler) http.Handler {
	rpc := connect.NewServer()
	peerv1connect.RegisterPeerServiceHandler(rpc, service)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCodecs(wire.NewCodec()), connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(member.MaxFrame))
	bounded := inbound.Bound(mux, member.MaxFrame)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == peerv1connect.PeerServiceLinkProcedure {
			mux.ServeHTTP(w, r)
			return
		}
		bounded.ServeHTTP(w, r)
	})
}

// peerTLS shows the certificate of the present session, and asks for a member's.
func (w *Worker) peerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			holder := w.Member.Holder()
			if holder == nil {
				return nil, errors.New("this worker has not joined the cluster yet")
			}
			return holder.MemberServer(pki.RoleWorker, pki.RoleClient, pki.RoleRuntime), nil
		},
	}
}

// serve answers until shutdown, or until the port or the server fails.
func (p *peers) serve() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ported := make(chan error, 1)
	go func() { ported <- p.port.Run(ctx) }()
	err := p.server.Serve(p.port.Members())
	stop()
	if portErr := <-ported; portErr != nil {
		return portErr
	}
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// shutdown waits for the calls that run, and cuts off what is left after the grace.
func (p *peers) shutdown(grace time.Duration) {
	close(p.closing)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if p.server.Shutdown(ctx) != nil {
		_ = p.server.Close()
	}
}

// peerHandler answers other workers and clients; nobody else calls actors.
type peerHandler struct {
	worker *Worker
	// closing is closed when no more calls shall come.
	closing <-chan struct{}
}

// Link serves the calls of another worker or of a client.
func (p peerHandler) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	ends, err := fromCaller(ctx)
	if err != nil {
		return err
	}
	var calls wire.CallReader
	return link.Serve(ctx, stream, link.Server{
		Take: func(request *link.Request, body []byte) {
			call, err := calls.Read(body)
			if err != nil {
				request.Answer(nil, fault.Malformed(connect.CodeInvalidArgument, "the call cannot be read: "+err.Error()))
				return
			}
			p.worker.Host.Serve(linked{request}, call)
		},
		Arrived: p.worker.Member.Arrived,
		Closing: p.closing,
		Valid:   func() bool { return !time.Now().After(ends) },
	})
}

// linked is a call that came on a link.
type linked struct{ *link.Request }

func (l linked) Answer(res *peerv1.InvokeResponse, err error) {
	l.Request.Answer(wire.Answer{Response: res}, err)
}

func (p peerHandler) Invoke(ctx context.Context, req *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	if _, err := fromCaller(ctx); err != nil {
		return nil, err
	}
	p.worker.Member.Arrived()
	call := &apart{Context: ctx, answered: make(chan struct{})}
	p.worker.Host.Serve(call, req)
	<-call.answered
	return call.res, call.err
}

// apart is a call that came as a request of its own.
type apart struct {
	context.Context

	// answered is closed when res and err are set.
	answered chan struct{}
	res      *peerv1.InvokeResponse
	err      error
}

func (a *apart) Answer(res *peerv1.InvokeResponse, err error) {
	a.res, a.err = proto.CloneOf(res), err
	close(a.answered)
}

func (a *apart) Notify(l link.Leaver) { context.AfterFunc(a.Context, l.Gone) }

// fromCaller checks that the connection is another worker's or a client's, and that the
// certificate that was shown when it began has not ended since. It returns when that ends.
func fromCaller(ctx context.Context) (ends time.Time, err error) {
	info, ok := connecthttp.ServerInfoForContext(ctx)
	if !ok || info.TLS() == nil {
		return ends, fault.Unauthenticated("it is not secured")
	}
	who, ok := pki.PeerOf(*info.TLS())
	if !ok || who.Role != pki.RoleWorker && who.Role != pki.RoleClient {
		return ends, fault.New(connect.CodePermissionDenied, &francisv1.ErrorDetail{
			Outcome: francisv1.Outcome_OUTCOME_NOTHING_HAPPENED,
		}, "only workers and clients call actors here; others use a gateway")
	}
	ends = info.TLS().PeerCertificates[0].NotAfter
	if time.Now().After(ends) {
		return ends, fault.Unauthenticated("its certificate has ended; connect again with the renewed one")
	}
	return ends, nil
}
