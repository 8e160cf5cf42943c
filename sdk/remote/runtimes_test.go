package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeConn is a connection to a runtime.
type fakeConn struct {
	net.Conn

	address string
	closed  bool
}

func (c *fakeConn) Close() error {
	c.closed = true
	return nil
}

// fleet is runtimes of which each does one thing when it is dialled.
type fleet map[string]func(ctx context.Context) error

func (f fleet) runtimes(addresses ...string) *runtimes {
	return &runtimes{addresses: addresses, patience: time.Second, open: func(ctx context.Context, address string) (net.Conn, error) {
		if err := f[address](ctx); err != nil {
			return nil, err
		}
		return &fakeConn{address: address}, nil
	}}
}

func answers(context.Context) error { return nil }

func refuses(context.Context) error { return errors.New("refused") }

// stopped is one whose system takes the connection, and that says nothing.
func stopped(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func mustDial(t *testing.T, r *runtimes, want string) *fakeConn {
	t.Helper()
	conn, err := r.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.(*fakeConn).address; got != want {
		t.Errorf("dialled %s, want %s", got, want)
	}
	return conn.(*fakeConn)
}

func TestEachConnectionIsToTheNextRuntime(t *testing.T) {
	t.Parallel()
	r := fleet{"a": answers, "b": answers, "c": refuses}.runtimes("a", "b", "c")
	for _, want := range []string{"a", "b", "a", "b"} {
		mustDial(t, r, want)
	}
}

func TestStoppedRuntimeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		mustDial(t, fleet{"a": stopped, "b": answers}.runtimes("a", "b"), "b")
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v, want the patience of a second", took)
		}
	})
}

func TestSlowRuntimeIsStillTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context) error {
			select {
			case <-time.After(3 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		mustDial(t, fleet{"a": slow, "b": stopped, "c": refuses}.runtimes("a", "b", "c"), "a")
	})
}

func TestNoRuntimeAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := fleet{"a": refuses, "b": stopped}.runtimes("a", "b").dial(ctx)
		if err == nil || !strings.Contains(err.Error(), "refused") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error does not speak of both: %v", err)
		}
	})
}

func TestLeaveEndsTheConnectionIfThereIsAnotherRuntime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		addresses []string
		next      string
		left      bool
	}{
		{[]string{"a"}, "a", false},
		{[]string{"a", "b"}, "b", true},
	} {
		t.Run(fmt.Sprint(test.addresses), func(t *testing.T) {
			t.Parallel()
			r := fleet{"a": answers, "b": answers}.runtimes(test.addresses...)
			r.leave() // nothing yet
			conn := mustDial(t, r, "a")
			r.leave()
			if conn.closed != test.left {
				t.Errorf("closed: %v, want %v", conn.closed, test.left)
			}
			mustDial(t, r, test.next)
		})
	}
}
