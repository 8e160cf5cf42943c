package host

import (
	"context"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/link"
)

// turnContext is the context of a run: it has the values of the caller's context,
// the earlier of both deadlines, and ends with the call. It is the run itself, so
// that a call which nobody can end pays nothing for it.
type turnContext run

// scope is what makes a turnContext end. It is made when somebody waits for that, or when
// it ends before its turn does: few methods look at their context.
type scope struct {
	mu sync.Mutex
	// done is made when somebody asks for it.
	done  chan struct{}
	cause error
	// hooks are called, each on a goroutine of its own, when the context ends.
	hooks map[*hook]struct{}
	// leaver is told when the context ends; nil for nobody.
	leaver link.Leaver
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
	s := (*run)(c).watched()
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
	over := c.over.Load() // before the cause, which is the same from then on
	if s := c.scope.Load(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cause != nil {
			return s.cause
		}
	}
	if over {
		return context.Canceled
	}
	return nil
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
	s := (*run)(c).watched()
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

// Notify lets l be told when the context ends, see [link.Ending].
func (c *turnContext) Notify(l link.Leaver) {
	s := (*run)(c).watched()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaver = l
	if l != nil && s.cause != nil {
		l.Gone()
	}
}

var _ link.Ending = (*turnContext)(nil)

// watched is the scope of a run, for who wants to be told of its end. One that is made
// after the turn has ended has ended too.
func (r *run) watched() *scope {
	if s := r.scope.Load(); s != nil {
		return s
	}
	r.scope.CompareAndSwap(nil, new(scope))
	if r.over.Load() { // after the scope was set: who ends the turn meanwhile has seen it
		r.cancel(context.Canceled)
	}
	return r.scope.Load()
}

// conclude says that the turn is over, and ends its context.
func (r *run) conclude() {
	if !r.over.Load() { // a turn that could stage has said so before
		r.over.Store(true)
	}
	if r.scope.Load() != nil {
		r.cancel(context.Canceled)
	}
}

// untouched reports whether the context has not ended and nobody waits for its end, or ever
// has but for a leaver.
func (s *scope) untouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done == nil && s.cause == nil && s.hooks == nil && s.leaver == nil
}

func (s *scope) drop(h *hook) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, waiting := s.hooks[h]
	delete(s.hooks, h)
	return waiting
}

// cancel ends the context of the run, whose turn may go on. The first cause stays; that
// of a turn which is over is its end.
func (r *run) cancel(cause error) {
	s := r.watched()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	if r.over.Load() {
		cause = context.Canceled
	}
	s.cause = cause
	if s.done != nil {
		close(s.done)
	}
	for h := range s.hooks {
		go h.call()
	}
	s.hooks = nil
	if s.leaver != nil {
		s.leaver.Gone()
	}
}
