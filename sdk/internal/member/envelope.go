package member

import (
	"encoding/binary"
	"io"
	"net/http"
)

// prefix is how long the prefix of a message on a stream is, in Connect as in gRPC: a
// byte of flags and four of length.
const prefix = 5

// joined is a request whose body gives a message together with its prefix. Connect writes
// them one after the other, and HTTP/2 would send each with a system call, a TLS record
// and a frame of its own.
func joined(req *http.Request) *http.Request {
	if req.ContentLength >= 0 { // no stream
		return req
	}
	req = req.WithContext(req.Context()) // whose body may be replaced
	req.Body = &envelopes{ReadCloser: req.Body}
	return req
}

// envelopes is a stream of messages.
type envelopes struct {
	io.ReadCloser

	// left is how much is to come of the message that was begun; lost where a prefix came
	// in parts, which Connect does not do: then the stream is passed on as it comes.
	left int
}

const lost = -1

// Read reads as the stream does, but goes on after a prefix.
func (e *envelopes) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	switch {
	case e.left == lost || n == 0:
		return n, err
	case e.left > 0:
		return n, e.took(n, err)
	case n < prefix:
		e.left = lost
		return n, err
	}
	e.left = prefix + int(binary.BigEndian.Uint32(p[1:prefix]))
	if err = e.took(n, err); n > prefix || e.left == 0 || n == len(p) || err != nil {
		return n, err
	}
	more, err := e.ReadCloser.Read(p[n:])
	return n + more, e.took(more, err)
}

// took counts what was read of a message. More than one at a time is not read from
// Connect.
func (e *envelopes) took(n int, err error) error {
	if e.left -= n; e.left < 0 {
		e.left = lost
	}
	return err
}
