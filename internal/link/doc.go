// Package link carries many requests of one member of a cluster to another over one
// long-lived stream. A frame carries whatever is waiting, so that many requests cost
// little more than one; a receiver hands on the requests of a frame before it reads the
// next one, so they arrive in the order in which they were made.
//
// What a request and its answer are, is none of its business: they come as a [Body] and
// arrive as bytes. The end that asks has a [Client], the other one answers with [Serve].
// Either may retire a link without failing a request: no new ones are made on it, and
// those that were are answered. A request is answered, or not sent, so that nothing
// happened ([ErrUnsent]), or lost, so that nobody knows ([ErrLost]).
//
// Memory is bounded at both ends: so many requests are under way at a time, of so many
// bytes. Whoever breaks these rules loses the link, and of whoever takes no answers
// nothing more is read.
package link

import (
	"errors"
	"fmt"
)

const (
	// MaxRequest is the largest request that travels on a link, in bytes. Larger ones are
	// made apart, so that they keep nobody waiting.
	MaxRequest = 64 << 10
	// maxFrame is how many requests or answers a frame has, and maxFrameBytes about how large
	// they are together; a larger one has a frame of its own.
	maxFrame      = 256
	maxFrameBytes = 1 << 20
	// muchToSend is how many requests wait for nobody else.
	muchToSend = 64
	// maxRequests is how many requests of a link are under way at a time, until they are
	// answered, and maxBytes how large they are together before the last of them: more are
	// refused.
	maxRequests = 16_384
	maxBytes    = 64 << 20
	// keptBuffers is how large the buffers are that a link keeps for later frames, and
	// maxSpare how many: one fills while another one is sent.
	keptBuffers = 128 << 10
	maxSpare    = 2
)

var (
	// ErrUnsent says that a request has certainly not left: nothing happened.
	ErrUnsent = errors.New("it was not sent")
	// ErrRetired is an ErrUnsent: the link takes no more requests, another one may.
	ErrRetired = fmt.Errorf("%w: the link is retired", ErrUnsent)
	// ErrLost says that the link ended after a request may have left, and before it was
	// answered.
	ErrLost = errors.New("the link was lost")
)

// Body is a request or an answer. It is encoded at once, and not kept.
type Body interface {
	// Size is about how many bytes Append appends.
	Size() int
	// Append appends the encoded message.
	Append(b []byte) []byte
}

// Bytes is a Body that is encoded already.
type Bytes []byte

// Size is the length.
func (b Bytes) Size() int { return len(b) }

// Append appends the bytes.
func (b Bytes) Append(to []byte) []byte { return append(to, b...) }
