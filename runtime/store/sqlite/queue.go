package sqlite

import (
	"runtime"
	"sync"
)

// queue hands what is waiting, all of it, to whoever takes next.
type queue[T any] struct {
	mu sync.Mutex
	// waiting and closed are under mu.
	waiting []T
	closed  bool
	// wake holds a token while something waits or the queue is closed.
	wake chan struct{}
}

func newQueue[T any]() *queue[T] {
	return &queue[T]{wake: make(chan struct{}, 1)}
}

// put adds an item, unless the queue is closed.
func (q *queue[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, item)
	q.signal()
	return true
}

// take waits for items and returns them and whether the queue is open. It yields
// once before it takes: others who are about to put something come along.
func (q *queue[T]) take() (items []T, open bool) {
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

// takeWhile takes the first items that somebody accepts. It yields once, as take does, and
// does not wait.
func (q *queue[T]) takeWhile(accept func(T) bool) []T {
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

// close ends the queue; it returns what nobody took.
func (q *queue[T]) close() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.waiting
	q.waiting, q.closed = nil, true
	q.signal()
	return items
}

// signal is called under mu.
func (q *queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
