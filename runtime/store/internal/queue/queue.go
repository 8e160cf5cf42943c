// Package queue is how callers hand work to the goroutines of a store that take what is
// waiting, all of it at once: so groups form by themselves, without a timer.
package queue

import (
	"context"
	"runtime"
	"sync"

	"github.com/francis-actors/francis/runtime/store"
)

// Queue hands what is waiting, all of it, to whoever takes next.
type Queue[T any] struct {
	mu sync.Mutex
	// waiting and closed are under mu.
	waiting []T
	closed  bool
	// wake holds a token while something waits or the queue is closed.
	wake chan struct{}
}

// New is an empty queue.
func New[T any]() *Queue[T] {
	return &Queue[T]{wake: make(chan struct{}, 1)}
}

// Put adds an item, unless the queue is closed.
func (q *Queue[T]) Put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, item)
	q.signal()
	return true
}

// Take waits for items and returns them and whether the queue is open. It yields
// once before it takes: others who are about to put something come along.
func (q *Queue[T]) Take() (items []T, open bool) {
	<-q.wake
	runtime.Gosched()
	q.mu.Lock()
	defer q.mu.Unlock()
	items, q.waiting = q.waiting, nil
	if q.closed {
		q.signal() // for the next one who takes
	}
	return items, !q.closed
}

// TakeWhile takes the first items that somebody accepts. It yields once, as Take does, and
// does not wait.
func (q *Queue[T]) TakeWhile(accept func(T) bool) []T {
	runtime.Gosched()
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.waiting) && accept(q.waiting[n]) {
		n++
	}
	items := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return items
}

// Len is how many items wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Close ends the queue; it returns what nobody took.
func (q *Queue[T]) Close() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.waiting
	q.waiting, q.closed = nil, true
	q.signal()
	return items
}

// signal is called under mu.
func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Call is one caller who waits. Its goroutine leaves when its context ends; what the
// call carries is then nobody's but the taker's.
type Call[Q, A any] struct {
	Question Q

	ctx    context.Context
	answer chan Answer[A]
}

// Answer is what a call is answered.
type Answer[A any] struct {
	Value A
	Err   error
}

// Gone is why the caller has left; nil while it waits.
func (c *Call[Q, A]) Gone() error { return c.ctx.Err() }

// End answers the call, whether or not somebody still waits.
func (c *Call[Q, A]) End(value A, err error) {
	c.answer <- Answer[A]{Value: value, Err: err}
}

// Ask puts a question into a queue and waits for the answer.
func Ask[Q, A any](ctx context.Context, q *Queue[*Call[Q, A]], question Q) (A, error) {
	var none A
	if err := ctx.Err(); err != nil {
		return none, err
	}
	c := &Call[Q, A]{ctx: ctx, Question: question, answer: make(chan Answer[A], 1)}
	if !q.Put(c) {
		return none, store.ErrClosed
	}
	select {
	case a := <-c.answer:
		return a.Value, a.Err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Refuse answers calls with an error.
func Refuse[Q, A any](calls []*Call[Q, A], err error) {
	var none A
	for _, c := range calls {
		c.End(none, err)
	}
}
