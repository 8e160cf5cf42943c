package member

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// authority signs for the workers of a test.
func authority(t *testing.T) *pki.Authority {
	t.Helper()
	secret, err := pki.ParseSecret([]byte("a runtime secret of the peer tests"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := pki.NewAuthority("default", secret)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func certificate(t *testing.T, authority *pki.Authority, worker string) *pki.Certificate {
	t.Helper()
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := authority.Issue(pki.Order{Identity: pki.Identity{Role: pki.RoleWorker, ID: worker}, CSR: request.CSR()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	made, err := request.Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// serve serves handler as the worker "there".
func serve(t *testing.T, authority *pki.Authority, handler http.Handler) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	holder := pki.NewHolder(certificate(t, authority, "there"), authority.Bundle())
	server := &http.Server{Handler: handler, TLSConfig: holder.MemberServer(pki.RoleWorker), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// A request that is under way when the certificate is renewed ends on the connection
// it began on; the next one shows the new certificate.
func TestRenewedCertificateOpensANewConnection(t *testing.T) {
	t.Parallel()
	authority := authority(t)
	arrived, open := make(chan struct{}), make(chan struct{})
	address := serve(t, authority, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-open
		}
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String()+" "+r.RemoteAddr)
	}))
	holder := pki.NewHolder(certificate(t, authority, "here"), authority.Bundle())
	transport := NewTransport(holder, time.Second, func(ctx context.Context) (net.Conn, error) {
		return Dial(ctx, address, holder.DialWorker("there"))
	})
	t.Cleanup(transport.CloseIdleConnections)
	get := func(path string) string {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://there"+path, http.NoBody)
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		return string(body)
	}
	before := get("/")
	if again := get("/"); again != before {
		t.Errorf("a second request went over %q, the first over %q", again, before)
	}
	slow := make(chan string)
	go func() { slow <- get("/slow") }()
	<-arrived
	holder.SetCertificate(certificate(t, authority, "here"))
	after := get("/")
	close(open)
	if during := <-slow; during != before {
		t.Errorf("the request that was under way went over %q, want %q", during, before)
	}
	if serial, _, _ := strings.Cut(before, " "); after == "" || strings.HasPrefix(after, serial+" ") {
		t.Errorf("after the renewal a request went over %q, before over %q", after, before)
	}
}

// answer is a worker that answers calls as told.
type answer struct{ err error }

func (a answer) Invoke(context.Context, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	return &peerv1.InvokeResponse{}, a.err
}

func (a answer) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	if connect.CodeOf(a.err) == connect.CodeUnauthenticated {
		return a.err
	}
	return link.Serve(ctx, stream, link.Server{
		Take: func(request *link.Request, _ []byte) {
			request.Answer(wire.Answer{Response: &peerv1.InvokeResponse{}}, a.err)
		},
		Valid: func() bool { return true },
	})
}

// newPeers is a member that knows one other worker.
func newPeers(t *testing.T, authority *pki.Authority, address string) *Member {
	t.Helper()
	m := New(Config{})
	holder := pki.NewHolder(certificate(t, authority, "here"), authority.Bundle())
	m.session.Store(newSession(m, &Membership{Worker: "here", Holder: holder, Lease: testLease}, m.now()))
	m.merge(&runtimev1.WatchResponse{Workers: []*runtimev1.Worker{{Id: "there", Address: address}}})
	t.Cleanup(m.peers.close)
	return m
}

func TestForwardErrors(t *testing.T) {
	t.Parallel()
	authority := authority(t)
	for name, test := range map[string]struct {
		answer error
		unsent bool
		code   connect.Code
	}{
		"answered":              {},
		"the certificate ended": {answer: fault.Unauthenticated("its certificate has ended"), unsent: true},
		"the actor's own":       {answer: fault.Superseded("probe/id1"), code: connect.CodeUnavailable},
		"no verdict":            {answer: connect.NewError(connect.CodeInternal, "reset"), code: connect.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rpc := connect.NewServer()
			peerv1connect.RegisterPeerServiceHandler(rpc, answer{test.answer})
			mux := http.NewServeMux()
			connecthttp.Mount(mux, rpc)
			m := newPeers(t, authority, serve(t, authority, mux))
			err := m.Forward(t.Context(), "there", &peerv1.InvokeRequest{}, &peerv1.InvokeResponse{})
			if (err == nil) != (test.answer == nil) || errors.Is(err, host.ErrUnsent) != test.unsent || !test.unsent && connect.CodeOf(err) != test.code && err != nil {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		m := newPeers(t, authority, "127.0.0.1:1")
		if err := m.Forward(t.Context(), "there", &peerv1.InvokeRequest{}, &peerv1.InvokeResponse{}); !errors.Is(err, host.ErrUnsent) {
			t.Errorf("the call ended with %v", err)
		}
	})
	t.Run("nobody by that name", func(t *testing.T) {
		t.Parallel()
		m := newPeers(t, authority, "127.0.0.1:1")
		if err := m.Forward(t.Context(), "nobody", &peerv1.InvokeRequest{}, &peerv1.InvokeResponse{}); !errors.Is(err, host.ErrUnsent) {
			t.Errorf("the call ended with %v", err)
		}
	})
}

// A client is kept for as long as the worker, its address and our membership stay.
func TestPeersFollowTheTable(t *testing.T) {
	t.Parallel()
	authority := authority(t)
	m := newPeers(t, authority, "127.0.0.1:1")
	get := func() *peer {
		t.Helper()
		got, err := m.peers.get("there")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := get()
	if get() != first {
		t.Error("a second call made a second client")
	}
	m.merge(&runtimev1.WatchResponse{Workers: []*runtimev1.Worker{{Id: "there", Address: "127.0.0.1:2"}}})
	moved := get()
	if moved == first || moved.address != "127.0.0.1:2" {
		t.Error("the client did not follow the address")
	}
	holder := pki.NewHolder(certificate(t, authority, "again"), authority.Bundle())
	m.session.Store(newSession(m, &Membership{Worker: "again", Holder: holder, Lease: testLease}, m.now()))
	if rejoined := get(); rejoined == moved || rejoined.holder != holder {
		t.Error("the client still shows the certificate of the earlier session")
	}
	m.merge(&runtimev1.WatchResponse{Gone: []string{"there"}})
	if len(m.peers.clients) != 0 {
		t.Error("the client of a worker that has gone is kept")
	}
	m.peers.close()
	m.merge(&runtimev1.WatchResponse{Workers: []*runtimev1.Worker{{Id: "there", Address: "127.0.0.1:2"}}})
	if _, err := m.peers.get("there"); connect.CodeOf(err) != connect.CodeUnavailable || errors.Is(err, host.ErrUnsent) {
		t.Errorf("a client after the end: %v", err)
	}
}

// silence is a worker that takes calls and answers none, as one whose process is stopped.
type silence struct{ taken chan struct{} }

func (s silence) Invoke(ctx context.Context, _ *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	s.taken <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s silence) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	return link.Serve(ctx, stream, link.Server{
		Take:  func(*link.Request, []byte) { s.taken <- struct{}{} },
		Valid: func() bool { return true },
	})
}

// Whoever waits for a worker that was declared dead is told soon that its outcome is
// unknown, although the connection looks well.
func TestCallsToAWorkerThatHasGoneEnd(t *testing.T) {
	t.Parallel()
	authority := authority(t)
	for name, size := range map[string]int{"a call": 1, "a large call": link.MaxRequest + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rpc := connect.NewServer()
			there := silence{make(chan struct{})}
			peerv1connect.RegisterPeerServiceHandler(rpc, there)
			mux := http.NewServeMux()
			connecthttp.Mount(mux, rpc)
			m := newPeers(t, authority, serve(t, authority, mux))
			failed := make(chan error)
			go func() {
				err := m.Forward(t.Context(), "there", &peerv1.InvokeRequest{Body: make([]byte, size)}, &peerv1.InvokeResponse{})
				failed <- err
			}()
			<-there.taken
			m.merge(&runtimev1.WatchResponse{Gone: []string{"there"}})
			gone := time.Now()
			err := <-failed
			if fault.Detail(err).GetOutcome() != francisv1.Outcome_OUTCOME_UNKNOWN || connect.CodeOf(err) != connect.CodeUnavailable {
				t.Errorf("the call ended with %v", err)
			}
			if took := time.Since(gone); took > pingAfter {
				t.Errorf("the call ended %v after the worker had gone", took)
			}
		})
	}
}
