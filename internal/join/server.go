package join

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	// challengeTTL is how long a challenge may be met.
	challengeTTL = 10 * time.Second
	// maxAdmissions is how many applicants are admitted at once; others wait.
	maxAdmissions = 64
	// failureDelay is how late a failure is answered to a source that had too many.
	failureDelay = time.Second
	// maxDelayed is how many answers may be late at once; beyond, they are not.
	maxDelayed = 64
)

// The two answers to a proof that fails. They are the same for every cause, so that
// an outsider learns nothing from them.
var (
	errRefused = connect.NewError(connect.CodeUnauthenticated,
		"the join is refused: check that the host PSK equals the runtime's bootstrap.hostPSK, and that nothing between worker and runtime terminates TLS (the proof is bound to the connection; a proxy must pass TCP through); the runtime's log has the cause")
	errExcess = connect.NewError(connect.CodeResourceExhausted,
		"too many failed joins from this address; check the host PSK, and try again in a minute")
)

// Causes of a refusal. They stay on the server's side.
var (
	errNoChallenge = errors.New("no challenge is open on this connection")
	errStale       = errors.New("the challenge was met too late")
	errWrongProof  = errors.New("the proof is wrong: another secret, changed messages, or another connection")
)

// Config is what a server needs.
type Config struct {
	// Secret is the host PSK.
	Secret pki.Secret
	// Bundle returns what verifies the cluster's members now.
	Bundle func() *pki.Bundle
	// Admit decides about an applicant that has proved to know the secret, and has its
	// request signed. A *connect.Error is passed on as it is; any other error is
	// logged, and reported without its text. It is called concurrently, at most 64
	// times at once.
	Admit func(context.Context, Applicant) (Admission, error)
	// Logger receives one line for each attempt; nil is none.
	Logger *slog.Logger
}

func (c Config) validate() error {
	switch {
	case c.Secret.IsZero():
		return errors.New("join: the host PSK is missing")
	case c.Bundle == nil:
		return errors.New("join: Config.Bundle is missing")
	case c.Admit == nil:
		return errors.New("join: Config.Admit is missing")
	}
	return nil
}

// Admission is what an admitted applicant becomes.
type Admission struct {
	// ID is its id, never given before.
	ID string
	// Certificate is its certificate, X.509 in DER.
	Certificate []byte
	// Lease is how long the first lease of a worker lasts, counted from when it sent its
	// proof; a client is told how long those of workers last.
	Lease time.Duration
}

// Server is the runtime's half. It is safe for concurrent use.
type Server struct {
	config  Config
	audit   *audit
	handler http.Handler
	// admissions and delayed hold a token for each admission and late answer.
	admissions chan struct{}
	delayed    chan struct{}
	// spoken and now are replaced by tests only.
	spoken versions
	now    func() time.Time
}

// NewServer makes a server.
func NewServer(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	server := &Server{
		config:     config,
		audit:      newAudit(config.Logger),
		admissions: make(chan struct{}, maxAdmissions),
		delayed:    make(chan struct{}, maxDelayed),
		spoken:     spoken,
		now:        time.Now,
	}
	server.handler = newHandler(service{server})
	return server, nil
}

// session is one connection. It is made by ConnContext and lives as long.
type session struct {
	conn net.Conn

	mu sync.Mutex // guards open
	// open is the challenge that waits to be met: at most one.
	open *challenge
}

// challenge is a join between its two calls.
type challenge struct {
	hello      *runtimev1.JoinHello
	version    uint32
	transcript transcript
	deadline   time.Time
}

type sessionKey struct{}

// ConnContext gives a connection its place for a challenge: it belongs into the
// http.Server that serves [Server.Handler].
func (s *Server) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, sessionKey{}, &session{conn: conn})
}

func (s *session) put(c *challenge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = c
}

// take returns the open challenge, which is met only once.
func (s *session) take() *challenge {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.open
	s.open = nil
	return c
}

// caller is the connection on which a call arrived.
type caller struct {
	session *session
	binding []byte
	remote  string
}

func callerOf(ctx context.Context) (caller, error) {
	session, _ := ctx.Value(sessionKey{}).(*session)
	info, ok := connect.CallInfoForServerContext(ctx)
	if session == nil || !ok {
		return caller{}, connect.NewError(connect.CodeInternal, "the join service is served without its connections")
	}
	var state *tls.ConnectionState
	if transport, ok := connecthttp.ServerInfoForContext(ctx); ok {
		state = transport.TLS()
	}
	bound, err := binding(state)
	if err != nil {
		return caller{}, connect.NewError(connect.CodeFailedPrecondition, errNoBinding.Error()).WithCause(err)
	}
	return caller{session: session, binding: bound, remote: info.PeerAddr}, nil
}

// service is the Connect service of a server.
type service struct{ *Server }

var _ runtimev1connect.JoinServiceHandler = service{}

// Begin answers with a challenge. It says nothing about the secret and costs little,
// so anyone may have one.
func (s service) Begin(ctx context.Context, req *runtimev1.BeginRequest) (*runtimev1.BeginResponse, error) {
	from, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	hello, version, err := s.read(req.GetHello())
	if err != nil {
		s.refuse(ctx, from, hello, err)
		return nil, err
	}
	answer, err := proto.Marshal(&runtimev1.JoinChallenge{Nonce: newNonce(), Version: version})
	if err != nil {
		return nil, fmt.Errorf("encode a challenge: %w", err)
	}
	messages := newTranscript()
	messages.add(req.GetHello())
	messages.add(answer)
	from.session.put(&challenge{hello: hello, version: version, transcript: messages, deadline: s.now().Add(challengeTTL)})
	return &runtimev1.BeginResponse{Challenge: answer}, nil
}

// read decodes a hello as far as the handshake itself depends on it. The rest is
// judged after the proof.
func (s service) read(encoded []byte) (*runtimev1.JoinHello, uint32, error) {
	hello := &runtimev1.JoinHello{}
	if proto.Unmarshal(encoded, hello) != nil || len(hello.GetNonce()) != nonceSize {
		return nil, 0, connect.NewError(connect.CodeInvalidArgument, "the hello cannot be read")
	}
	if hello.GetMethod() != runtimev1.JoinMethod_JOIN_METHOD_PSK {
		return hello, 0, connect.Errorf(connect.CodeFailedPrecondition, "hosts join this runtime by psk, not by method %d; set the host PSK", hello.GetMethod())
	}
	version, err := negotiate(s.spoken, versions{hello.GetOldestVersion(), hello.GetNewestVersion()})
	return hello, version, err
}

// Prove admits the one whose proof is right.
func (s service) Prove(ctx context.Context, req *runtimev1.ProveRequest) (*runtimev1.ProveResponse, error) {
	from, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	open := from.session.take()
	if cause := s.check(open, from, req.GetProof()); cause != nil {
		return nil, s.fail(ctx, from, open, cause)
	}
	protect(from.session.conn)
	admission, err := s.admit(ctx, from, open)
	if err != nil {
		return nil, err
	}
	open.transcript.add(req.GetProof())
	return s.issue(open, admission, from.binding)
}

func (s service) check(open *challenge, from caller, proof []byte) error {
	switch {
	case open == nil:
		return errNoChallenge
	case !s.now().Before(open.deadline):
		return errStale
	case !open.transcript.proved(s.config.Secret, clientLabel, from.binding, proof):
		return errWrongProof
	}
	return nil
}

// fail is the one way in which a proof fails.
func (s service) fail(ctx context.Context, from caller, open *challenge, cause error) error {
	var hello *runtimev1.JoinHello
	if open != nil {
		hello = open.hello
	}
	s.refuse(ctx, from, hello, cause)
	if !s.audit.fail(sourceOf(from.remote), s.now()) {
		return errRefused
	}
	s.dawdle(ctx)
	return errExcess
}

// dawdle makes a guesser wait. Right proofs never come here, so nobody else does.
func (s service) dawdle(ctx context.Context) {
	select {
	case s.delayed <- struct{}{}:
		defer func() { <-s.delayed }()
	default:
		return
	}
	timer := time.NewTimer(failureDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (s service) refuse(ctx context.Context, from caller, hello *runtimev1.JoinHello, cause error) {
	address := hello.GetAddress()
	address = address[:min(len(address), maxAddress)] // strangers choose it
	s.audit.warn(ctx, from.remote, "join refused", s.now(),
		slog.String("secret", s.config.Secret.KeyID()), slog.String("address", address), slog.String("cause", cause.Error()))
}

func (s service) admit(ctx context.Context, from caller, open *challenge) (Admission, error) {
	select {
	case s.admissions <- struct{}{}:
		defer func() { <-s.admissions }()
	case <-ctx.Done():
		return Admission{}, connect.NewError(connect.CodeUnavailable, "too many join at once; try again")
	}
	who, err := applicant(open.hello, open.version, from.remote)
	if err != nil {
		s.refuse(ctx, from, open.hello, err)
		return Admission{}, connect.NewError(connect.CodeInvalidArgument, err.Error())
	}
	admission, err := s.config.Admit(ctx, who)
	if err != nil {
		s.refuse(ctx, from, open.hello, err)
		return Admission{}, public(err)
	}
	s.audit.logger.LogAttrs(ctx, slog.LevelInfo, "member joined",
		slog.String("role", string(who.Role)), slog.String("id", admission.ID), slog.String("address", who.Address), slog.Any("types", who.Types),
		slog.String("secret", s.config.Secret.KeyID()), slog.String("source", from.remote))
	return admission, nil
}

// public is what an applicant is told of a refusal.
func public(err error) error {
	if coded, ok := errors.AsType[*connect.Error](err); ok && !coded.IsRemote() {
		return coded
	}
	if errors.Is(err, pki.ErrRequest) {
		return connect.NewError(connect.CodeInvalidArgument, err.Error())
	}
	return connect.NewError(connect.CodeInternal, "the runtime could not admit this process; its log has the cause").WithCause(err)
}

func (s service) issue(open *challenge, admission Admission, binding []byte) (*runtimev1.ProveResponse, error) {
	bundle := s.config.Bundle()
	issued, err := proto.Marshal(&runtimev1.JoinIssued{
		Worker:      admission.ID,
		Cluster:     bundle.Cluster(),
		Certificate: admission.Certificate,
		Authorities: bundle.DER(),
		Lease:       durationpb.New(admission.Lease),
	})
	if err != nil {
		return nil, fmt.Errorf("encode what was issued: %w", err)
	}
	open.transcript.add(issued)
	return &runtimev1.ProveResponse{Issued: issued, Proof: open.transcript.prove(s.config.Secret, serverLabel, binding)}, nil
}

func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return nonce
}
