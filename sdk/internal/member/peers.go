package member

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk/internal/host"
)

const (
	dialTimeout = 3 * time.Second
	pingAfter   = 5 * time.Second
	// idlePeer is how long a connection to another worker is kept without use.
	idlePeer = 5 * time.Minute
	// MaxFrame is the largest message between workers: a call and what frames it.
	MaxFrame = limit.MaxMessage + 64<<10
)

// peers are the connections to other workers, made when they are first needed.
type peers struct {
	member *Member

	mu      sync.Mutex
	clients map[string]*peer
}

// peer is the connection to one worker.
type peer struct {
	client    peerv1connect.PeerServiceClient
	transport *http.Transport
}

// dialError marks the failure of a dial: whatever was to be sent has not left.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// invoke sends a call to a worker.
func (p *peers) invoke(ctx context.Context, worker string, req *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	peer, err := p.get(worker)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", host.ErrUnsent, err)
	}
	res, err := peer.client.Invoke(ctx, req)
	if err == nil {
		return res, nil
	}
	if _, unsent := errors.AsType[*dialError](err); unsent {
		p.drop(worker, peer)
		return nil, fmt.Errorf("%w: %w", host.ErrUnsent, err)
	}
	if fault.Detail(err) == nil { // no verdict of the other worker: the link was lost
		return nil, fault.LinkLost(err)
	}
	return nil, err
}

// get returns the client of a worker.
func (p *peers) get(worker string) (*peer, error) {
	listed := p.member.Table().Worker(worker)
	holder := p.member.Holder()
	if listed.GetAddress() == "" || holder == nil {
		return nil, fmt.Errorf("the table has no address of worker %s", worker)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if have, ok := p.clients[worker]; ok {
		return have, nil
	}
	if p.clients == nil {
		p.clients = map[string]*peer{}
	}
	made := newPeer(holder, worker, listed.GetAddress())
	p.clients[worker] = made
	return made, nil
}

func newPeer(holder *pki.Holder, worker, address string) *peer {
	transport := NewTransport(func(ctx context.Context) (net.Conn, error) {
		return Dial(ctx, address, holder.DialWorker(worker))
	})
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://"+worker,
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(MaxFrame)))
	return &peer{client: peerv1connect.NewPeerServiceClient(client), transport: transport}
}

// drop forgets a worker that could not be reached: it may be gone for good.
func (p *peers) drop(worker string, gone *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[worker] == gone {
		delete(p.clients, worker)
		gone.transport.CloseIdleConnections()
	}
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.clients {
		peer.transport.CloseIdleConnections()
	}
	p.clients = nil
}

// NewTransport returns an HTTP/2 transport whose connections come from dial.
func NewTransport(dial func(ctx context.Context) (net.Conn, error)) *http.Transport {
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
		IdleConnTimeout:    idlePeer,
		DisableCompression: true,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingAfter, WriteByteTimeout: pingAfter,
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
