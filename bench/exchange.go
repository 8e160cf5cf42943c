package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// link carries frames, in order. One goroutine sends and one receives.
type link interface {
	send(frame []byte) error
	// receive returns a frame that is good until the next call.
	receive() ([]byte, error)
}

const (
	// batch is how many messages a frame has at most.
	batch = 64
	// size is a message: the caller's number, the operation's number, and 8 bytes that
	// nobody reads.
	size = 24
	// number is where the operation's number stands.
	number = 8
	// backlog is how many messages wait for the writer before callers wait too.
	backlog = 4096
)

type message [size]byte

// write sends what is waiting in frames of up to 64 messages, until the messages end.
// It yields once before each frame, so that others get to add to it.
func write(to link, messages <-chan message) error {
	for first := range messages {
		runtime.Gosched()
		frame := append(make([]byte, 0, batch*size), first[:]...)
		for more := true; more && len(frame) < batch*size; {
			select {
			case next, ok := <-messages:
				if more = ok; ok {
					frame = append(frame, next[:]...)
				}
			default:
				more = false
			}
		}
		if err := to.send(frame); err != nil {
			return err
		}
	}
	return nil
}

// read gives every message that arrives to take, until the link ends.
func read(from link, take func(message)) error {
	for {
		frame, err := from.receive()
		if err != nil {
			return err
		}
		if len(frame)%size != 0 {
			return fmt.Errorf("a frame has %d bytes, which is no number of messages", len(frame))
		}
		for ; len(frame) > 0; frame = frame[size:] {
			take(message(frame[:size]))
		}
	}
}

// echo answers every message with itself, where handle lets it.
func echo(l link, handle func(answer func())) error {
	replies := make(chan message, backlog)
	written := make(chan error, 1)
	go func() {
		err := write(l, replies)
		for range replies { //nolint:revive // after a fault nobody must be left waiting
		}
		written <- err
	}()
	var answering sync.WaitGroup
	err := read(l, func(m message) {
		answering.Add(1)
		handle(func() {
			defer answering.Done()
			replies <- m
		})
	})
	answering.Wait()
	close(replies)
	return errors.Join(err, <-written)
}

// exchange lets callers share a link.
type exchange struct {
	messages chan message
	// replies has a place for the reply to each caller.
	replies []chan message
	ended   chan struct{}
	cause   error
}

// newExchange starts the writer and the reader of a link. They end when the link is
// closed and messages are, see close.
func newExchange(l link, callers int) *exchange {
	e := &exchange{messages: make(chan message, backlog), replies: make([]chan message, callers), ended: make(chan struct{})}
	for i := range e.replies {
		e.replies[i] = make(chan message, 1)
	}
	go func() { _ = write(l, e.messages) }() // the reader learns of the fault too
	go func() {
		e.cause = read(l, func(m message) { e.replies[binary.LittleEndian.Uint64(m[:])] <- m })
		close(e.ended)
	}()
	return e
}

// call sends a message and checks that it comes back.
func (e *exchange) call(caller, operation int) error {
	var m message
	binary.LittleEndian.PutUint64(m[:], uint64(caller))
	binary.LittleEndian.PutUint64(m[number:], uint64(operation))
	e.messages <- m
	select {
	case reply := <-e.replies[caller]:
		if reply != m {
			return fmt.Errorf("the reply is %x, want %x", reply, m)
		}
		return nil
	case <-e.ended:
		return fmt.Errorf("the link ended: %w", e.cause)
	}
}

// overLink measures calls over the link that dial gives to a process that echoes.
func overLink(orders echoOrders) func(context.Context, *lab, int) (result, error) {
	return func(ctx context.Context, l *lab, callers int) (res result, err error) {
		server, address, err := l.start(ctx, roleEcho, orders)
		if err != nil {
			return result{}, err
		}
		defer func() { err = errors.Join(err, server.stop()) }()
		dial := dialTCP
		if orders.Stream {
			dial = dialStream
		}
		connection, hangUp, err := dial(ctx, address)
		if err != nil {
			return result{}, err
		}
		defer hangUp()
		e := newExchange(connection, callers)
		defer close(e.messages)
		return work{callers: callers, span: l.cfg.span, op: e.call, children: []process{server}}.measure(ctx)
	}
}
