package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protowire"

	linkv1 "github.com/francis-actors/francis/gen/francis/link/v1"
	"github.com/francis-actors/francis/internal/fault"
)

// ServerStream is the stream of a link, as generated code has it at the end that answers.
type ServerStream interface {
	Receive() (*linkv1.Frame, error)
	Send(frame *linkv1.Frame) error
}

// Server says how links are served.
type Server struct {
	// Take begins a request: whatever has to keep the order of requests happens before it
	// returns. It does not block, and does not keep the body. It or somebody later calls
	// Answer, once.
	Take func(request *Request, body []byte)
	// Arrived, where it is not nil, is told of each frame before its requests are begun.
	Arrived func()
	// Closing is closed when no more requests shall come: those that did are answered.
	Closing <-chan struct{}
	// Valid reports whether the other end may still ask. When it may not, no more requests
	// shall come.
	Valid func() bool
}

// served is a link that is served.
type served struct {
	Server

	stream ServerStream
	ctx    context.Context
	// wake holds a token while answers wait.
	wake chan struct{}

	mu       sync.Mutex
	requests map[uint64]*Request
	// waiting are the answers that have not left.
	waiting outbox
	// bytes is how large the requests are.
	bytes int
	// drained is closed when the last request is answered after the other end has stopped.
	drained chan struct{}
	over    bool

	// left holds a token after answers have left, and mute is closed when no more will.
	left, mute chan struct{}
}

// Serve serves a link until the other end ends it, or ctx ends.
func Serve(ctx context.Context, stream ServerStream, server Server) error {
	s := &served{
		Server: server, stream: stream, ctx: ctx, wake: make(chan struct{}, 1),
		requests: map[uint64]*Request{}, drained: make(chan struct{}),
		left: make(chan struct{}, 1), mute: make(chan struct{}),
	}
	if err := stream.Send(&linkv1.Frame{}); err != nil { // says that it is there
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

// read takes requests until the other end ends the link.
func (s *served) read() error {
	for {
		frame, err := s.stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.begin(frame.GetItems())
		}
		if err != nil {
			return err
		}
		for _, id := range frame.GetGone() {
			s.gone(id)
		}
		s.breathe()
	}
}

// begin begins the requests of a frame.
func (s *served) begin(items []byte) error {
	if s.Arrived != nil {
		s.Arrived()
	}
	return scan(items, s.receive)
}

// breathe waits while too many answers have not left: whoever does not take them asks
// nothing more.
func (s *served) breathe() {
	for s.full() {
		select {
		case <-s.left:
		case <-s.mute:
			return
		}
	}
}

func (s *served) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.count > maxRequests || s.waiting.bytes > maxBytes
}

// receive begins a request.
func (s *served) receive(i received) error {
	r := &Request{link: s, id: i.id, size: len(i.body)}
	if err := s.admit(r); err != nil {
		return err
	}
	s.Take(r, i.body)
	return nil
}

func (s *served) admit(r *Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, twice := s.requests[r.id]; {
	case twice:
		return fault.Malformed(connect.CodeInvalidArgument, fmt.Sprintf("request %d was made twice", r.id))
	case len(s.requests) >= maxRequests || s.bytes >= maxBytes:
		return fault.Malformed(connect.CodeResourceExhausted, fmt.Sprintf("a link carries at most %d requests at a time, of %d bytes together", maxRequests, maxBytes))
	}
	s.requests[r.id] = r
	s.bytes += r.size
	return nil
}

// gone ends a request for whose answer nobody waits.
func (s *served) gone(id uint64) {
	s.mu.Lock()
	r := s.requests[id]
	s.mu.Unlock()
	if r != nil {
		r.end()
	}
}

// answer lets an answer travel with the next frame.
func (s *served) answer(r *Request, content protowire.Number, body Body) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, r.id)
	s.bytes -= r.size
	if s.waiting.count == 0 { // else the writer is about to look
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	s.waiting.add(r.id, content, body)
	if s.over && len(s.requests) == 0 {
		close(s.drained)
	}
}

// finish waits until every request is answered. When the link was lost, the requests
// end: nobody hears of their answers.
func (s *served) finish(lost error) {
	left := s.stop()
	if len(left) == 0 {
		return
	}
	if lost == nil {
		select {
		case <-s.drained:
			return
		case <-s.ctx.Done():
		}
	}
	for _, r := range left {
		r.end()
	}
}

// stop returns the requests that are not answered, after the last one has come.
func (s *served) stop() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return slices.Collect(maps.Values(s.requests))
}

// write sends answers until done is closed, and what is waiting then.
func (s *served) write(done <-chan struct{}) {
	defer close(s.mute)
	closing := s.Closing
	for {
		select {
		case <-s.wake:
		case <-closing:
			closing = nil
			if s.stream.Send(&linkv1.Frame{Closing: true}) != nil {
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

// flush sends what is waiting, a frame at a time.
func (s *served) flush() error {
	for frame := (parcel{}); ; {
		gather(s.crowd)
		if frame = s.take(frame); frame.count == 0 {
			return nil
		}
		if err := s.stream.Send(&linkv1.Frame{Items: frame.items, Closing: !s.Valid()}); err != nil {
			return err
		}
	}
}

// crowd is how many answers have not left.
func (s *served) crowd() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.count
}

// take takes the next frame; sent is the one before, whose memory it may use.
func (s *served) take(sent parcel) parcel {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.waiting.next(sent)
	select {
	case s.left <- struct{}{}:
	default:
	}
	return next
}
