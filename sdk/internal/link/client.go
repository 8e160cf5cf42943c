package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// Client is the calling end of a link. Its methods may be called concurrently.
type Client struct {
	stream peerv1connect.PeerServiceLinkClientStream
	// kill ends the stream at once.
	kill func()
	out  outbox[outgoing]
	// idle is for how long the link is kept without a call.
	idle time.Duration

	mu      sync.Mutex
	pending map[uint64]*pending
	// bytes is how large the requests of pending are.
	bytes int
	// last is the number of the last call.
	last uint64
	// retired is set once the link takes no more calls.
	retired bool
	// used is when the last call ended.
	used time.Time

	// ended is closed when the link has.
	ended chan struct{}
	// loops are the reader and the writer.
	loops sync.WaitGroup
}

// outgoing is a call, or the number of one that nobody waits for any more.
type outgoing struct {
	id   uint64
	call *peerv1.InvokeRequest
}

// pending is a call that waits for its answer.
type pending struct {
	size int
	// sent is true from when the call may have left.
	sent bool
	done chan answer
}

type answer struct {
	res *peerv1.InvokeResponse
	err error
}

// Open opens a link: nothing has left before it returns. The link ends by itself when it
// has been idle for the given time.
func Open(ctx context.Context, service peerv1connect.PeerServiceClient, idle time.Duration) (*Client, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stream, err := service.Link(life)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the link: %w", err)
	}
	kill := func() {
		cancel()
		_ = stream.Close() // which also ends a Receive
	}
	defer context.AfterFunc(ctx, kill)()
	if err = stream.SendHeaders(); err == nil {
		_, err = stream.Receive() // the other side says that it is there
	}
	if err != nil {
		kill()
		return nil, fmt.Errorf("open the link: %w", err)
	}
	c := &Client{
		stream: stream, kill: kill, out: newOutbox[outgoing](), idle: idle,
		pending: map[uint64]*pending{}, used: time.Now(), ended: make(chan struct{}),
	}
	c.loops.Go(c.read)
	c.loops.Go(c.write)
	return c, nil
}

// Invoke makes a call. It fails with [host.ErrUnsent] where the call has certainly not
// left, with the error of ctx when that ends first, with what the other worker says, and
// with an unknown outcome when the link is lost.
func (c *Client) Invoke(ctx context.Context, req *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	p := &pending{size: len(req.GetBody()), done: make(chan answer, 1)}
	id, err := c.admit(p)
	if err != nil {
		return nil, err
	}
	c.out.put(outgoing{id: id, call: req})
	select {
	case a := <-p.done:
		return a.res, a.err
	case <-ctx.Done():
		return nil, c.leave(id, ctx.Err())
	}
}

func (c *Client) admit(p *pending) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.retired:
		return 0, fmt.Errorf("%w: the link is retired", host.ErrUnsent)
	case len(c.pending) >= maxCalls || c.bytes+p.size > maxBytes:
		return 0, fault.Overloaded()
	}
	c.last++
	c.pending[c.last] = p
	c.bytes += p.size
	return c.last, nil
}

// leave gives up a call.
func (c *Client) leave(id uint64, cause error) error {
	c.mu.Lock()
	p := c.remove(id)
	c.mu.Unlock()
	switch {
	case p == nil: // answered at this moment
		return cause
	case !p.sent:
		return fmt.Errorf("%w: %w", host.ErrUnsent, cause)
	}
	c.out.put(outgoing{id: id})
	return cause
}

// remove takes a call out of those that wait; nil if it is not there. The link is locked.
func (c *Client) remove(id uint64) *pending {
	p := c.pending[id]
	if p == nil {
		return nil
	}
	delete(c.pending, id)
	c.bytes -= p.size
	c.used = time.Now()
	if c.retired && len(c.pending) == 0 {
		c.out.poke()
	}
	return p
}

// Retire lets the link end when the calls that were made on it are answered.
func (c *Client) Retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.out.poke()
}

// Close ends the link at once, and waits until it has.
func (c *Client) Close() {
	c.kill()
	c.loops.Wait()
}

// Ended is closed when the link has ended.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Retired reports whether the link takes no more calls.
func (c *Client) Retired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired
}

// write sends what is waiting, until the link is retired and all its calls have left.
func (c *Client) write() {
	idle := time.NewTimer(c.idle)
	defer idle.Stop()
	for {
		select {
		case <-c.out.wake:
		case <-idle.C:
			c.rest()
			idle.Reset(c.idle)
		case <-c.ended:
			return
		}
		if c.out.frames(outgoing.size, c.send) != nil {
			c.kill() // the reader learns of it
			return
		}
		if c.empty() {
			_ = c.stream.CloseSend() // the reader learns of a fault
			return
		}
	}
}

func (o outgoing) size() int { return len(o.call.GetBody()) }

// send sends a frame, without the calls that were given up meanwhile.
func (c *Client) send(items []outgoing) error {
	frame := &peerv1.LinkRequest{}
	c.mu.Lock()
	for _, item := range items {
		p := c.pending[item.id]
		switch {
		case item.call == nil:
			frame.Gone = append(frame.Gone, item.id)
		case p != nil:
			p.sent = true
			frame.Calls = append(frame.Calls, &peerv1.LinkRequest_Call{Id: item.id, Invoke: item.call})
		}
	}
	c.mu.Unlock()
	return c.stream.Send(frame)
}

// rest retires a link that was not used for long enough.
func (c *Client) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 && time.Since(c.used) >= c.idle {
		c.retired = true
	}
}

// empty reports whether nothing more is to be sent, ever. A link that was retired stays
// open for the word that a caller has left until the last one is answered.
func (c *Client) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pending {
		if !p.sent {
			return false
		}
	}
	return c.retired
}

// read takes the answers until the link ends.
func (c *Client) read() {
	for {
		frame, err := c.stream.Receive()
		if err != nil {
			c.end(err)
			return
		}
		for _, a := range frame.GetAnswers() {
			c.answer(a)
		}
		if frame.GetClosing() {
			c.Retire()
		}
	}
}

func (c *Client) answer(a *peerv1.LinkResponse_Answer) {
	c.mu.Lock()
	p := c.remove(a.GetId())
	c.mu.Unlock()
	if p == nil {
		return // its caller has left
	}
	if f := a.GetFailure(); f != nil {
		p.done <- answer{err: failed(f)}
		return
	}
	p.done <- answer{res: a.GetResponse()}
}

// failed is the error that a failure tells of.
func failed(f *peerv1.Failure) error {
	if f.GetDetail() == nil {
		return connect.NewError(connect.Code(f.GetCode()), f.GetMessage())
	}
	return fault.New(connect.Code(f.GetCode()), f.GetDetail(), f.GetMessage())
}

// end tells everybody who waits that the link was lost.
func (c *Client) end(cause error) {
	c.mu.Lock()
	lost := c.pending
	c.pending, c.bytes, c.retired = map[uint64]*pending{}, 0, true
	c.mu.Unlock()
	if errors.Is(cause, io.EOF) {
		cause = errors.New("the other worker has ended the link")
	}
	for _, p := range lost {
		if p.sent {
			p.done <- answer{err: fault.LinkLost(errors.New(cause.Error()))}
		} else {
			p.done <- answer{err: fmt.Errorf("%w: %w", host.ErrUnsent, cause)}
		}
	}
	close(c.ended)
	c.kill()
}
