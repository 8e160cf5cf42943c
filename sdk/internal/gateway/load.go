package gateway

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
)

// load counts what a gateway has under way: requests, and the bytes of their bodies and
// answers. Who comes on top of the limits is refused, with advice when to try again: a
// queue without a bound would only answer when nobody waits any more.
type load struct{ requests, bytes atomic.Int64 }

// enter admits a request.
func (l *load) enter() error {
	if l.requests.Add(1) <= limit.GatewayRequests {
		return nil
	}
	l.leave()
	return fault.Overloaded()
}

// leave says that a request has ended.
func (l *load) leave() { l.requests.Add(-1) }

// take admits bytes.
func (l *load) take(size int) error {
	if l.hold(size) <= limit.GatewayBytes {
		return nil
	}
	l.give(size)
	return fault.Overloaded()
}

// hold counts bytes that are here in any case.
func (l *load) hold(size int) int64 { return l.bytes.Add(int64(size)) }

// give says that bytes are no longer held.
func (l *load) give(size int) { l.bytes.Add(int64(-size)) }

// counted is a body that counts while it is read; from its end on, what was made of it
// does.
type counted struct {
	io.ReadCloser
	load *load
	held int
}

// Read fails with a coded error when too much is under way.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if refused := c.load.take(n); refused != nil {
		return 0, refused
	}
	c.held += n
	if errors.Is(err, io.EOF) {
		c.give()
	}
	return n, err
}

func (c *counted) give() {
	c.load.give(c.held)
	c.held = 0
}
