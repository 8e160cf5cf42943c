// Package link carries the calls of one worker to another over one long-lived stream. A
// frame carries whatever is waiting, so that many callers cost little more than one; a
// receiver puts the calls of a frame into the queues of their actors before it reads the
// next one, so calls arrive in the order in which they were made.
//
// Each direction has a link of its own, which the calling worker opens: [Open] and
// [Client.Invoke]. The called one answers with [Serve]. Either side may retire a link
// without failing a call: no new ones are made on it, and those that were are answered.
package link

import (
	"runtime"
	"sync"
)

const (
	// MaxRequest is the largest request that travels on a link, in bytes. Larger ones are
	// made apart, so that they keep nobody waiting.
	MaxRequest = 64 << 10
	// maxFrame is how many calls or answers a frame has, and maxFrameBytes how large they
	// are together before the last of them.
	maxFrame      = 64
	maxFrameBytes = 1 << 20
	// maxCalls is how many calls of a link are under way at a time, and maxBytes how large
	// their requests are together: more are refused, and a worker that makes more all the
	// same loses the link.
	maxCalls = 16_384
	maxBytes = 64 << 20
)

// outbox gathers what is to be sent.
type outbox[T any] struct {
	mu      sync.Mutex
	waiting []T
	// wake holds a token while something waits.
	wake chan struct{}
}

func newOutbox[T any]() outbox[T] { return outbox[T]{wake: make(chan struct{}, 1)} }

// put adds an item. It does not block.
func (o *outbox[T]) put(item T) {
	o.mu.Lock()
	o.waiting = append(o.waiting, item)
	o.mu.Unlock()
	o.poke()
}

// poke lets the writer look.
func (o *outbox[T]) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// frames gives what is waiting to send, a frame at a time, until nothing waits or send
// fails. It yields once: others who are about to put something come along.
func (o *outbox[T]) frames(size func(T) int, send func([]T) error) error {
	runtime.Gosched()
	for {
		frame := o.take(size)
		if len(frame) == 0 {
			return nil
		}
		if err := send(frame); err != nil {
			return err
		}
	}
}

func (o *outbox[T]) take(size func(T) int) []T {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, bytes := 0, 0
	for n < len(o.waiting) && n < maxFrame && bytes < maxFrameBytes {
		bytes += size(o.waiting[n])
		n++
	}
	frame := o.waiting[:n:n]
	if o.waiting = o.waiting[n:]; len(o.waiting) == 0 {
		o.waiting = nil
	}
	return frame
}
