package host

import "sync"

// maxIdle is how many goroutines a pool keeps for later work.
const maxIdle = 256

// pool runs work on goroutines whose stacks have grown already. It never makes work
// wait for other work to end: a turn may call another one and hold its goroutine
// meanwhile.
//
// Work queues, and while it does a goroutine is called to take it, one at a time: who
// comes for work and leaves more behind, calls the next one before it begins. So a burst
// of short work costs few calls, since it is done before those who were called are there,
// and work that takes long delays nobody: another goroutine is on its way already.
type pool struct {
	// calls wake an idle goroutine.
	calls chan struct{}
	quit  chan struct{}
	wg    sync.WaitGroup

	mu    sync.Mutex
	queue fifo[job]
	// called is true while a goroutine is on its way to the queue.
	called bool
	// idle is how many goroutines wait for a call.
	idle int
}

// job is work. execute returns what the same goroutine is to do next; nil for nothing.
type job interface{ execute() job }

func newPool() *pool {
	return &pool{calls: make(chan struct{}), quit: make(chan struct{})}
}

// run executes j on a goroutine of the pool. It does not block.
func (p *pool) run(j job) {
	p.mu.Lock()
	p.queue.push(j)
	call := !p.called
	p.called = true
	p.mu.Unlock()
	if call {
		p.call()
	}
}

// pass executes j, if there is one, as run does.
func (p *pool) pass(j job) {
	if j != nil {
		p.run(j)
	}
}

// call brings a goroutine to the queue.
func (p *pool) call() {
	select {
	case p.calls <- struct{}{}:
	default:
		p.wg.Go(p.serve)
	}
}

// serve is a goroutine of the pool, which has been called.
func (p *pool) serve() {
	for again := true; again; again = p.rest() {
		for j := p.arrive(); j != nil; j = p.next() {
			for j != nil {
				j = j.execute()
			}
		}
	}
}

// arrive takes the first work of a goroutine that was called; nil for none.
func (p *pool) arrive() job {
	p.mu.Lock()
	p.called = false
	return p.take()
}

// next takes more work; nil for none.
func (p *pool) next() job {
	p.mu.Lock()
	return p.take()
}

// take takes work, and calls another goroutine where more is left. It unlocks the pool.
func (p *pool) take() job {
	j, more := p.queue.pop()
	call := more && !p.called
	p.called = p.called || more
	p.mu.Unlock()
	if call {
		p.call()
	}
	return j
}

// rest waits for a call, and reports whether one came.
func (p *pool) rest() bool {
	if !p.keep(1) {
		return false
	}
	defer p.keep(-1)
	select {
	case <-p.calls:
		return true
	case <-p.quit:
		return false
	}
}

// keep counts the idle goroutines, and reports whether the pool keeps so many.
func (p *pool) keep(one int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle+one > maxIdle {
		return false
	}
	p.idle += one
	return true
}

// release lets goroutines end instead of keeping them for later work.
func (p *pool) release() { close(p.quit) }

// wait waits until all work is done; the pool has been released and receives no
// more.
func (p *pool) wait() { p.wg.Wait() }

// fifo is a queue. It keeps its memory.
type fifo[T any] struct {
	items []T
	// head is where the first one is.
	head int
}

func (f *fifo[T]) push(item T) {
	if len(f.items) == cap(f.items) && f.head > len(f.items)/2 { // makes room, where that moves fewer than have left
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

// pop returns the first one, and whether there are others; nothing for an empty queue.
func (f *fifo[T]) pop() (first T, more bool) {
	if f.head == len(f.items) {
		return first, false
	}
	var none T
	first, f.items[f.head] = f.items[f.head], none
	if f.head++; f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return first, len(f.items) > 0
}
