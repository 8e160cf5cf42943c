package link

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	linkv1 "github.com/francis-actors/francis/gen/francis/link/v1"
)

// silent is a stream to somebody who never answers.
type silent struct {
	// sent counts the requests that have left.
	sent  atomic.Int64
	ended chan struct{}
	// greeted is set once the other end has said that it is there.
	greeted bool
}

func (*silent) SendHeaders() error { return nil }
func (*silent) CloseSend() error   { return nil }

func (s *silent) Send(frame *linkv1.Frame) error {
	return scan(frame.GetItems(), func(received) error {
		s.sent.Add(1)
		return nil
	})
}

func (s *silent) Receive() (*linkv1.Frame, error) {
	if !s.greeted {
		s.greeted = true
		return &linkv1.Frame{}, nil
	}
	<-s.ended
	return nil, io.EOF
}

func (s *silent) Close() error {
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
	return nil
}

// While somebody has an answer and has not run since, a few requests wait for what else is
// about to be requested, and leave when all have run. Many do not wait.
func TestRequestsWaitForThoseWhoWereWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stream := &silent{ended: make(chan struct{})}
		client, err := Open(t.Context(), func(context.Context) (*silent, error) { return stream, nil }, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		call := func(requests int) {
			for range requests {
				p := &pending{done: make(chan answer, 1)} // those of the pool are of other bubbles
				if err := client.admit(p, Bytes("request")); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantSent := func(want int64) {
			t.Helper()
			synctest.Wait()
			if got := stream.sent.Load(); got != want {
				t.Errorf("%d requests have left, want %d", got, want)
			}
		}
		call(1)
		wantSent(1) // nobody was woken
		client.woken.Add(2)
		call(2)
		client.ran()
		wantSent(1)
		client.ran()
		wantSent(3)
		client.woken.Add(1)
		call(muchToSend - 1)
		wantSent(3)
		call(1)
		wantSent(3 + muchToSend)
		client.ran()
		call(1)
		wantSent(4 + muchToSend)
		client.Close()
	})
}
