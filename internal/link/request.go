package link

import (
	"context"
	"sync"
	"time"
)

// Request is a request that is served. It is also the context of the work for it, which
// ends when nobody waits for the answer any more, or with the link; it costs nothing
// until somebody asks for that.
type Request struct {
	link *served
	id   uint64
	size int

	mu sync.Mutex
	// over is true once nobody waits.
	over bool
	done chan struct{}
	// leaver is told when nobody waits; nil for nobody.
	leaver Leaver
	// hooks are what AfterFunc was given; one that was taken back is nil.
	hooks []func()
}

// Leaver is told that nobody waits for an answer any more.
type Leaver interface{ Gone() }

var _ context.Context = (*Request)(nil)

// Answer answers the request: with a body, or with err where that is not nil.
func (r *Request) Answer(body Body, err error) {
	if err != nil {
		r.link.answer(r, fieldFailure, Bytes(encodeFailure(err)))
		return
	}
	r.link.answer(r, fieldBody, body)
}

// Notify lets l be told, once and on a goroutine of its own, when nobody waits for the
// answer any more. It is called at most once.
func (r *Request) Notify(l Leaver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		go l.Gone()
		return
	}
	r.leaver = l
}

// Deadline is none: what a request says of its time is known to who serves it.
func (r *Request) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is nothing: who sent the request has sent no values.
func (r *Request) Value(any) any { return nil }

// Err says whether somebody still waits.
func (r *Request) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return context.Canceled
	}
	return nil
}

// Done is closed when nobody waits any more.
func (r *Request) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.over {
			close(r.done)
		}
	}
	return r.done
}

// AfterFunc lets package context derive contexts from this one without a goroutine for
// each (see [context.AfterFunc]).
func (r *Request) AfterFunc(hook func()) func() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		go hook()
		return func() bool { return false }
	}
	r.hooks = append(r.hooks, hook)
	n := len(r.hooks) - 1
	return func() bool { return r.drop(n) }
}

func (r *Request) drop(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.hooks[n] == nil {
		return false
	}
	r.hooks[n] = nil
	return true
}

// end ends the context.
func (r *Request) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.over = true
	if r.done != nil {
		close(r.done)
	}
	if r.leaver != nil {
		go r.leaver.Gone()
	}
	for _, hook := range r.hooks {
		if hook != nil {
			go hook()
		}
	}
}
