package join

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	runtimePSK = "a runtime secret of 32 bytes ...."
	hostPSK    = "a host secret of 32 bytes ......."
)

func secretOf(t testing.TB, text string) pki.Secret {
	t.Helper()
	secret, err := pki.ParseSecret([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func authorityOf(t testing.TB, cluster string, texts ...string) *pki.Authority {
	t.Helper()
	var secrets []pki.Secret
	for _, text := range texts {
		secrets = append(secrets, secretOf(t, text))
	}
	authority, err := pki.NewAuthority(cluster, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// cluster is a runtime's port with both its servers, on loopback.
type cluster struct {
	t         testing.TB
	authority *pki.Authority
	holder    *pki.Holder
	server    *Server
	port      *Port
	address   string
	log       *lines
	// issued counts the certificates, and admit replaces the decision.
	issued atomic.Int64
	admit  func(Applicant) error
	// late moves the server's clock.
	late atomic.Int64
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, authority: authorityOf(t, "prod", runtimePSK), log: &lines{}}
	certificate, err := c.authority.IssueRuntime("r1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.holder = pki.NewHolder(certificate, c.authority.Bundle())
	logger := slog.New(slog.NewTextHandler(c.log, nil))
	c.server, err = NewServer(Config{Secret: secretOf(t, hostPSK), Bundle: c.authority.Bundle, Admit: c.decide, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	c.server.now = func() time.Time { return time.Now().Add(time.Duration(c.late.Load())) }
	c.listen(logger)
	return c
}

func (c *cluster) decide(_ context.Context, a Applicant) (Admission, error) {
	if c.admit != nil {
		if err := c.admit(a); err != nil {
			return Admission{}, err
		}
	}
	id := pki.NewID()
	der, err := c.authority.Issue(pki.Order{Identity: pki.Identity{Role: a.Role, ID: id}, CSR: a.CSR}, time.Now())
	if err != nil {
		return Admission{}, err
	}
	c.issued.Add(1)
	return Admission{ID: id, Certificate: der, Lease: 5 * time.Second}, nil
}

func (c *cluster) listen(logger *slog.Logger) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = listener.Addr().String()
	c.port, err = NewPort(PortConfig{Listener: listener, TLS: c.holder.JoinServer(pki.RoleWorker, pki.RoleClient), Logger: logger})
	if err != nil {
		c.t.Fatal(err)
	}
	members := &http.Server{Handler: http.HandlerFunc(greet), ReadHeaderTimeout: time.Second}
	joiners := c.server.HTTPServer()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = members.Serve(c.port.Members()) })
	group.Go(func() { _ = joiners.Serve(c.port.Joiners()) })
	group.Go(func() { _ = c.port.Run(ctx) })
	c.t.Cleanup(func() {
		cancel()
		_ = members.Close()
		_ = joiners.Close()
		group.Wait()
	})
}

// greet says whom the members' server sees.
func greet(w http.ResponseWriter, r *http.Request) {
	identity, _ := pki.PeerOf(*r.TLS)
	_, _ = w.Write([]byte(identity.String()))
}

func (c *cluster) trust() pki.Trust {
	trust, err := pki.Pinned(c.authority.Bundle().PEM())
	if err != nil {
		c.t.Fatal(err)
	}
	return trust
}

func (c *cluster) request() Request {
	return Request{Runtime: c.address, Trust: c.trust(), Secret: secretOf(c.t, hostPSK), Role: pki.RoleWorker, Address: "127.0.0.1:7571", Types: []string{"myactor"}}
}

// attempt opens a connection as a worker does, and stops before the first call.
func (c *cluster) attempt(req Request) *attempt {
	c.t.Helper()
	line, err := dial(c.ctx(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(line.close)
	attempt, err := newAttempt(req, line)
	if err != nil {
		c.t.Fatal(err)
	}
	return attempt
}

func (c *cluster) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	return ctx
}

// begin sends one hello and puts another into the transcript: nil is the same one.
func (c *cluster) begin(a *attempt, believed func(*runtimev1.JoinHello)) error {
	hello := a.hello()
	sent, _ := proto.Marshal(hello)
	if believed != nil {
		believed(hello)
	}
	thought, _ := proto.Marshal(hello)
	answer, err := a.line.calls.Begin(c.ctx(), &runtimev1.BeginRequest{Hello: sent})
	if err != nil {
		return err
	}
	a.transcript.add(thought)
	a.transcript.add(answer.GetChallenge())
	return nil
}

func (a *attempt) proof() []byte {
	return a.transcript.prove(a.request.Secret, clientLabel, a.line.binding)
}

func (c *cluster) prove(a *attempt, proof []byte) error {
	_, err := a.line.calls.Prove(c.ctx(), &runtimev1.ProveRequest{Proof: proof})
	return err
}

// lines is a log that counts.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }

// get asks an HTTP server over that TLS configuration.
func get(t testing.TB, address string, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// silent is the log of servers whose handshakes fail on purpose.
func silent() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) }

func codeOf(err error) connect.Code { return connect.CodeOf(err) }
