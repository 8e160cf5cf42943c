package join

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	// handshakeTimeout is how long a TLS handshake may take.
	handshakeTimeout = 5 * time.Second
	// maxHandshakes is how many connections may be in their handshake at once.
	maxHandshakes = 256
	// maxJoiners is how many connections without a certificate there may be at once.
	maxJoiners = 64
	// joinerLife is how long such a connection lives: a join takes milliseconds.
	joinerLife = 30 * time.Second
	// maxMembers is how many connections with one there may be at once, and maxOfMember
	// how many of one member: it needs one, and a second while it renews its certificate.
	maxMembers  = 4096
	maxOfMember = 16
	// acceptPause is how long the port waits after accepting has failed, usually for
	// want of file descriptors.
	acceptPause = 100 * time.Millisecond
)

// plainHTTP answers a request that was sent without TLS.
const plainHTTP = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
	"This is a port of a Francis cluster; it speaks TLS 1.3 to its members only. Actors are called at the gateway of a worker.\n"

// PortConfig is what a port needs.
type PortConfig struct {
	// Listener accepts the connections. The port owns it from now on.
	Listener net.Listener
	// TLS is [pki.Holder.JoinServer] for the port of a runtime, and
	// [pki.Holder.MemberServer] for that of a worker, which has no joiners.
	TLS *tls.Config
	// Logger receives a line for each handshake that fails, at most one a second of
	// each source; nil is none.
	Logger *slog.Logger
}

// Port does the TLS handshakes of a port of the cluster, and hands each connection to
// one of two servers: members showed a certificate, joiners did not. So nothing that an
// outsider sends ever reaches the handlers of members.
//
// Outsiders cannot keep others out: a place is taken away from the source that holds
// most, and a join that has proved itself keeps its place. Members are bounded together
// and each for itself. A member's connection is closed when its certificate ends.
type Port struct {
	config           PortConfig
	audit            *audit
	members, joiners *queue
	// shaking are the connections in their handshake, joining those without a
	// certificate.
	shaking, joining *roster
	// crowd are the connections of members.
	crowd      *crowd
	handshakes sync.WaitGroup
}

// NewPort makes a port. It accepts nothing before Run.
func NewPort(config PortConfig) (*Port, error) {
	if config.Listener == nil || config.TLS == nil {
		return nil, errors.New("join: a port needs a listener and a TLS configuration")
	}
	return &Port{
		config:  config,
		audit:   newAudit(config.Logger),
		members: newQueue(config.Listener.Addr()),
		joiners: newQueue(config.Listener.Addr()),
		shaking: newRoster(maxHandshakes),
		joining: newRoster(maxJoiners),
		crowd:   newCrowd(maxMembers, maxOfMember),
	}, nil
}

// Members are the connections that showed a certificate.
func (p *Port) Members() net.Listener { return p.members }

// Joiners are the connections that showed none.
func (p *Port) Joiners() net.Listener { return p.joiners }

// Run accepts connections until the context ends or the listener fails. Then it
// closes the listener, both queues, and what no server has taken; connections that
// were handed over belong to their server.
func (p *Port) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { _ = p.config.Listener.Close() })
	err := p.accept(ctx)
	stop()
	cancel()
	_ = p.config.Listener.Close()
	p.shaking.closeAll()
	_ = p.members.Close()
	_ = p.joiners.Close()
	p.handshakes.Wait()
	return err
}

// accept ends without an error when the context does.
func (p *Port) accept(ctx context.Context) error {
	for {
		raw, err := p.config.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			closeQuietly(raw)
			return nil //nolint:nilerr // the listener was closed because the context ended
		case errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF):
			return err
		case err != nil:
			p.audit.warn(ctx, "", "cannot accept a connection", time.Now(), slog.String("cause", err.Error()))
			deadline.Sleep(ctx, acceptPause)
		default:
			p.handshakes.Go(func() { p.welcome(ctx, raw) })
		}
	}
}

func closeQuietly(conn net.Conn) {
	if conn != nil {
		_ = conn.Close()
	}
}

// welcome does one handshake.
func (p *Port) welcome(ctx context.Context, raw net.Conn) {
	place := newPlace(raw)
	p.shaking.enter(place)
	conn := tls.Server(place, p.config.TLS)
	err := p.handshake(ctx, conn)
	p.shaking.leave(place)
	if err != nil {
		p.reject(ctx, raw, err)
		_ = place.Close()
		return
	}
	p.route(ctx, conn, place)
}

func (p *Port) handshake(ctx context.Context, conn *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// reject tells the log, and a client that speaks plain HTTP, what is wrong.
func (p *Port) reject(ctx context.Context, raw net.Conn, err error) {
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && looksLikeHTTP(header.RecordHeader) {
		_ = raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(raw, plainHTTP)
	}
	p.audit.warn(ctx, raw.RemoteAddr().String(), "TLS handshake failed", time.Now(), slog.String("cause", err.Error()))
}

func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PRI *":
		return true
	}
	return false
}

// route hands the connection to its server. net/http wants the *tls.Conn itself, so
// what the port knows about the connection travels under it.
func (p *Port) route(ctx context.Context, conn *tls.Conn, place *place) {
	who, isMember := pki.PeerOf(conn.ConnectionState())
	if !isMember {
		place.closeAfter(joinerLife, func() { p.joining.leave(place) })
		p.joining.enter(place)
		p.joiners.put(conn)
		return
	}
	if !p.crowd.enter(who) {
		p.audit.warn(ctx, conn.RemoteAddr().String(), "a member has too many connections; its new one is closed", time.Now(), slog.String("member", who.String()))
		_ = place.Close()
		return
	}
	ends := conn.ConnectionState().PeerCertificates[0].NotAfter
	place.closeAfter(time.Until(ends), func() { p.crowd.leave(who) })
	p.members.put(conn)
}

// queue is a listener of connections that are ready.
type queue struct {
	address net.Addr
	conns   chan net.Conn
	done    chan struct{}
	close   func()
}

func newQueue(address net.Addr) *queue {
	done := make(chan struct{})
	return &queue{address: address, conns: make(chan net.Conn), done: done, close: sync.OnceFunc(func() { close(done) })}
}

// put hands a connection over, or closes it when nobody takes any more.
func (q *queue) put(conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.done:
		_ = conn.Close()
	}
}

// Accept returns the next connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *queue) Close() error {
	q.close()
	return nil
}

// Addr is the port's address.
func (q *queue) Addr() net.Addr { return q.address }
