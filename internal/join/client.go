package join

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	// joinTimeout bounds a join whose context has no deadline.
	joinTimeout = 15 * time.Second
	// maxAnswer is the largest answer of a runtime: a certificate and a full bundle.
	maxAnswer = 64 << 10
)

// ErrImpostor means that the server did not prove that it knows the host PSK.
var ErrImpostor = errors.New("the server could not prove that it knows the host PSK: it is no runtime of this cluster, or a proxy between terminates TLS; pin the CA that `runtime print-ca` prints, and let proxies pass TCP through")

// Stranger reports whether a join failed because the server is no runtime of the cluster
// that is trusted, or does not know the host PSK.
func Stranger(err error) bool {
	return errors.Is(err, ErrImpostor) || errors.Is(err, pki.ErrWrongCluster) || errors.Is(err, pki.ErrUnknownAuthority)
}

// Request is a worker or a client that wants to join.
type Request struct {
	// Role is what it wants to be: a worker, or a client, which has no address and no types.
	Role pki.Role
	// Runtime is the address of a runtime, "host:port".
	Runtime string
	// Trust recognises the runtime.
	Trust pki.Trust
	// Secret is the host PSK.
	Secret pki.Secret
	// Address is where other workers reach this one, "host:port".
	Address string
	// Types are the actor types that it serves.
	Types []string
	// Dial opens the TCP connection; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Membership is what a join gives.
type Membership struct {
	// ID is the id of the worker or client, never given before.
	ID string
	// Cluster is the name of the cluster.
	Cluster string
	// Holder has the new certificate and the cluster's authorities.
	Holder *pki.Holder
	// Version is the version of the protocol that both sides speak.
	Version uint32
	// Lease is how long the first lease of a worker lasts, counted from when the proof was
	// sent, or from before; to a client it says how long those of workers last.
	Lease time.Duration
}

// Join joins a cluster through one runtime, over one connection of its own, which it
// closes. An error of the runtime is a *connect.Error: unauthenticated for a wrong
// proof, resource_exhausted after too many of them, failed_precondition for another
// protocol version, invalid_argument for a wrong address or types, or what the
// runtime's engine said. With [ErrImpostor] the fault is the server's.
func Join(ctx context.Context, req Request) (*Membership, error) {
	if err := req.validate(); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	line, err := dial(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("join through %s: %w", req.Runtime, pki.Explain(err))
	}
	defer line.close()
	attempt, err := newAttempt(req, line)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	member, err := attempt.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("join through %s: %w", req.Runtime, pki.Explain(err))
	}
	return member, nil
}

func (r Request) validate() error {
	if r.Secret.IsZero() {
		return errors.New("the host PSK is missing")
	}
	if r.Role != pki.RoleWorker && r.Role != pki.RoleClient {
		return fmt.Errorf("a %q does not join, only workers and clients do", r.Role)
	}
	return checkHosting(r.Role, r.Address, r.Types)
}

// hello is the role as the runtime is told it.
func (r Request) hello() runtimev1.JoinRole {
	if r.Role == pki.RoleClient {
		return runtimev1.JoinRole_JOIN_ROLE_CLIENT
	}
	return runtimev1.JoinRole_JOIN_ROLE_WORKER
}

// spoken are the versions that it can join with.
func (r Request) spoken() versions {
	if r.Role == pki.RoleClient {
		return versions{max(spoken.oldest, clientsSince), spoken.newest}
	}
	return spoken
}

// line is one TLS connection to a runtime, and the calls on it.
type line struct {
	conn  *tls.Conn
	http  *http.ClientConn
	calls runtimev1connect.JoinServiceClient
	// binding is our end's view of the connection.
	binding []byte
}

func dial(ctx context.Context, req Request) (*line, error) {
	open := req.Dial
	if open == nil {
		open = (&net.Dialer{}).DialContext
	}
	raw, err := open(ctx, "tcp", req.Runtime)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, req.Trust.DialRuntime())
	opened, err := openLine(ctx, conn, req.Runtime)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return opened, nil
}

// openLine puts HTTP/2 onto the connection. Nothing is sent before the handshake has
// verified the runtime.
func openLine(ctx context.Context, conn *tls.Conn, address string) (*line, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, explainHandshake(err)
	}
	state := conn.ConnectionState()
	bound, err := binding(&state)
	if err != nil {
		return nil, err
	}
	over, err := transport(conn).NewClientConn(ctx, "https", address)
	if err != nil {
		return nil, err
	}
	calls := connect.NewClient(connecthttp.NewTransport(single{over}, "https://"+address,
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(maxAnswer)))
	return &line{conn: conn, http: over, calls: runtimev1connect.NewJoinServiceClient(calls), binding: bound}, nil
}

// transport speaks HTTP/2 on that one connection and never opens another.
func transport(conn *tls.Conn) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	return &http.Transport{
		Protocols:      &protocols,
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
}

func (l *line) close() {
	_ = l.http.Close()
	_ = l.conn.Close()
}

// single makes calls on one connection: no pool, no redirect, no proxy.
type single struct{ conn *http.ClientConn }

// Do sends a request.
func (s single) Do(req *http.Request) (*http.Response, error) { return s.conn.RoundTrip(req) }

// explainHandshake says what to do about a server that is no runtime at all.
func explainHandshake(err error) error {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("the server does not speak TLS: give the runtime's bind address: %w", err)
	}
	return err
}

// attempt is one run of the handshake.
type attempt struct {
	request Request
	line    *line
	key     *pki.Request
	spoken  versions
	// transcript grows with every message.
	transcript transcript
}

func newAttempt(req Request, line *line) (*attempt, error) {
	key, err := pki.NewRequest()
	if err != nil {
		return nil, err
	}
	return &attempt{request: req, line: line, key: key, spoken: req.spoken(), transcript: newTranscript()}, nil
}

func (a *attempt) run(ctx context.Context) (*Membership, error) {
	version, err := a.begin(ctx)
	if err != nil {
		return nil, err
	}
	issued, err := a.prove(ctx)
	if err != nil {
		return nil, err
	}
	member, err := a.member(issued)
	if err != nil {
		return nil, err
	}
	member.Version = version
	return member, nil
}

func (a *attempt) hello() *runtimev1.JoinHello {
	return &runtimev1.JoinHello{
		Method:        runtimev1.JoinMethod_JOIN_METHOD_PSK,
		Nonce:         newNonce(),
		Csr:           a.key.CSR(),
		Address:       a.request.Address,
		Types:         a.request.Types,
		OldestVersion: a.spoken.oldest,
		NewestVersion: a.spoken.newest,
		Role:          a.request.hello(),
	}
}

func (a *attempt) begin(ctx context.Context) (version uint32, err error) {
	hello, err := proto.Marshal(a.hello())
	if err != nil {
		return 0, fmt.Errorf("encode the hello: %w", err)
	}
	answer, err := a.line.calls.Begin(ctx, &runtimev1.BeginRequest{Hello: hello})
	if err != nil {
		return 0, err
	}
	a.transcript.add(hello)
	a.transcript.add(answer.GetChallenge())
	return a.readChallenge(answer.GetChallenge())
}

func (a *attempt) readChallenge(encoded []byte) (version uint32, err error) {
	challenge := &runtimev1.JoinChallenge{}
	if err := proto.Unmarshal(encoded, challenge); err != nil || len(challenge.GetNonce()) != nonceSize {
		return 0, errors.New("the runtime's challenge cannot be read; is it a runtime of this release?")
	}
	if !a.spoken.holds(challenge.GetVersion()) {
		return 0, fmt.Errorf("the runtime wants version %d of the protocol, this process speaks %d to %d; upgrade the older one",
			challenge.GetVersion(), a.spoken.oldest, a.spoken.newest)
	}
	return challenge.GetVersion(), nil
}

// prove returns what was issued once the server has proved itself too.
func (a *attempt) prove(ctx context.Context) (*runtimev1.JoinIssued, error) {
	proof := a.transcript.prove(a.request.Secret, clientLabel, a.line.binding)
	answer, err := a.line.calls.Prove(ctx, &runtimev1.ProveRequest{Proof: proof})
	if err != nil {
		return nil, err
	}
	a.transcript.add(proof)
	a.transcript.add(answer.GetIssued())
	if !a.transcript.proved(a.request.Secret, serverLabel, a.line.binding, answer.GetProof()) {
		return nil, ErrImpostor
	}
	issued := &runtimev1.JoinIssued{}
	if err := proto.Unmarshal(answer.GetIssued(), issued); err != nil {
		return nil, fmt.Errorf("decode what was issued: %w", err)
	}
	return issued, nil
}
