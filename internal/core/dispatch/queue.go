package dispatch

import (
	"container/heap"
	"time"
)

// queue is a queue of actors. One that waits elsewhere by now is left out when its turn
// comes.
type queue struct {
	actors []*actor
	head   int
}

func (q *queue) push(a *actor) { q.actors = append(q.actors, a) }

func (q *queue) len() int { return len(q.actors) - q.head }

// peek is the first actor, nil for none.
func (q *queue) peek() *actor {
	for q.head < len(q.actors) {
		if a := q.actors[q.head]; a.queue == q {
			return a
		}
		q.skip()
	}
	return nil
}

// pop takes the first actor out, which must be there.
func (q *queue) pop() *actor {
	a := q.peek()
	q.skip()
	a.queue = nil
	return a
}

func (q *queue) skip() {
	q.actors[q.head] = nil
	q.head++
	if q.head == len(q.actors) {
		q.actors, q.head = q.actors[:0], 0
	} else if q.head > 1024 && q.head > len(q.actors)/2 {
		n := copy(q.actors, q.actors[q.head:])
		clear(q.actors[n:])
		q.actors, q.head = q.actors[:n], 0
	}
}

// timer is the time at which an actor has something due.
type timer struct {
	at    time.Time
	actor *actor
}

// timers is a heap of them. One that holds no more is left out when its time comes.
type timers []timer

func (t *timers) push(one timer) { heap.Push((*timerHeap)(t), one) }

func (t *timers) pop() timer {
	first := (*t)[0]
	heap.Pop((*timerHeap)(t))
	return first
}

type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) } //nolint:forcetypeassert // nothing else is in it
func (h *timerHeap) Pop() any {
	(*h)[len(*h)-1] = timer{}
	*h = (*h)[:len(*h)-1]
	return nil // it was looked at before
}
