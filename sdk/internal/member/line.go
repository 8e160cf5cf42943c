package member

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	// openTimeout is how long the opening of a link may take, dialling included.
	openTimeout = 5 * time.Second
	// idleLink is how long a link is kept without use.
	idleLink = 5 * time.Minute
)

// Line keeps a link to one member of the cluster: it opens one when it is needed, and
// another one when that takes no more requests, or when the certificate was renewed; the
// new one before the old one ends. Its methods may be called concurrently.
type Line struct {
	holder *pki.Holder
	// open opens a link.
	open func(ctx context.Context) (*link.Client, error)
	// free lets go of the connections that no link uses.
	free func()
	// life ends all links, and the attempts to open one.
	life context.Context

	mu sync.Mutex
	// current is the link, or the attempt to open it; nil before the first request.
	current *opening
}

// opening is a link that is being opened, or is open.
type opening struct {
	// certificate is the one that the link was opened with.
	certificate *pki.Certificate
	// opened is closed when link or err is set.
	opened chan struct{}
	link   *link.Client
	err    error
}

// NewLine is a line over the streams that dial makes on a transport. Its links end with
// life.
func NewLine[S link.ClientStream](life context.Context, holder *pki.Holder, transport *Transport, dial func(context.Context) (S, error)) *Line {
	return &Line{
		holder: holder, free: transport.CloseIdleConnections, life: life,
		open: func(ctx context.Context) (*link.Client, error) { return link.Open(ctx, dial, idleLink) },
	}
}

// Call makes a request, see [link.Client.Call]. It also fails with [link.ErrUnsent] where
// no link can be opened.
func (l *Line) Call(ctx context.Context, request link.Body) ([]byte, error) {
	answer, err := l.call(ctx, request)
	if errors.Is(err, link.ErrRetired) { // at this moment
		return l.call(ctx, request)
	}
	return answer, err
}

func (l *Line) call(ctx context.Context, request link.Body) ([]byte, error) {
	c, err := l.client(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", link.ErrUnsent, err)
	}
	return c.Call(ctx, request)
}

// client waits for a link that takes requests.
func (l *Line) client(ctx context.Context) (*link.Client, error) {
	o := l.latest()
	select {
	case <-o.opened:
		return o.link, o.err
	default:
	}
	select {
	case <-o.opened:
		return o.link, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// latest is the link, a new one if need be.
func (l *Line) latest() *opening {
	certificate := l.holder.Certificate()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current.usable(certificate) {
		return l.current
	}
	l.current.retire()
	l.current = &opening{certificate: certificate, opened: make(chan struct{})}
	go l.run(l.current)
	return l.current
}

// run opens a link, and lets its connection go when it has ended.
func (l *Line) run(o *opening) {
	ctx, cancel := context.WithTimeout(l.life, openTimeout)
	o.link, o.err = l.open(ctx)
	cancel()
	close(o.opened)
	if o.err == nil {
		defer context.AfterFunc(l.life, o.link.Close)()
		<-o.link.Ended()
		l.free()
	}
}

// Retire lets the link end when its requests are answered.
func (l *Line) Retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.retire()
}

// usable reports whether requests may be made on what is opened.
func (o *opening) usable(certificate *pki.Certificate) bool {
	if o == nil || o.certificate != certificate {
		return false
	}
	select {
	case <-o.opened:
		return o.err == nil && !o.link.Retired()
	default:
		return true
	}
}

// retire ends a link when its requests are answered.
func (o *opening) retire() {
	if o == nil {
		return
	}
	go func() {
		<-o.opened
		if o.link != nil {
			o.link.Retire()
		}
	}()
}
