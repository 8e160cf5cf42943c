package serve

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/runtime/engine"
)

const (
	// maxMessage is the largest request of a member, in bytes: a commit or an
	// announcement of 4 MiB, and what frames it.
	maxMessage = 4<<20 + 64<<10
	// maxStreams is how many requests a connection makes at once.
	maxStreams = 1000
	// maxMembers is how many connections of members there may be, maxEach how many of
	// one member: it needs one, and a second while it renews its certificate.
	maxMembers = 4096
	maxEach    = 16

	maxHeaders    = 16 << 10
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	pingAfter     = 15 * time.Second
	writeTimeout  = 10 * time.Second
	connBuffer    = 1 << 20
)

// newMemberServer serves the engine to the connections that showed a certificate.
func newMemberServer(e *engine.Engine, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // only to answer curl and browsers
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           newMemberHandler(e),
		ConnState:         newCrowd(maxMembers, maxEach, log).changed,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaders,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingAfter,
			WriteByteTimeout:              writeTimeout,
			MaxReceiveBufferPerConnection: connBuffer,
		},
	}
}

// newMemberHandler serves without compression and with bounded bodies.
func newMemberHandler(e *engine.Engine) http.Handler {
	rpc := connect.NewServer()
	runtimev1connect.RegisterWorkerServiceHandler(rpc, e.Handler(workerOf))
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCodecs(wire.NewCodec()), connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(maxMessage))
	return http.MaxBytesHandler(mux, maxMessage)
}

// crowd counts the connections of members, and closes those that are too many. It
// tells members apart by their certificate, so that one that gets out of hand harms
// only itself.
type crowd struct {
	most, each int
	log        *slog.Logger

	mu   sync.Mutex
	all  int
	held map[string]int
}

func newCrowd(most, each int, log *slog.Logger) *crowd {
	return &crowd{most: most, each: each, log: log, held: map[string]int{}}
}

// changed is told by net/http what becomes of each connection.
func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	switch who := memberOf(conn); state {
	case http.StateNew:
		if !c.enter(who) {
			c.log.Warn("a worker has too many connections; its new one is closed", "worker", who)
			conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		c.leave(who)
	default: // it is counted already
	}
}

// enter counts a connection, also one that is too many: it leaves like any other.
func (c *crowd) enter(who string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all++
	c.held[who]++
	return c.all <= c.most && c.held[who] <= c.each
}

func (c *crowd) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	c.held[who]--
	if c.held[who] == 0 {
		delete(c.held, who)
	}
}

func memberOf(conn net.Conn) string {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return ""
	}
	who, _ := pki.PeerOf(secure.ConnectionState())
	return who.ID
}
