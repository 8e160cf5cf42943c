package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/internal/fault"
)

// Stream is the called end of a stream.
type Stream interface {
	Receive() (*peerv1.LinkRequest, error)
	Send(res *peerv1.LinkResponse) error
}

// Server says how links are served.
type Server struct {
	// Invoke puts a call into the queue of its actor before it returns, and calls answer
	// once, later or at once. Its context ends when the caller has left.
	Invoke func(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error))
	// Closing is closed when no more calls shall come: those that did are answered.
	Closing <-chan struct{}
	// Valid reports whether the other side may still call. When it may not, no more calls
	// shall come.
	Valid func() bool
}

// served is a link that is served.
type served struct {
	Server

	stream Stream
	ctx    context.Context
	out    outbox[*peerv1.LinkResponse_Answer]

	mu    sync.Mutex
	calls map[uint64]*call
	bytes int
	// drained is closed when the last call is answered after the other side has stopped.
	drained chan struct{}
	over    bool
}

// Serve serves a link until the other side ends it, or ctx ends.
func Serve(ctx context.Context, stream Stream, server Server) error {
	s := &served{
		Server: server, stream: stream, ctx: ctx, out: newOutbox[*peerv1.LinkResponse_Answer](),
		calls: map[uint64]*call{}, drained: make(chan struct{}),
	}
	if err := stream.Send(&peerv1.LinkResponse{}); err != nil { // says that it is there
		return err
	}
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() { s.write(done) })
	err := s.read()
	s.finish(err)
	close(done)
	writing.Wait()
	return err
}

// read takes calls until the other side ends the link.
func (s *served) read() error {
	for {
		frame, err := s.stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, c := range frame.GetCalls() {
			if err := s.take(c); err != nil {
				return err
			}
		}
		for _, id := range frame.GetGone() {
			s.gone(id)
		}
	}
}

// take begins a call.
func (s *served) take(made *peerv1.LinkRequest_Call) error {
	c := &call{Context: s.ctx, link: s, id: made.GetId(), size: len(made.GetInvoke().GetBody())}
	if err := s.admit(c); err != nil {
		return err
	}
	s.Invoke(c, made.GetInvoke(), c.answer)
	return nil
}

func (s *served) admit(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += c.size
	switch _, twice := s.calls[c.id]; {
	case twice:
		return fault.Malformed(connect.CodeInvalidArgument, fmt.Sprintf("call %d was made twice", c.id))
	case len(s.calls) >= maxCalls || s.bytes > maxBytes:
		return fault.Malformed(connect.CodeResourceExhausted, fmt.Sprintf("a link carries at most %d calls at a time, of %d bytes together", maxCalls, maxBytes))
	}
	s.calls[c.id] = c
	return nil
}

// gone ends a call whose caller has left.
func (s *served) gone(id uint64) {
	s.mu.Lock()
	c := s.calls[id]
	s.mu.Unlock()
	if c != nil {
		c.end(context.Canceled)
	}
}

// remove says that a call was answered.
func (s *served) remove(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c.id)
	s.bytes -= c.size
	if s.over && len(s.calls) == 0 {
		close(s.drained)
	}
}

// finish waits until every call is answered. When the link was lost, the calls end:
// nobody hears of their answers.
func (s *served) finish(lost error) {
	s.mu.Lock()
	s.over = true
	var left []*call
	for _, c := range s.calls {
		left = append(left, c)
	}
	s.mu.Unlock()
	if len(left) == 0 {
		return
	}
	if lost != nil {
		for _, c := range left {
			c.end(context.Canceled)
		}
		return
	}
	select {
	case <-s.drained:
	case <-s.ctx.Done():
		for _, c := range left {
			c.end(context.Canceled)
		}
	}
}

// write sends answers until done is closed, and what is waiting then.
func (s *served) write(done <-chan struct{}) {
	closing := s.Closing
	for {
		select {
		case <-s.out.wake:
		case <-closing:
			closing = nil
			if s.stream.Send(&peerv1.LinkResponse{Closing: true}) != nil {
				return
			}
		case <-done:
			_ = s.flush() // who has left hears nothing
			return
		}
		if s.flush() != nil {
			return
		}
	}
}

func (s *served) flush() error {
	return s.out.frames(sizeOf, func(answers []*peerv1.LinkResponse_Answer) error {
		return s.stream.Send(&peerv1.LinkResponse{Answers: answers, Closing: !s.Valid()})
	})
}

func sizeOf(a *peerv1.LinkResponse_Answer) int {
	return len(a.GetResponse().GetReply()) + len(a.GetFailure().GetMessage())
}

// call is one call, and the context of it: it ends when the caller has left, or with the
// link.
type call struct {
	context.Context

	link *served
	id   uint64
	size int

	mu    sync.Mutex
	cause error
	done  chan struct{}
	// hooks are what AfterFunc was given; one that was taken back is nil.
	hooks []func()
}

func (c *call) answer(res *peerv1.InvokeResponse, err error) {
	a := &peerv1.LinkResponse_Answer{Id: c.id}
	if err != nil {
		a.Result = &peerv1.LinkResponse_Answer_Failure{Failure: failure(err)}
	} else {
		a.Result = &peerv1.LinkResponse_Answer_Response{Response: res}
	}
	c.link.out.put(a)
	c.link.remove(c)
}

// failure is an error as it travels.
func failure(err error) *peerv1.Failure {
	message := err.Error()
	if coded, ok := errors.AsType[*connect.Error](err); ok {
		message = coded.Message()
	}
	return &peerv1.Failure{Code: uint32(connect.CodeOf(err)), Message: message, Detail: fault.Detail(err)}
}

// Err, Done and AfterFunc make a call a context that costs nothing until somebody asks.

func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		return c.Context.Err()
	}
	return c.cause
}

func (c *call) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.cause != nil {
			close(c.done)
		}
	}
	return c.done
}

// AfterFunc lets package context call back without a goroutine for each call.
func (c *call) AfterFunc(hook func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		go hook()
		return func() bool { return false }
	}
	c.hooks = append(c.hooks, hook)
	n := len(c.hooks) - 1
	return func() bool { return c.drop(n) }
}

func (c *call) drop(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil || c.hooks[n] == nil {
		return false
	}
	c.hooks[n] = nil
	return true
}

// end ends the context.
func (c *call) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause = cause
	if c.done != nil {
		close(c.done)
	}
	for _, hook := range c.hooks {
		if hook != nil {
			go hook()
		}
	}
}
