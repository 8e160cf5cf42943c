package sdk

import (
	"net/http"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/inbound"
)

// NewServer returns an http.Server for the gateway of a host, bare or inside of the
// application's own handlers, with the limits that a server needs before strangers:
// 5 seconds for a TLS handshake and for a header of at most 16 KiB, 2 minutes of idling,
// 16,384 connections, 100 requests at once on each of HTTP/2, and an end for connections
// that take or answer nothing. Bodies and answers are the gateway's to bound.
//
// It speaks HTTP/1.1 and HTTP/2, also without TLS, as gRPC clients inside of a cluster
// want it. The caller gives it a listener, certificates if it wants some, and ends it; any
// field may be changed before. How many connections one client may have is not bounded,
// because the clients of a proxy share its address: let the proxy do that.
func NewServer(handler http.Handler) *http.Server {
	server := inbound.NewServer(inbound.ServerConfig{
		Handler: handler, Streams: limit.GatewayStreams, Connections: limit.GatewayConnections,
	})
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}
