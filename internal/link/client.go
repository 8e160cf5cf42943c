package link

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	// abandoned are the sizes of the requests for which nobody waits any more, and which
	// the other end still has: it has not answered them.
	abandoned map[uint64]int
	// waiting are the requests that have not left, and gone are those of which the other
	// end shall hear that nobody waits any more.
	waiting outbox
	gone    []uint64
	// bytes is how large the requests of pending and of abandoned are.
	bytes int
	// last is the number of the last request, and left that of the last one that may have
	// left.
	last, left uint64
	// woken is how many have been told something and have not run since: many of them are
	// about to make another request. While there are any, the writer is not woken for a few
	// requests, and held is set.
	woken atomic.Int64
	held  atomic.Bool
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
	client *Client
	id     uint64
	size   int
	done   chan answer
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
		pending: map[uint64]*pending{}, abandoned: map[uint64]int{}, ended: make(chan struct{}),
	}
	c.loops.Go(c.read)
	c.loops.Go(c.write)
	return c, nil
}

// Ending is a context that tells of its end for less than its Done costs.
type Ending interface {
	context.Context
	// Notify lets l be told when the context ends, also if it has ended; l does not block.
	// Nil takes that back: when Notify returns, nobody is told any more.
	Notify(l Leaver)
}

// Call makes a request and waits for its answer, which is shared with others: it is to
// be decoded at once, and never changed. It fails with [ErrUnsent] where the request has
// certainly not left, with the error of ctx when that ends first, with what the other
// end says, and with [ErrLost] when nobody will ever know.
func (c *Client) Call(ctx context.Context, request Body) ([]byte, error) {
	p := places.Get().(*pending)
	defer places.Put(p)
	if err := c.admit(p, request); err != nil {
		return nil, err
	}
	a := p.wait(ctx)
	c.ran()
	switch {
	case errors.Is(a.err, errLeft):
		return nil, ctx.Err()
	case errors.Is(a.err, errLeftUnsent):
		return nil, fmt.Errorf("%w: %w", ErrUnsent, ctx.Err())
	default:
		return a.body, a.err
	}
}

// wait waits until the request is answered or given up.
func (p *pending) wait(ctx context.Context) answer {
	if ending, ok := ctx.(Ending); ok {
		ending.Notify(p)
		defer ending.Notify(nil)
		return <-p.done
	}
	select {
	case a := <-p.done:
		return a
	case <-ctx.Done():
		p.Gone()
		return <-p.done
	}
}

func (c *Client) admit(p *pending, request Body) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.retired.Load():
		return ErrRetired
	case len(c.pending)+len(c.abandoned) >= maxRequests || c.bytes >= maxBytes:
		return fault.Overloaded()
	}
	c.last++
	p.client, p.id = c, c.last
	p.size = c.waiting.add(p.id, fieldBody, request)
	c.pending[p.id] = p
	c.bytes += p.size
	c.hold()
	return nil
}

// hold lets the request that was just added wait until all who were woken have run, or many
// requests wait: they leave together. The link is locked.
func (c *Client) hold() {
	switch c.waiting.count {
	case 1: // with more, the writer has been woken or is held already
		c.held.Store(true)
		if c.woken.Load() == 0 {
			c.release()
		}
	case muchToSend:
		c.release()
	}
}

// release wakes the writer where it was held.
func (c *Client) release() {
	if c.held.Swap(false) {
		c.poke()
	}
}

// ran says that one who was woken has run.
func (c *Client) ran() {
	if c.woken.Add(-1) == 0 {
		c.release()
	}
}

// poke lets the writer look.
func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// What a caller is told that has left.
var (
	errLeft       = errors.New("the caller has left")
	errLeftUnsent = errors.New("the caller has left before its request")
)

// Gone gives up the request, unless it is answered.
func (p *pending) Gone() {
	c := p.client
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.remove(p.id) == nil:
	case p.id > c.left: // it waits for nobody, and is left out of its frame
		c.waiting.drop(p.id)
		p.tell(answer{err: errLeftUnsent})
	default:
		c.abandoned[p.id] = p.size
		c.bytes += p.size
		c.gone = append(c.gone, p.id)
		c.poke()
		p.tell(answer{err: errLeft})
	}
}

// tell wakes the caller with what became of the request.
func (p *pending) tell(a answer) {
	p.client.woken.Add(1)
	p.done <- a
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
	for {
		select {
		case <-c.wake:
		case <-idle.C:
			c.rest()
		case <-c.ended:
			return
		}
		if c.flush() != nil {
			c.kill() // the reader learns of it
			return
		}
		if c.empty() {
			_ = c.stream.CloseSend() // the reader learns of a fault
			return
		}
	}
}

// flush sends what is waiting, a frame at a time.
func (c *Client) flush() error {
	for frame := (parcel{}); ; {
		gather(c.crowd)
		var gone []uint64
		if frame, gone = c.take(frame); frame.count+len(gone) == 0 {
			return nil
		}
		if err := c.stream.Send(&linkv1.Frame{Items: frame.items, Gone: gone}); err != nil {
			return err
		}
	}
}

// crowd is how many requests have not left.
func (c *Client) crowd() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting.count
}

// take takes the next frame; sent is the one before, whose memory it may use.
func (c *Client) take(sent parcel) (next parcel, gone []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = c.waiting.next(sent)
	c.left = max(c.left, next.last)
	gone, c.gone = c.gone, nil
	return next, gone
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
			err = c.handOn(frame.GetItems())
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

// handOn gives the answers of a frame to who waits for them.
func (c *Client) handOn(answers []byte) error {
	c.woken.Add(1) // until all have their answers
	defer c.ran()
	return scan(answers, c.answer)
}

// answer gives an answer to who waits for it.
func (c *Client) answer(i received) error {
	c.mu.Lock()
	p := c.remove(i.id)
	if p == nil { // its caller has left
		c.bytes -= c.abandoned[i.id]
		delete(c.abandoned, i.id)
	}
	c.mu.Unlock()
	switch {
	case p == nil:
	case i.content == fieldFailure:
		p.tell(answer{err: decodeFailure(i.body)})
	default:
		p.tell(answer{body: i.body})
	}
	return nil
}

// end tells everybody who waits that the link was lost.
func (c *Client) end(cause error) {
	c.mu.Lock()
	lost, left := c.pending, c.left
	c.pending, c.abandoned, c.waiting, c.bytes = nil, nil, outbox{}, 0
	c.retired.Store(true)
	c.mu.Unlock()
	if errors.Is(cause, io.EOF) {
		cause = errors.New("the other end has ended the link")
	}
	for _, p := range lost {
		if p.id <= left {
			p.tell(answer{err: fmt.Errorf("%w: %s", ErrLost, cause.Error())}) // no context of the caller's has ended
		} else {
			p.tell(answer{err: fmt.Errorf("%w: %w", ErrUnsent, cause)})
		}
	}
	close(c.ended)
	c.kill()
}
