package member

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	"github.com/francis-actors/francis/internal/link"
)

// linker serves links, and tells of each one that is opened.
type linker struct {
	peerv1connect.UnimplementedPeerServiceHandler

	opened chan struct{}
	take   func(*link.Request, []byte)
}

func (l linker) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	l.opened <- struct{}{}
	return link.Serve(ctx, stream, link.Server{Take: l.take, Valid: func() bool { return true }})
}

func (l linker) handler() http.Handler {
	rpc, mux := connect.NewServer(), http.NewServeMux()
	peerv1connect.RegisterPeerServiceHandler(rpc, l)
	connecthttp.Mount(mux, rpc)
	return mux
}

func newLinker() linker {
	return linker{opened: make(chan struct{}, 100), take: func(r *link.Request, _ []byte) { r.Answer(link.Bytes("yes"), nil) }}
}

func (l linker) wantOpened(t *testing.T, want int) {
	t.Helper()
	if got := len(l.opened); got != want {
		t.Errorf("%d links were opened, want %d", got, want)
	}
}

// A line has one link, and another one after that has ended or its certificate has.
func TestLineKeepsALink(t *testing.T) {
	t.Parallel()
	authority, l := authority(t), newLinker()
	m := newPeers(t, authority, serve(t, authority, l.handler()))
	p, err := m.peers.get("there")
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		t.Helper()
		if answer, err := p.line.Call(t.Context(), link.Bytes("?")); err != nil || string(answer) != "yes" {
			t.Errorf("answered with %q, %v", answer, err)
		}
	}
	ask()
	ask()
	l.wantOpened(t, 1)
	p.line.Retire()
	<-p.line.current.link.Ended()
	ask()
	l.wantOpened(t, 2)
	p.holder.SetCertificate(certificate(t, authority, "here"))
	ask()
	ask()
	l.wantOpened(t, 3)
}

// What was asked of a line whose worker has gone may have happened; what is asked then
// has not.
func TestLineWhoseWorkerHasGone(t *testing.T) {
	t.Parallel()
	authority, l := authority(t), newLinker()
	began := make(chan struct{})
	l.take = func(*link.Request, []byte) { close(began) }
	m := newPeers(t, authority, serve(t, authority, l.handler()))
	p, err := m.peers.get("there")
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() {
		_, err := p.line.Call(t.Context(), link.Bytes("?"))
		lost <- err
	}()
	<-began
	p.part()
	if err := <-lost; !errors.Is(err, link.ErrLost) || errors.Is(err, link.ErrUnsent) {
		t.Errorf("the request ended with %v", err)
	}
	if _, err := p.line.Call(t.Context(), link.Bytes("?")); !errors.Is(err, link.ErrUnsent) {
		t.Errorf("a later request ended with %v", err)
	}
}

// Nobody waits for a link longer than for an answer.
func TestLineThatIsNotOpenedInTime(t *testing.T) {
	t.Parallel()
	authority := authority(t)
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	m := newPeers(t, authority, serve(t, authority, silent))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.Forward(ctx, "there", &peerv1.InvokeRequest{}, &peerv1.InvokeResponse{}); !errors.Is(err, link.ErrUnsent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the request ended with %v", err)
	}
}
