package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	linkv1 "github.com/francis-actors/francis/gen/francis/link/v1"
	"github.com/francis-actors/francis/internal/fault"
)

// ClientStream is the stream of a link, as generated code has it at the end that asks.
type ClientStream interface {
	SendHeaders() error
	Send(frame *linkv1.Frame) error
	Receive() (*linkv1.Frame, error)
	CloseSend() error
	Close() error
}

// Client is the end of a link that asks. Its methods may be called concurrently.
type Client struct {
	stream ClientStream
	// kill ends the stream at once.
	kill func()
	// idle is for how long the link is kept without a request.
	idle time.Duration
	// wake holds a token while the writer has something to look at.
	wake chan struct{}

	mu      sync.Mutex
	pending map[uint64]*pending
	// waiting are the requests that have not left, and gone are those of which the other
	// end shall hear that nobody waits any more.
	waiting []item
	gone    []uint64
	// bytes is how large the requests of pending are.
	bytes int
	// last is the number of the last request.
	last uint64
	// retired is set, with mu locked, once the link takes no more requests.
	retired atomic.Bool
	// used is set when the link was used since the last look.
	used bool

	// ended is closed when the link has.
	ended chan struct{}
	// loops are the reader and the writer.
	loops sync.WaitGroup
}

// pending is a request that waits for its answer.
type pending struct {
	id   uint64
	size int
	// sent is true from when the request may have left.
	sent bool
	done chan answer
}

type answer struct {
	body []byte
	err  error
}

// places are what requests wait in; each is empty when it comes back.
var places = sync.Pool{New: func() any { return &pending{done: make(chan answer, 1)} }}

// Open opens a link over the stream that dial makes: no request has left before it
// returns. The link ends by itself when it was not used for the given time, or
// somewhat longer.
func Open[S ClientStream](ctx context.Context, dial func(context.Context) (S, error), idle time.Duration) (*Client, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stream, err := dial(life)
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
		stream: stream, kill: kill, idle: idle, wake: make(chan struct{}, 1),
		pending: map[uint64]*pending{}, ended: make(chan struct{}),
	}
	c.loops.Go(c.read)
	c.loops.Go(c.write)
	return c, nil
}

// Call makes a request and waits for its answer, which is shared with others: it is to
// be decoded at once, and never changed. It fails with [ErrUnsent] where the request has
// certainly not left, with the error of ctx when that ends first, with what the other
// end says, and with [ErrLost] when nobody will ever know.
func (c *Client) Call(ctx context.Context, request Body) ([]byte, error) {
	p := places.Get().(*pending)
	if err := c.admit(p, request); err != nil {
		return nil, err
	}
	select {
	case a := <-p.done:
		places.Put(p)
		return a.body, a.err
	case <-ctx.Done():
		return nil, c.leave(p, ctx.Err())
	}
}

func (c *Client) admit(p *pending, request Body) error {
	size := request.Size()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.retired.Load():
		return ErrRetired
	case len(c.pending) >= maxRequests || c.bytes+size > maxBytes:
		return fault.Overloaded()
	}
	c.last++
	p.id, p.size, p.sent = c.last, size, false
	c.pending[p.id] = p
	c.bytes += size
	c.waiting = append(c.waiting, item{id: p.id, body: request})
	c.poke()
	return nil
}

// poke lets the writer look.
func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// leave gives up a request.
func (c *Client) leave(p *pending, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.remove(p.id) == nil: // answered at this moment
		return cause
	case !p.sent: // it waits for nobody, and is left out of its frame
		return fmt.Errorf("%w: %w", ErrUnsent, cause)
	}
	c.gone = append(c.gone, p.id)
	c.poke()
	return cause
}

// remove takes a request out of those that wait for an answer; nil if it is not there.
// The link is locked.
func (c *Client) remove(id uint64) *pending {
	p := c.pending[id]
	if p == nil {
		return nil
	}
	delete(c.pending, id)
	c.bytes -= p.size
	c.used = true
	if c.retired.Load() && len(c.pending) == 0 {
		c.poke()
	}
	return p
}

// Retire lets the link end when the requests that were made on it are answered.
func (c *Client) Retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired.Store(true)
	c.poke()
}

// Close ends the link at once, and waits until it has.
func (c *Client) Close() {
	c.kill()
	c.loops.Wait()
}

// Ended is closed when the link has ended.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Retired reports whether the link takes no more requests.
func (c *Client) Retired() bool { return c.retired.Load() }

// write sends what is waiting, until the link is retired and all its requests are
// answered or have left for good.
func (c *Client) write() {
	idle := time.NewTicker(c.idle)
	defer idle.Stop()
	var to sender
	for {
		select {
		case <-c.wake:
		case <-idle.C:
			c.rest()
		case <-c.ended:
			return
		}
		if c.flush(&to) != nil {
			c.kill() // the reader learns of it
			return
		}
		if c.empty() {
			_ = c.stream.CloseSend() // the reader learns of a fault
			return
		}
	}
}

// sender is what the writer keeps from frame to frame.
type sender struct {
	press press
	items []item
}

// flush sends what is waiting, a frame at a time. It yields once: others who are about
// to ask come along.
func (c *Client) flush(to *sender) error {
	runtime.Gosched()
	for {
		gone := c.take(to)
		if len(to.items)+len(gone) == 0 {
			return nil
		}
		err := c.stream.Send(&linkv1.Frame{Items: to.press.print(to.items), Gone: gone})
		clear(to.items)
		if err != nil {
			return err
		}
	}
}

// take moves the next frame to the sender, without the requests that were given up.
func (c *Client) take(to *sender) (gone []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to.items = to.items[:0]
	n := fit(c.waiting)
	for _, i := range c.waiting[:n] {
		if p := c.pending[i.id]; p != nil {
			p.sent = true
			to.items = append(to.items, i)
		}
	}
	c.waiting = drop(c.waiting, n)
	gone, c.gone = c.gone, nil
	return gone
}

// rest retires a link that was not used since the last look.
func (c *Client) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 && !c.used {
		c.retired.Store(true)
	}
	c.used = false
}

// empty reports whether nothing more is to be sent, ever. A link that was retired stays
// open for the word that a caller has left until the last one is answered.
func (c *Client) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired.Load() && len(c.pending)+len(c.gone) == 0
}

// read takes the answers until the link ends.
func (c *Client) read() {
	for {
		frame, err := c.stream.Receive()
		if err == nil {
			err = scan(frame.GetItems(), c.answer)
		}
		if err != nil {
			c.end(err)
			return
		}
		if frame.GetClosing() {
			c.Retire()
		}
	}
}

// answer gives an answer to who waits for it.
func (c *Client) answer(i received) error {
	c.mu.Lock()
	p := c.remove(i.id)
	c.mu.Unlock()
	switch {
	case p == nil: // its caller has left
	case i.content == fieldFailure:
		p.done <- answer{err: decodeFailure(i.body)}
	default:
		p.done <- answer{body: i.body}
	}
	return nil
}

// end tells everybody who waits that the link was lost.
func (c *Client) end(cause error) {
	c.mu.Lock()
	lost := c.pending
	c.pending, c.waiting, c.bytes = nil, nil, 0
	c.retired.Store(true)
	c.mu.Unlock()
	if errors.Is(cause, io.EOF) {
		cause = errors.New("the other end has ended the link")
	}
	for _, p := range lost {
		if p.sent {
			p.done <- answer{err: fmt.Errorf("%w: %s", ErrLost, cause.Error())} // no context of the caller's has ended
		} else {
			p.done <- answer{err: fmt.Errorf("%w: %w", ErrUnsent, cause)}
		}
	}
	close(c.ended)
	c.kill()
}
