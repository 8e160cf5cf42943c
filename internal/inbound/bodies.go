package inbound

import (
	"io"
	"net/http"
	"sync"

	"github.com/francis-actors/francis/internal/fault"
)

// maxBodies is how many bytes of bodies a port of members holds at a time.
const maxBodies = 256 << 20

// Bound returns a handler that keeps the clients of a port to the [Usual] pace and bounds
// the bodies of their requests: each to so many bytes, and all that are held at a time to
// 256 MiB. A client holds no more of that than is left for all: half of it where it is
// alone, less where others hold some too, so that whoever comes finds room. Reading a body
// that is too much fails with a coded error.
//
// A body is held from its first byte until its handler returns, since what was made of it
// lives as long.
func Bound(next http.Handler, message int64) http.Handler {
	return http.MaxBytesHandler(Usual.Keep(newBodies(maxBodies).count(next)), message)
}

// bodies counts the bytes of bodies that are held.
type bodies struct {
	most int64

	mu sync.Mutex
	// held are all, and of those of each client that holds any. They are under mu.
	held int64
	of   map[string]int64
}

func newBodies(most int64) *bodies { return &bodies{most: most, of: map[string]int64{}} }

// count returns a handler whose bodies are counted.
func (b *bodies) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &counted{ReadCloser: r.Body, bodies: b, client: clientBehind(r)}
		defer body.give()
		bounded := *r
		bounded.Body = body
		next.ServeHTTP(w, &bounded)
	})
}

// clientBehind is who is behind a request, by the name in its certificate, else by its
// connection.
func clientBehind(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && len(r.TLS.PeerCertificates[0].URIs) > 0 {
		return r.TLS.PeerCertificates[0].URIs[0].String()
	}
	return r.RemoteAddr
}

// take admits bytes of a client.
func (b *bodies) take(client string, size int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[client]+size > b.most-b.held-size {
		return fault.Overloaded()
	}
	b.held += size
	b.of[client] += size
	return nil
}

// give says that bytes of a client are no longer held.
func (b *bodies) give(client string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= size
	if b.of[client] -= size; b.of[client] == 0 {
		delete(b.of, client)
	}
}

// counted is the body of a request, counted as it is read.
type counted struct {
	io.ReadCloser
	bodies *bodies
	client string
	held   int64
}

// Read is called by one goroutine at a time.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if n == 0 {
		return 0, err
	}
	if refused := c.bodies.take(c.client, int64(n)); refused != nil {
		return 0, refused
	}
	c.held += int64(n)
	return n, err
}

func (c *counted) give() {
	if c.held > 0 {
		c.bodies.give(c.client, c.held)
	}
}
