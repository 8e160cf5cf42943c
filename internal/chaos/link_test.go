//go:build unix

package chaos

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// link passes TCP connections on to an address, until it is cut.
type link struct {
	address, target string
	listener        net.Listener
	// sent is how many bytes of the side that dialled were passed on.
	sent atomic.Int64

	mu  sync.Mutex
	cut cut
	// changed is closed, and replaced, when the cut changes.
	changed chan struct{}
	conns   map[net.Conn]struct{}
}

// cut is what a link does to bytes.
type cut uint8

const (
	// whole passes everything on.
	whole cut = iota
	// silent swallows what either side sends: neither hears of it.
	silent
	// deaf swallows what the side that dialled sends, and passes the answers on.
	deaf
	// mute swallows the answers.
	mute
	// refused closes what is open, and what is opened.
	refused
)

func newLink(t *testing.T, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{
		address: listener.Addr().String(), target: target, listener: listener,
		changed: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	var accepting sync.WaitGroup
	accepting.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.set(refused)
		accepting.Wait()
	})
	return l
}

func (l *link) accept() {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		serving.Go(func() { l.serve(conn) })
	}
}

// set changes what the link does.
func (l *link) set(c cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = c
	close(l.changed)
	l.changed = make(chan struct{})
	if c == refused {
		for conn := range l.conns {
			conn.Close()
		}
	}
}

// keep remembers connections, unless they are refused.
func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		l.conns[conn] = struct{}{}
	}
	return l.cut != refused
}

func (l *link) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		delete(l.conns, conn)
		conn.Close()
	}
}

func (l *link) serve(from net.Conn) {
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		from.Close()
		return
	}
	defer l.drop(from, to)
	if !l.keep(from, to) {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(to, from, deaf) })
	pumps.Go(func() { l.pump(from, to, mute) })
	pumps.Wait()
}

// pump copies from one side to the other. What it swallows is gone for good, so the
// connection is of no use when the link heals: it is closed then, as a network that
// lost packets for longer than TCP waits would.
func (l *link) pump(to, from net.Conn, swallows cut) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && l.swallowed(swallows) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
			if swallows == deaf {
				l.sent.Add(int64(n))
			}
		}
		if err != nil {
			if err != io.EOF { //nolint:errorlint // net.Conn returns it bare
				return
			}
			return
		}
	}
}

// swallowed reports whether bytes are lost, and waits until the link is whole again if
// they are.
func (l *link) swallowed(swallows cut) bool {
	lost := false
	for {
		l.mu.Lock()
		c, changed := l.cut, l.changed
		l.mu.Unlock()
		if c != silent && c != swallows {
			return lost
		}
		lost = true
		<-changed
	}
}
