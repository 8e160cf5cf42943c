package member

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/sdk/internal/host"
)

const (
	dialTimeout = 3 * time.Second
	// pingAfter is how long another worker may be silent before it is asked whether it
	// is still there.
	pingAfter = 3 * time.Second
	// farewell is how long a worker that has gone may still answer the calls that it has:
	// its answers may be on their way. A longer wait is in vain: its process may be stopped,
	// and its connection look well.
	farewell = 500 * time.Millisecond
	// MaxFrame is the largest message between workers: a call and what frames it.
	MaxFrame = limit.MaxMessage + 64<<10
)

// errGone says that a worker was declared dead, or has left.
var errGone = errors.New("the other worker has gone")

// peers are the connections to other workers, made when they are first needed.
type peers struct {
	member *Member

	mu      sync.Mutex
	clients map[string]*peer
	closed  bool
}

// peer is the connection to one worker.
type peer struct {
	// holder and address are what the connection was made with.
	holder    *pki.Holder
	address   string
	client    peerv1connect.PeerServiceClient
	transport *Transport
	// life ends, by part, when the worker has gone; then all that waits for it fails.
	life context.Context
	part context.CancelFunc
	line *Line
}

// dialError marks the failure of a dial: whatever was to be sent has not left.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// invoke sends a call to a worker, and sets res to its answer.
func (p *peers) invoke(ctx context.Context, worker string, req *peerv1.InvokeRequest, res *peerv1.InvokeResponse) error {
	peer, err := p.get(worker)
	if err != nil {
		return err
	}
	err = peer.invoke(ctx, req, res)
	if err == nil || errors.Is(err, host.ErrUnsent) {
		return err
	}
	if unreached(err) {
		p.drop(worker, peer)
		return fmt.Errorf("%w: %w", host.ErrUnsent, err)
	}
	if errors.Is(err, link.ErrUnsent) {
		return fmt.Errorf("%w: %w", host.ErrUnsent, err)
	}
	if fault.Detail(err) == nil { // no verdict of the other worker: the link was lost
		return fault.LinkLost(err)
	}
	return err
}

// invoke makes a call on the link, a large one apart.
func (p *peer) invoke(ctx context.Context, req *peerv1.InvokeRequest, res *peerv1.InvokeResponse) error {
	if len(req.GetBody()) > link.MaxRequest {
		return p.invokeApart(ctx, req, res)
	}
	answer, err := p.line.Call(ctx, wire.Call{Request: req})
	if err != nil {
		return err
	}
	return wire.ReadAnswer(answer, res)
}

// invokeApart makes a call by a request of its own.
func (p *peer) invokeApart(ctx context.Context, req *peerv1.InvokeRequest, res *peerv1.InvokeResponse) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(errGone) })()
	got, err := p.client.Invoke(ctx, req)
	if err != nil && errors.Is(context.Cause(ctx), errGone) {
		return errGone
	}
	res.Reply, res.NotOwner = got.GetReply(), got.GetNotOwner()
	return err
}

// close retires the link, and closes the connection when nobody uses it.
func (p *peer) close() {
	p.line.Retire()
	p.transport.CloseIdleConnections()
}

// unreached reports whether a call did not reach its actor, and may reach it over a new
// connection: nobody was dialled, or the certificate of the connection is too old.
func unreached(err error) bool {
	if _, undialled := errors.AsType[*dialError](err); undialled {
		return true
	}
	detail := fault.Detail(err)
	return connect.CodeOf(err) == connect.CodeUnauthenticated &&
		detail.GetReason() == francisv1.Reason_REASON_UNSPECIFIED &&
		detail.GetOutcome() == francisv1.Outcome_OUTCOME_NOTHING_HAPPENED
}

// get returns the client of a worker. One that was made for another address, or with
// the holder of an earlier session, is replaced.
func (p *peers) get(worker string) (*peer, error) {
	address := p.member.Table().Worker(worker).GetAddress()
	holder := p.member.Holder()
	if address == "" || holder == nil {
		return nil, fmt.Errorf("%w: the table has no address of worker %s", host.ErrUnsent, worker)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, p.member.ended()
	}
	have := p.clients[worker]
	if have != nil && have.holder == holder && have.address == address {
		return have, nil
	}
	if have != nil {
		have.close()
	}
	if p.clients == nil {
		p.clients = map[string]*peer{}
	}
	made := newPeer(holder, worker, address)
	p.clients[worker] = made
	return made, nil
}

func newPeer(holder *pki.Holder, worker, address string) *peer {
	transport := NewTransport(holder, pingAfter, func(ctx context.Context) (net.Conn, error) {
		return Dial(ctx, address, holder.DialWorker(worker))
	})
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://"+worker,
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(MaxFrame)))
	p := &peer{holder: holder, address: address, client: peerv1connect.NewPeerServiceClient(client), transport: transport}
	p.life, p.part = context.WithCancel(context.Background()) //nolint:gosec // part is called when the worker has gone
	p.line = NewLine(p.life, holder, transport, p.client.Link)
	return p
}

// drop forgets a worker that could not be reached: it may be gone for good.
func (p *peers) drop(worker string, gone *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[worker] == gone {
		delete(p.clients, worker)
		gone.close()
	}
}

// keep forgets the workers that the table does not have any more.
func (p *peers) keep(table *placement.Table) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.clients, func(worker string, gone *peer) bool {
		if table.Worker(worker) != nil {
			return false
		}
		gone.close()
		time.AfterFunc(farewell, gone.part)
		return true
	})
}

// close lets the connections end with their last answers. Those of a client end at once:
// its process goes on, and nothing shall be left of it.
func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, peer := range p.clients {
		peer.close()
		if p.member.cfg.Client {
			peer.part()
		}
	}
	p.clients = nil
}

// Transport makes HTTP/2 requests over connections that show the present certificate
// of a holder. When the holder gets a new one, the next request opens a new
// connection; those that are under way end on the old one, which is closed when it
// has been idle: nothing fails because a certificate ends.
type Transport struct {
	holder *pki.Holder
	open   func() *http.Transport

	mu sync.Mutex
	// shown is the certificate of the connections of current.
	shown   *pki.Certificate
	current *http.Transport
}

// NewTransport returns a transport whose connections come from dial, and are closed
// when the other side is silent for three times the given time.
func NewTransport(holder *pki.Holder, ping time.Duration, dial func(ctx context.Context) (net.Conn, error)) *Transport {
	return &Transport{holder: holder, open: func() *http.Transport { return newTransport(ping, dial) }}
}

// RoundTrip makes a request.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.latest().RoundTrip(joined(req))
}

// CloseIdleConnections closes the connections that nobody uses.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
}

// latest is the transport of the present certificate.
func (t *Transport) latest() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.holder.Certificate(); t.current == nil || now != t.shown {
		if t.current != nil {
			t.current.CloseIdleConnections()
		}
		t.shown, t.current = now, t.open()
	}
	return t.current
}

func newTransport(ping time.Duration, dial func(ctx context.Context) (net.Conn, error)) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, &dialError{err}
			}
			return conn, nil
		},
		Protocols:          &protocols,
		IdleConnTimeout:    idleLink,
		DisableCompression: true,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: ping, PingTimeout: 2 * ping, WriteByteTimeout: 2 * ping,
		},
	}
}

// Dial opens a TLS connection and completes its handshake.
func Dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, pki.Explain(err)
	}
	return conn, nil
}
