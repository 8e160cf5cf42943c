package join

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/pki"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	var got Applicant
	c.admit = func(a Applicant) error { got = a; return nil }
	for name, trust := range map[string]pki.Trust{"pinned": c.trust(), "no pin": pki.UnsafeNoPin()} {
		req := c.request()
		req.Trust = trust
		member, err := Join(c.ctx(), req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		own := pki.Identity{Cluster: "prod", Role: pki.RoleWorker, ID: member.ID}
		if member.Cluster != "prod" || member.Version != spoken.newest || member.Lease != 5*time.Second || member.Holder.Certificate().Identity() != own {
			t.Errorf("%s: %+v", name, member)
		}
		if !member.Holder.Bundle().Equal(c.authority.Bundle()) {
			t.Errorf("%s: it got other authorities", name)
		}
		if got.Role != pki.RoleWorker || got.Address != req.Address || !slices.Equal(got.Types, req.Types) || got.Version != spoken.newest || !strings.HasPrefix(got.Source, "127.0.0.1:") {
			t.Errorf("%s: applicant %+v", name, got)
		}
		if seen := c.greeted(member.Holder); seen != own.String() {
			t.Errorf("%s: the members' server sees %q", name, seen)
		}
	}
	if c.log.count("role=worker") != 2 || strings.Contains(c.log.String(), hostPSK) {
		t.Errorf("log:\n%s", c.log)
	}
}

// greeted is whom the members' server sees behind the new certificate.
func (c *cluster) greeted(holder *pki.Holder) string {
	answer, err := get(c.t, c.address, holder.DialRuntime()).Get("https://" + c.address + "/")
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// A bad secret of either side ends in one error, and no certificate.
func TestJoinWithAnotherSecret(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	req := c.request()
	req.Secret = secretOf(t, runtimePSK)
	_, err := Join(c.ctx(), req)
	if codeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), "host PSK") || !strings.Contains(err.Error(), "terminates TLS") {
		t.Errorf("error %v", err)
	}
	if c.issued.Load() != 0 || !strings.Contains(c.log.String(), errWrongProof.Error()) {
		t.Errorf("%d certificates; log:\n%s", c.issued.Load(), c.log)
	}
}

func TestJoinWithAnotherPin(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for name, test := range map[string]struct {
		authority *pki.Authority
		want      error
	}{
		"other key":     {authorityOf(t, "prod", hostPSK), pki.ErrUnknownAuthority},
		"other cluster": {authorityOf(t, "stage", runtimePSK), pki.ErrWrongCluster},
	} {
		req := c.request()
		req.Trust, _ = pki.Pinned(test.authority.Bundle().PEM())
		if _, err := Join(c.ctx(), req); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJoinChecksItsRequest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Request){
		"no secret":  func(r *Request) { r.Secret = pki.Secret{} },
		"no role":    func(r *Request) { r.Role = "" },
		"a runtime":  func(r *Request) { r.Role = pki.RoleRuntime },
		"no address": func(r *Request) { r.Address = "" },
		"any host":   func(r *Request) { r.Address = "0.0.0.0:7571" },
		"bad type":   func(r *Request) { r.Types = []string{"a/b"} },
	} {
		req := Request{Runtime: "127.0.0.1:1", Secret: secretOf(t, hostPSK), Role: pki.RoleWorker, Address: "127.0.0.1:7571"}
		change(&req)
		req.Dial = func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: dialled", name)
			return nil, io.EOF
		}
		if _, err := Join(t.Context(), req); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestVersionMismatchNamesBothRanges(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.server.spoken = versions{8, 9}
	for range 2 {
		_, err := Join(c.ctx(), c.request())
		if codeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "8 to 9") || !strings.Contains(err.Error(), fmt.Sprintf("%d to %d", spoken.oldest, spoken.newest)) {
			t.Errorf("error %v", err)
		}
	}
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server, client versions
		want           uint32
	}{
		{versions{1, 1}, versions{1, 1}, 1},
		{versions{1, 3}, versions{2, 5}, 3},
		{versions{2, 5}, versions{1, 3}, 3},
		{versions{1, 1}, versions{2, 2}, 0},
		{versions{3, 4}, versions{1, 2}, 0},
		{versions{1, 1}, versions{0, 1}, 0},
		{versions{1, 1}, versions{2, 1}, 0},
	} {
		if got, err := negotiate(test.server, test.client); got != test.want || (err == nil) != (test.want > 0) {
			t.Errorf("%v and %v: %d, %v", test.server, test.client, got, err)
		}
	}
}

// A worker that has proved itself is told what is wrong; nobody else is.
func TestRefusedAfterTheProof(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	tests := map[string]struct {
		change func(*Request)
		admit  error
		code   connect.Code
		want   string
	}{
		"address":    {change: func(r *Request) { r.Address = "nowhere" }, code: connect.CodeInvalidArgument, want: `"nowhere" is not host:port`},
		"any host":   {change: func(r *Request) { r.Address = "[::]:1" }, code: connect.CodeInvalidArgument, want: "names no machine"},
		"type":       {change: func(r *Request) { r.Types = []string{"a b"} }, code: connect.CodeInvalidArgument, want: "actor type"},
		"type twice": {change: func(r *Request) { r.Types = []string{"a", "a"} }, code: connect.CodeInvalidArgument, want: "twice"},
		"types":      {change: func(r *Request) { r.Types = make([]string, maxTypes+1) }, code: connect.CodeInvalidArgument, want: "1025 actor types"},
		"the engine": {admit: connect.NewError(connect.CodeAlreadyExists, "that address is taken"), code: connect.CodeAlreadyExists, want: "that address is taken"},
		"a fault":    {admit: errors.New("the password of the store is x"), code: connect.CodeInternal, want: "its log has the cause"},
		"a relayed":  {admit: connect.NewError(connect.CodeNotFound, "inner").WithRemote(), code: connect.CodeInternal, want: "its log has the cause"},
		"a request":  {admit: pki.ErrRequest, code: connect.CodeInvalidArgument, want: "certificate request"},
	}
	for name, test := range tests {
		req := c.request()
		if test.change != nil {
			test.change(&req)
		}
		c.admit = func(Applicant) error { return test.admit }
		a := c.attempt(req)
		_, err := a.run(c.ctx())
		if codeOf(err) != test.code || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.issued.Load() != 0 {
		t.Errorf("%d certificates", c.issued.Load())
	}
}

// A proxy that terminates TLS and speaks plain HTTP to the runtime: the message says
// why it cannot work.
func TestBehindAProxyThatTerminatesTLS(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := c.server.HTTPServer()
	go func() { _ = plain.Serve(listener) }()
	t.Cleanup(func() { _ = plain.Close() })
	calls := runtimev1connect.NewJoinServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{}, "http://"+listener.Addr().String())))
	_, err = calls.Begin(c.ctx(), &runtimev1.BeginRequest{})
	if codeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "a proxy terminates TLS") {
		t.Errorf("error %v", err)
	}
}

// Whoever comes to the wrong port reads what it is.
func TestStrangersReadWhatThePortIs(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	t.Run("plain HTTP", func(t *testing.T) {
		answer, err := http.Get("http://" + c.address + "/invoke/myactor/id1/increment") //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "speaks TLS 1.3") {
			t.Errorf("%d %s", answer.StatusCode, text)
		}
	})
	t.Run("HTTPS", func(t *testing.T) {
		answer, err := get(t, c.address, pki.UnsafeNoPin().DialRuntime()).Get("https://" + c.address + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusNotFound || strings.TrimSpace(string(text)) != stray {
			t.Errorf("%d %s", answer.StatusCode, text)
		}
	})
	// Breaks when connections without a certificate reach the members' server.
	t.Run("a member's call", func(t *testing.T) {
		over := connecthttp.NewTransport(get(t, c.address, pki.UnsafeNoPin().DialRuntime()), "https://"+c.address)
		_, err := runtimev1connect.NewWorkerServiceClient(connect.NewClient(over)).Renew(c.ctx(), &runtimev1.RenewRequest{})
		if codeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("error %v", err)
		}
	})
}

// endless is a body that counts what is taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.taken.Add(int64(len(p))) > 64<<20 {
		return 0, io.EOF
	}
	return len(p), nil
}

// Breaks without both limits, of the body and of the message.
func TestEndlessBodyIsCutOff(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	client, body := get(t, c.address, pki.UnsafeNoPin().DialRuntime()), &endless{}
	req, _ := http.NewRequestWithContext(c.ctx(), http.MethodPost, "https://"+c.address+runtimev1connect.JoinServiceBeginProcedure, body)
	req.Header.Set("Content-Type", "application/proto")
	if answer, err := client.Do(req); err == nil {
		_ = answer.Body.Close()
	}
	if taken := body.taken.Load(); taken > 1<<20 {
		t.Errorf("%d bytes were taken", taken)
	}
}

// Breaks without a limit, and when compression is on.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	a := c.attempt(c.request())
	_, err := a.line.calls.Begin(c.ctx(), &runtimev1.BeginRequest{Hello: make([]byte, maxBody)})
	if codeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a large hello: %v", err)
	}
	client := get(t, c.address, pki.UnsafeNoPin().DialRuntime())
	req, _ := http.NewRequestWithContext(c.ctx(), http.MethodPost, "https://"+c.address+runtimev1connect.JoinServiceBeginProcedure, bytes.NewReader([]byte{0x1f, 0x8b}))
	req.Header.Set("Content-Type", "application/proto")
	req.Header.Set("Content-Encoding", "gzip")
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotImplemented {
		t.Errorf("a compressed hello: %s", answer.Status)
	}
}

func TestJoinAtSomethingElse(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	member, err := Join(c.ctx(), c.request())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		serve func(net.Listener) *http.Server
		want  string
	}{
		"a gateway":  {func(l net.Listener) *http.Server { s := &http.Server{}; go func() { _ = s.Serve(l) }(); return s }, "does not speak TLS"},
		"a worker":   {serveTLS(member.Holder), "expected; check the address"},
		"nothing":    {func(l net.Listener) *http.Server { _ = l.Close(); return &http.Server{} }, "refused"},
		"hanging up": {hangUp, "EOF"},
	}
	for name, test := range tests {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := test.serve(listener)
		req := c.request()
		req.Runtime = listener.Addr().String()
		if _, err := Join(c.ctx(), req); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		_ = server.Close()
		_ = listener.Close()
	}
}

func serveTLS(holder *pki.Holder) func(net.Listener) *http.Server {
	return func(l net.Listener) *http.Server {
		server := &http.Server{TLSConfig: holder.MemberServer(pki.RoleWorker), ErrorLog: silent()}
		go func() { _ = server.ServeTLS(l, "", "") }()
		return server
	}
}

func hangUp(l net.Listener) *http.Server {
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // what is not read when a connection is closed resets it
		_ = conn.Close()
	}()
	return &http.Server{}
}
