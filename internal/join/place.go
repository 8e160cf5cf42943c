package join

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// place is a connection at the port. It lies under the TLS connection, where it sees
// the end of the connection however that comes.
type place struct {
	net.Conn
	source source
	// kept is set once the connection has proved itself.
	kept atomic.Bool

	mu sync.Mutex // guards what follows
	// timer closes the connection; nil is never.
	timer *time.Timer
	// closed runs once, when the connection ends.
	closed func()
}

func newPlace(conn net.Conn) *place {
	return &place{Conn: conn, source: sourceOf(conn.RemoteAddr().String())}
}

// closeAfter ends the connection later, and has closed run when it ends. It is called
// once, before the connection is handed over.
func (p *place) closeAfter(life time.Duration, closed func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = closed
	p.timer = time.AfterFunc(life, func() { _ = p.Close() })
}

// Close ends the connection.
func (p *place) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	if closed != nil {
		closed()
	}
	return p.Conn.Close()
}

// protect keeps the place of a connection that has proved itself; a connection that
// came through no port has none.
func protect(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		if p, ok := secure.NetConn().(*place); ok {
			p.kept.Store(true)
		}
	}
}
