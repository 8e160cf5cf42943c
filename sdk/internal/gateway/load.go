package gateway

import (
	"sync/atomic"

	"github.com/francis-actors/francis/internal/fault"
)

const (
	// maxCalls is how many calls one gateway has under way at a time, and maxBytes how
	// large their requests are together. Who comes on top of it is refused, with advice
	// when to try again: a queue without a bound would only answer when nobody waits any
	// more.
	maxCalls = 16_384
	maxBytes = 256 << 20
)

// load counts what a gateway has under way.
type load struct{ calls, bytes atomic.Int64 }

// take admits a call with a request of that size.
func (l *load) take(size int) error {
	calls, bytes := l.calls.Add(1), l.bytes.Add(int64(size))
	if calls <= maxCalls && bytes <= maxBytes {
		return nil
	}
	l.give(size)
	return fault.Overloaded()
}

// give says that a call has ended.
func (l *load) give(size int) {
	l.calls.Add(-1)
	l.bytes.Add(int64(-size))
}
