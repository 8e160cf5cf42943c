package join

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/pki"
)

// abuses are the attacks of T21 by whoever does not know the secret, or changes what
// somebody sent who does. In brackets: what each breaks without.
var abuses = map[string]func(*cluster, *attempt) error{
	// [the key in the HMAC]
	"wrong secret": func(c *cluster, a *attempt) error {
		a.request.Secret = secretOf(c.t, runtimePSK)
		_ = c.begin(a, nil)
		return c.prove(a, a.proof())
	},
	// [the check for an open challenge]
	"no challenge": func(c *cluster, a *attempt) error { return c.prove(a, a.proof()) },
	// [the size check of hmac.Equal]
	"no proof":  func(c *cluster, a *attempt) error { _ = c.begin(a, nil); return c.prove(a, nil) },
	"cut proof": func(c *cluster, a *attempt) error { _ = c.begin(a, nil); return c.prove(a, a.proof()[:31]) },
	// [a key and a label for each direction]
	"reflection": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		return c.prove(a, a.transcript.prove(a.request.Secret, serverLabel, a.line.binding))
	},
	// [taking the challenge away, also after a failure]
	"second guess": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		_ = c.prove(a, []byte("guess"))
		return c.prove(a, a.proof())
	},
	"replay on the same connection": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		if err := c.prove(a, a.proof()); err != nil {
			return errors.New("the first proof was right")
		}
		c.issued.Add(-1)
		return c.prove(a, a.proof())
	},
	// [the server's nonce]
	"proof of an older challenge": func(c *cluster, a *attempt) error {
		older := *a
		older.transcript = newTranscript()
		_ = c.begin(&older, nil)
		_ = c.begin(a, nil)
		a.transcript = older.transcript
		return c.prove(a, a.proof())
	},
	// [keeping the challenge with its connection]
	"replay on another connection": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		return c.prove(c.attempt(c.request()), a.proof())
	},
	// [the channel binding: everything else is equal, as for a proxy that relays]
	"another channel": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		a.line.binding = c.attempt(c.request()).line.binding
		return c.prove(a, a.proof())
	},
	"no channel": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		a.line.binding = nil
		return c.prove(a, a.proof())
	},
	// [the hello in the transcript: whole, not some of its fields]
	"changed CSR": changed(func(h *runtimev1.JoinHello) {
		other, _ := pki.NewRequest()
		h.Csr = other.CSR()
	}),
	"changed address": changed(func(h *runtimev1.JoinHello) { h.Address = "127.0.0.1:7572" }),
	"changed types":   changed(func(h *runtimev1.JoinHello) { h.Types = []string{"other"} }),
	"added type":      changed(func(h *runtimev1.JoinHello) { h.Types = append(h.Types, "other") }),
	"changed role":    changed(func(h *runtimev1.JoinHello) { h.Role = runtimev1.JoinRole_JOIN_ROLE_CLIENT }),
	"role left out":   changed(func(h *runtimev1.JoinHello) { h.Role = 0 }),
	"changed nonce":   changed(func(h *runtimev1.JoinHello) { h.Nonce = newNonce() }),
	"downgraded":      changed(func(h *runtimev1.JoinHello) { h.NewestVersion = 1 }),
	"raised":          changed(func(h *runtimev1.JoinHello) { h.OldestVersion = 0 }),
	"unknown field":   changed(func(h *runtimev1.JoinHello) { h.ProtoReflect().SetUnknown([]byte{0x98, 0x06, 0x01}) }),
	// [the challenge in the transcript]
	"changed challenge": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		a.transcript = newTranscript()
		hello, _ := proto.Marshal(a.hello())
		challenge, _ := proto.Marshal(&runtimev1.JoinChallenge{Nonce: newNonce(), Version: 2})
		a.transcript.add(hello)
		a.transcript.add(challenge)
		return c.prove(a, a.proof())
	},
	// [the deadline]
	"stale challenge": func(c *cluster, a *attempt) error {
		_ = c.begin(a, nil)
		c.late.Store(int64(challengeTTL))
		return c.prove(a, a.proof())
	},
}

// changed is what happens when somebody on the way changes the hello: the worker
// proves another one than the runtime has received.
func changed(believed func(*runtimev1.JoinHello)) func(*cluster, *attempt) error {
	return func(c *cluster, a *attempt) error {
		if err := c.begin(a, believed); err != nil {
			return err
		}
		return c.prove(a, a.proof())
	}
}

// Every abuse gets the same error, to the byte, and no certificate.
func TestAbuseIsRefusedAlike(t *testing.T) {
	t.Parallel()
	for name, abuse := range abuses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t)
			err := abuse(c, c.attempt(c.request()))
			coded, ok := errors.AsType[*connect.Error](err)
			if !ok || coded.Code() != connect.CodeUnauthenticated || coded.Message() != errRefused.Message() || len(coded.Details()) != 0 {
				t.Errorf("error %v", err)
			}
			if issued := c.issued.Load(); issued != 0 {
				t.Errorf("%d certificates were issued", issued)
			}
			if !strings.Contains(c.log.String(), "join refused") {
				t.Errorf("no line in the log:\n%s", c.log)
			}
		})
	}
}

// The same steps without an abuse succeed, so the table above tests what it says.
func TestNoAbuseIsAdmitted(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	a := c.attempt(c.request())
	if err := c.begin(a, nil); err != nil {
		t.Fatal(err)
	}
	c.late.Store(int64(challengeTTL - time.Second)) // just in time
	if err := c.prove(a, a.proof()); err != nil || c.issued.Load() != 1 {
		t.Errorf("%v, %d certificates", err, c.issued.Load())
	}
}

// One challenge, many proofs at once: breaks without the lock around taking it.
func TestOneChallengeAdmitsOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	a := c.attempt(c.request())
	if err := c.begin(a, nil); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { _ = c.prove(a, a.proof()) })
	}
	group.Wait()
	if c.issued.Load() != 1 {
		t.Errorf("%d certificates", c.issued.Load())
	}
}

// middle terminates TLS between worker and runtime: it has a certificate of its own
// and passes every message on as it is.
type middle struct {
	runtimev1connect.UnimplementedJoinServiceHandler
	calls runtimev1connect.JoinServiceClient
	seen  atomic.Int64
}

func (m *middle) Begin(ctx context.Context, req *runtimev1.BeginRequest) (*runtimev1.BeginResponse, error) {
	m.seen.Add(1)
	return passOn(m.calls.Begin(ctx, req))
}

func (m *middle) Prove(ctx context.Context, req *runtimev1.ProveRequest) (*runtimev1.ProveResponse, error) {
	return passOn(m.calls.Prove(ctx, req))
}

// passOn makes the runtime's error the proxy's own, as a proxy that copies bytes does.
func passOn[T any](answer T, err error) (T, error) {
	if coded, ok := errors.AsType[*connect.Error](err); ok {
		return answer, connect.NewError(coded.Code(), coded.Message())
	}
	return answer, err
}

func serveJoin(t *testing.T, pair tls.Certificate, handler runtimev1connect.JoinServiceHandler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rpc := connect.NewServer()
	runtimev1connect.RegisterJoinServiceHandler(rpc, handler)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc)
	server := &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ReadHeaderTimeout: time.Second, ErrorLog: silent()}
	var group sync.WaitGroup
	group.Go(func() { _ = server.ServeTLS(listener, "", "") })
	t.Cleanup(func() { _ = server.Close(); group.Wait() })
	return listener.Addr().String()
}

// selfSigned is anybody's certificate.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	public, key, _ := ed25519.GenerateKey(rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"proxy"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A proxy that terminates TLS can neither join nor let join: with a pin the worker
// sends it nothing, without one the runtime refuses the proof, which was made for
// another connection. Breaks without the channel binding in the client's proof.
func TestRelayThroughAProxyThatTerminatesTLS(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	m := &middle{calls: c.attempt(c.request()).line.calls}
	address := serveJoin(t, selfSigned(t), m)
	pinned := c.request()
	pinned.Runtime = address
	if _, err := Join(c.ctx(), pinned); !errors.Is(err, pki.ErrIdentity) || m.seen.Load() != 0 {
		t.Errorf("pinned: %v after %d messages", err, m.seen.Load())
	}
	open := pinned
	open.Trust = pki.UnsafeNoPin()
	_, err := Join(c.ctx(), open)
	if codeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), "terminates TLS") || m.seen.Load() != 1 {
		t.Errorf("no pin: %v after %d messages", err, m.seen.Load())
	}
	if c.issued.Load() != 0 {
		t.Errorf("%d certificates", c.issued.Load())
	}
}

// fake is a server that answers by itself. It may know the secret.
type fake struct {
	runtimev1connect.UnimplementedJoinServiceHandler
	secret     pki.Secret
	version    uint32
	issue      func(*runtimev1.JoinHello) *runtimev1.JoinIssued
	label      string
	spoil      func(*runtimev1.ProveResponse)
	hello      *runtimev1.JoinHello
	transcript transcript
}

func (f *fake) Begin(_ context.Context, req *runtimev1.BeginRequest) (*runtimev1.BeginResponse, error) {
	f.hello = &runtimev1.JoinHello{}
	_ = proto.Unmarshal(req.GetHello(), f.hello)
	challenge, _ := proto.Marshal(&runtimev1.JoinChallenge{Nonce: newNonce(), Version: f.version})
	f.transcript = newTranscript()
	f.transcript.add(req.GetHello())
	f.transcript.add(challenge)
	return &runtimev1.BeginResponse{Challenge: challenge}, nil
}

func (f *fake) Prove(ctx context.Context, req *runtimev1.ProveRequest) (*runtimev1.ProveResponse, error) {
	info, _ := connecthttp.ServerInfoForContext(ctx)
	bound, err := binding(info.TLS())
	if err != nil {
		return nil, err
	}
	issued, _ := proto.Marshal(f.issue(f.hello))
	f.transcript.add(req.GetProof())
	f.transcript.add(issued)
	answer := &runtimev1.ProveResponse{Issued: issued, Proof: f.transcript.prove(f.secret, f.label, bound)}
	if f.spoil != nil {
		f.spoil(answer)
	}
	return answer, nil
}

// What a worker refuses of a server, whether that knows the secret or not. In
// brackets: what each breaks without.
func TestWorkerRefusesTheServer(t *testing.T) {
	t.Parallel()
	right, other, stage := authorityOf(t, "prod", runtimePSK), authorityOf(t, "prod", runtimePSK+"2"), authorityOf(t, "stage", runtimePSK)
	tests := map[string]struct {
		change func(*fake)
		good   func(*runtimev1.JoinIssued)
		want   string
	}{
		"nothing wrong": {want: ""},
		// [the server's proof]
		"another secret": {change: func(f *fake) { f.secret = secretOf(t, runtimePSK) }, want: ErrImpostor.Error()},
		"our own key":    {change: func(f *fake) { f.label = clientLabel }, want: ErrImpostor.Error()},
		"no proof":       {change: func(f *fake) { f.spoil = func(r *runtimev1.ProveResponse) { r.Proof = nil } }, want: ErrImpostor.Error()},
		// [what was issued in the transcript]
		"changed answer": {change: func(f *fake) {
			f.spoil = func(r *runtimev1.ProveResponse) { r.Issued = append(r.GetIssued(), 0x98, 0x06, 0x01) }
		}, want: ErrImpostor.Error()},
		// [the version range of our own]
		"future version": {change: func(f *fake) { f.version = 9 }, want: "version 9"},
		"no version":     {change: func(f *fake) { f.version = 0 }, want: "version 0"},
		// [the checks of member.go]
		"other worker":        {good: func(i *runtimev1.JoinIssued) { i.Worker = "other" }, want: "another member"},
		"other cluster":       {good: func(i *runtimev1.JoinIssued) { i.Cluster = "stage" }, want: "another cluster"},
		"no lease":            {good: func(i *runtimev1.JoinIssued) { i.Lease = nil }, want: "no lease"},
		"no authorities":      {good: func(i *runtimev1.JoinIssued) { i.Authorities = nil }, want: "unusable CA"},
		"foreign authorities": {good: func(i *runtimev1.JoinIssued) { i.Authorities = other.Bundle().DER() }, want: "does not fit the authorities"},
		"stage's authorities": {good: func(i *runtimev1.JoinIssued) { i.Authorities, i.Cluster = stage.Bundle().DER(), "stage" }, want: "does not fit the authorities"},
		"no certificate":      {good: func(i *runtimev1.JoinIssued) { i.Certificate = nil }, want: "issued certificate"},
		"a CA as certificate": {good: func(i *runtimev1.JoinIssued) { i.Certificate = right.Bundle().DER()[0] }, want: "another key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{secret: secretOf(t, hostPSK), version: 1, label: serverLabel}
			f.issue = func(hello *runtimev1.JoinHello) *runtimev1.JoinIssued {
				issued := properly(t, right, hello.GetCsr(), pki.RoleWorker)
				if test.good != nil {
					test.good(issued)
				}
				return issued
			}
			if test.change != nil {
				test.change(f)
			}
			checkRefusal(t, joinFake(t, right, f, pki.RoleWorker), test.want)
		})
	}
}

func checkRefusal(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// Breaks without the role in verifyOwn: nobody becomes by mistake what it did not ask for.
func TestAnotherRoleIsRefused(t *testing.T) {
	t.Parallel()
	right := authorityOf(t, "prod", runtimePSK)
	for _, wanted := range []pki.Role{pki.RoleWorker, pki.RoleClient} {
		for _, issued := range []pki.Role{pki.RoleWorker, pki.RoleRuntime, pki.RoleClient} {
			f := &fake{secret: secretOf(t, hostPSK), version: spoken.newest, label: serverLabel}
			f.issue = func(hello *runtimev1.JoinHello) *runtimev1.JoinIssued {
				return properly(t, right, hello.GetCsr(), issued)
			}
			want := ""
			if issued != wanted {
				want = "wrong certificate"
			}
			checkRefusal(t, joinFake(t, right, f, wanted), want)
		}
	}
}

func properly(t *testing.T, authority *pki.Authority, csr []byte, role pki.Role) *runtimev1.JoinIssued {
	t.Helper()
	id := pki.NewID()
	der, err := authority.Issue(pki.Order{Identity: pki.Identity{Role: role, ID: id}, CSR: csr}, time.Now())
	if err != nil {
		t.Error(err)
	}
	return &runtimev1.JoinIssued{
		Worker: id, Cluster: authority.Cluster(), Certificate: der,
		Authorities: authority.Bundle().DER(), Lease: durationpb.New(time.Second),
	}
}

// joinFake joins at a fake that has a runtime's certificate, without a pin.
func joinFake(t *testing.T, authority *pki.Authority, f *fake, role pki.Role) error {
	t.Helper()
	certificate, err := authority.IssueRuntime("r1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewHolder(certificate, authority.Bundle()).JoinServer().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	req := Request{Runtime: serveJoin(t, *pair, f), Trust: pki.UnsafeNoPin(), Secret: secretOf(t, hostPSK), Role: role}
	if role == pki.RoleWorker {
		req.Address = "127.0.0.1:7571"
	}
	_, err = Join(t.Context(), req)
	return err
}

// What cannot be a hello is told so: it says nothing about the secret.
func TestUnreadableHello(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	good := func() *runtimev1.JoinHello { return c.attempt(c.request()).hello() }
	tests := map[string]struct {
		hello  []byte
		change func(*runtimev1.JoinHello)
		code   connect.Code
	}{
		"no protobuf":    {hello: []byte{0xff}, code: connect.CodeInvalidArgument},
		"empty":          {hello: []byte{}, code: connect.CodeInvalidArgument},
		"short nonce":    {change: func(h *runtimev1.JoinHello) { h.Nonce = h.GetNonce()[:31] }, code: connect.CodeInvalidArgument},
		"no method":      {change: func(h *runtimev1.JoinHello) { h.Method = 0 }, code: connect.CodeFailedPrecondition},
		"unknown method": {change: func(h *runtimev1.JoinHello) { h.Method = 7 }, code: connect.CodeFailedPrecondition},
		"no range":       {change: func(h *runtimev1.JoinHello) { h.OldestVersion = 9 }, code: connect.CodeInvalidArgument},
	}
	for name, test := range tests {
		encoded := test.hello
		if test.change != nil {
			hello := good()
			test.change(hello)
			encoded, _ = proto.Marshal(hello)
		}
		a := c.attempt(c.request())
		if _, err := a.line.calls.Begin(c.ctx(), &runtimev1.BeginRequest{Hello: encoded}); codeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
		// Breaks when a refused hello leaves a challenge behind.
		if err := c.prove(a, a.proof()); err == nil {
			t.Errorf("%s: admitted", name)
		}
	}
}

func FuzzReadHello(f *testing.F) {
	server, err := NewServer(Config{Secret: secretOf(f, hostPSK), Bundle: authorityOf(f, "prod", runtimePSK).Bundle, Admit: func(context.Context, Applicant) (Admission, error) {
		return Admission{}, nil
	}})
	if err != nil {
		f.Fatal(err)
	}
	seed, _ := proto.Marshal(&runtimev1.JoinHello{Method: 1, Nonce: newNonce(), Address: "127.0.0.1:1", Types: []string{"a"}, OldestVersion: 1, NewestVersion: 1})
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		hello, version, err := service{server}.read(encoded)
		if err != nil {
			return
		}
		if !spoken.holds(version) || len(hello.GetNonce()) != nonceSize {
			t.Errorf("version %d, nonce of %d bytes", version, len(hello.GetNonce()))
		}
		if who, err := applicant(hello, version, ""); err == nil && ((who.Address == "") != (who.Role == pki.RoleClient) || len(who.Types) > maxTypes) {
			t.Errorf("%+v is admitted", who)
		}
	})
}
