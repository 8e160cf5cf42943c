package host

import (
	"sync"
	"sync/atomic"
)

// maxIdle is how many goroutines a pool keeps for later work.
const maxIdle = 256

// pool runs work on goroutines whose stacks have grown already. It never makes
// work wait: a turn may call another one and hold its goroutine meanwhile.
type pool struct {
	work chan job
	quit chan struct{}
	idle atomic.Int32
	wg   sync.WaitGroup
}

type job interface{ execute() }

func newPool() *pool {
	return &pool{work: make(chan job), quit: make(chan struct{})}
}

// run executes j on a goroutine of the pool. It does not block.
func (p *pool) run(j job) {
	select {
	case p.work <- j:
	default:
		p.wg.Go(func() { p.serve(j) })
	}
}

func (p *pool) serve(j job) {
	for {
		j.execute()
		if p.idle.Add(1) > maxIdle {
			p.idle.Add(-1)
			return
		}
		select {
		case j = <-p.work:
			p.idle.Add(-1)
		case <-p.quit:
			return
		}
	}
}

// release lets goroutines end instead of keeping them for later work.
func (p *pool) release() { close(p.quit) }

// wait waits until all work is done; the pool has been released and receives no
// more.
func (p *pool) wait() { p.wg.Wait() }
