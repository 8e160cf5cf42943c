package remote

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// runtimes opens the connections of one worker to whichever runtime answers.
type runtimes struct {
	addresses []string
	// open opens a connection to one of them.
	open func(ctx context.Context, address string) (net.Conn, error)
	// patience is for how long one is waited for alone, before the next one is tried beside it.
	patience time.Duration

	mu sync.Mutex
	// next is which one is tried first, and current the connection that was opened last.
	next    int
	current net.Conn
}

// dial opens a connection to the first runtime that answers. It begins with the one after
// that of the last connection, which has ended, or is of an old certificate: a runtime that is
// stopped or cut off still seems to be there.
func (r *runtimes) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan opened, len(r.addresses))
	var dialling sync.WaitGroup
	defer func() { // who was slower
		cancel()
		dialling.Wait()
		close(results)
		for o := range results {
			o.close()
		}
	}()
	first := r.first()
	var errs []error
	for started := 0; len(errs) < len(r.addresses); {
		var impatient <-chan time.Time
		if started < len(r.addresses) {
			at := (first + started) % len(r.addresses)
			dialling.Go(func() {
				conn, err := r.open(ctx, r.addresses[at])
				results <- opened{at, conn, err}
			})
			started++
			impatient = time.After(r.patience)
		}
		select {
		case o := <-results:
			if o.err == nil {
				r.took(o)
				return o.conn, nil
			}
			errs = append(errs, o.err)
		case <-impatient:
		}
	}
	return nil, errors.Join(errs...)
}

// opened is what came of the attempt at one runtime.
type opened struct {
	at   int
	conn net.Conn
	err  error
}

func (o opened) close() {
	if o.err == nil {
		o.conn.Close()
	}
}

func (r *runtimes) first() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// took notes whose connection is used.
func (r *runtimes) took(o opened) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.current = o.at+1, o.conn
}

// leave ends the connection to a runtime that answers, and does not do what it is asked
// for: whatever waits for it is asked of the next one. With one runtime it does nothing.
func (r *runtimes) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.addresses) > 1 && r.current != nil {
		r.current.Close()
		r.current = nil
	}
}
