package inbound

import (
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// The limits of every server.
const (
	// headerTimeout is how long a TLS handshake, and after it the header of a request, may
	// take. The preface of HTTP/2 has 10 seconds (net/http).
	headerTimeout = 5 * time.Second
	// idleTimeout is how long a connection is kept without a request.
	idleTimeout = 2 * time.Minute
	// maxHeaders is the largest header of a request, in bytes.
	maxHeaders = 16 << 10
	// pingAfter is how long a connection of HTTP/2 may be silent before the client is asked
	// whether it is still there, and how long it has to say so.
	pingAfter = 15 * time.Second
	// stallTimeout is how long a connection of HTTP/2 may take none of what is written to
	// it.
	stallTimeout = 10 * time.Second
	// connBuffer is how much of the bodies of a connection of HTTP/2 waits to be read, in
	// bytes.
	connBuffer = 1 << 20
)

// ServerConfig are the settings of a server.
type ServerConfig struct {
	Handler http.Handler
	// Streams is how many requests a connection of HTTP/2 makes at once.
	Streams int
	// Connections is how many connections there may be; a new one over it is closed.
	// Default: no bound, for a listener that has its own.
	Connections int
	// Idle is how long a connection is kept without a request. Default: 2 minutes.
	Idle time.Duration
	// Logger receives what net/http has to say of clients, as debugging. Default: nobody.
	Logger *slog.Logger
}

// NewServer returns a server of HTTP/1.1 and HTTP/2 with every limit set but those on the
// pace of bodies and answers, which are the handler's ([Pace.Keep]): net/http's own
// timeouts would count the time that a handler takes.
func NewServer(config ServerConfig) *http.Server {
	if config.Idle == 0 {
		config.Idle = idleTimeout
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	server := &http.Server{
		Handler:           config.Handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       config.Idle,
		MaxHeaderBytes:    maxHeaders,
		ErrorLog:          slog.NewLogLogger(config.Logger.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          config.Streams,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingAfter,
			WriteByteTimeout:              stallTimeout,
			MaxReceiveBufferPerConnection: connBuffer,
		},
	}
	if config.Connections > 0 {
		server.ConnState = (&crowd{most: int64(config.Connections)}).changed
	}
	return server
}

// crowd counts the connections of a server, and closes those that are too many.
type crowd struct {
	most int64
	held atomic.Int64
}

// changed is told by net/http what becomes of each connection. One that is too many is
// counted until it has ended, like any other.
func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if c.held.Add(1) > c.most {
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		c.held.Add(-1)
	default: // it is counted already
	}
}
