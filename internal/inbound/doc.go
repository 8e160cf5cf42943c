// Package inbound bounds what clients can make a process hold over HTTP. Every port of a
// cluster takes its server from [NewServer], which bounds connections, streams and
// headers, and keeps its handlers to a [Pace], which bounds how long a request may take
// to arrive and its answer to leave; those of members also to what their bodies may be
// together ([Bound]).
//
// It knows nothing of actors: runtime, workers and gateways call it, and it calls
// nobody.
package inbound
