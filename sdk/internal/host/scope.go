package host

import (
	"context"
	"sync"
	"time"
)

// turnContext is the context of a run: it has the values of the caller's context,
// the earlier of both deadlines, and ends with the call. It is the run itself, so
// that a call which nobody can end pays nothing for it.
type turnContext run

// scope is what makes a turnContext end.
type scope struct {
	mu sync.Mutex
	// done is made when somebody asks for it.
	done  chan struct{}
	cause error
	// hooks are called, each on a goroutine of its own, when the context ends.
	hooks map[*hook]struct{}
}

type hook struct{ call func() }

type runKey struct{}

// runningIn returns the run that ctx belongs to, nil outside of any and after its
// end: a run that is over no longer waits for what it started.
func runningIn(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	if r == nil || r.over.Load() {
		return nil
	}
	return r
}

func (c *turnContext) Deadline() (time.Time, bool) {
	at, ok := c.parent.Deadline()
	if c.due == 0 {
		return at, ok
	}
	own := time.Now().Add(c.due - c.host.deadlines.Now())
	if ok && at.Before(own) {
		return at, true
	}
	return own, true
}

func (c *turnContext) Done() <-chan struct{} {
	s := &c.scope
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.cause != nil {
			close(s.done)
		}
	}
	return s.done
}

func (c *turnContext) Err() error {
	c.scope.mu.Lock()
	defer c.scope.mu.Unlock()
	return c.scope.cause
}

func (c *turnContext) Value(key any) any {
	if key == (runKey{}) {
		return (*run)(c)
	}
	return c.parent.Value(key)
}

// AfterFunc lets package context derive contexts from this one without a
// goroutine for each (see context.AfterFunc).
func (c *turnContext) AfterFunc(call func()) func() bool {
	s := &c.scope
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		go call()
		return func() bool { return false }
	}
	h := &hook{call}
	if s.hooks == nil {
		s.hooks = map[*hook]struct{}{}
	}
	s.hooks[h] = struct{}{}
	return func() bool { return s.drop(h) }
}

func (s *scope) drop(h *hook) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, waiting := s.hooks[h]
	delete(s.hooks, h)
	return waiting
}

// cancel ends the context. The first cause stays.
func (s *scope) cancel(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = cause
	if s.done != nil {
		close(s.done)
	}
	for h := range s.hooks {
		go h.call()
	}
	s.hooks = nil
}
