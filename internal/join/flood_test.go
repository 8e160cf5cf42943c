package join

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/francis-actors/francis/internal/pki"
)

// from dials from one loopback address.
func from(address string) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return dialer.DialContext
}

// Five failures a minute are answered at once, then late and with another error; a
// right proof is answered all the same. Breaks without the limiter, and when the
// limiter is asked before the proof is checked.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	wrong := c.request()
	wrong.Secret = secretOf(t, runtimePSK)
	for i := range maxFailures {
		if _, err := Join(c.ctx(), wrong); codeOf(err) != connect.CodeUnauthenticated {
			t.Fatalf("failure %d: %v", i+1, err)
		}
	}
	began := time.Now()
	_, err := Join(c.ctx(), wrong)
	if codeOf(err) != connect.CodeResourceExhausted || time.Since(began) < failureDelay {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	fastest := time.Hour
	for range 3 { // a busy machine may take its time for one of them
		began = time.Now()
		if _, err := Join(c.ctx(), c.request()); err != nil {
			t.Errorf("a right proof: %v", err)
		}
		fastest = min(fastest, time.Since(began))
	}
	if fastest > failureDelay {
		t.Errorf("a right proof took %v", fastest)
	}
	elsewhere := wrong
	elsewhere.Dial = from("127.0.0.9")
	if _, err := Join(c.ctx(), elsewhere); codeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("another address: %v", err)
	}
}

// T20 in short: many connections guess while an honest worker joins.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	const guessers, addresses = 60, 20
	alone := c.joinSoon()
	ctx, cancel := context.WithCancel(c.ctx())
	var group sync.WaitGroup
	var tries, instant, joined atomic.Int64
	for i := range guessers {
		guess := c.request()
		guess.Secret = secretOf(t, runtimePSK)
		guess.Dial = from(fmt.Sprintf("127.0.0.%d", 2+i%addresses))
		group.Go(func() {
			for ctx.Err() == nil {
				_, err := Join(ctx, guess)
				tries.Add(1)
				switch codeOf(err) {
				case connect.CodeUnauthenticated:
					instant.Add(1)
				default:
					if err == nil {
						joined.Add(1)
					}
				}
			}
		})
	}
	began := time.Now()
	fastest := min(c.joinSoon(), c.joinSoon(), c.joinSoon())
	spent := time.Since(began)
	cancel()
	group.Wait()
	if joined.Load() != 0 || c.issued.Load() != 4 {
		t.Errorf("%d guesses were right, %d certificates", joined.Load(), c.issued.Load())
	}
	// T20 allows 2 s. Guessers and runtime share this machine, so that a slow one has as
	// much more as it needs for a join without guessers.
	if fastest > 2*time.Second+20*alone {
		t.Errorf("the fastest honest join took %v, alone %v", fastest, alone)
	}
	if instant.Load() > addresses*maxFailures {
		t.Errorf("%d failures were answered at once, at most %d may", instant.Load(), addresses*maxFailures)
	}
	lines := int64(c.log.count("\n"))
	if most := int64(addresses+1)*2*int64(spent/time.Second+2) + 3; lines > most {
		t.Errorf("%d lines in %v, at most %d", lines, spent, most)
	}
	t.Logf("%d tries, %d lines, three honest joins in %v, the fastest in %v, alone %v", tries.Load(), lines, spent, fastest, alone)
}

// joinSoon joins, trying again as a worker does, and returns how long it took.
func (c *cluster) joinSoon() time.Duration {
	c.t.Helper()
	began := time.Now()
	for {
		_, err := Join(c.ctx(), c.request())
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			c.t.Fatalf("no honest join in %v: %v", time.Since(began), err)
		}
	}
}

// Connections that never speak cannot keep a worker out: breaks with a plain limit on
// handshakes or joiners.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for range maxHandshakes + 20 {
		conn, err := from("127.0.0.3")(c.ctx(), "tcp", c.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	for range maxJoiners + 20 {
		req := c.request()
		req.Dial = from("127.0.0.4")
		c.attempt(req)
	}
	c.joinSoon()
	c.port.joining.mu.Lock()
	defer c.port.joining.mu.Unlock()
	if held := len(c.port.joining.places); held > maxJoiners {
		t.Errorf("%d joiners are held", held)
	}
}

// A member's connection ends with its certificate.
func TestConnectionEndsWithTheCertificate(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := c.authority.Issue(pki.Order{Identity: pki.Identity{Role: pki.RoleWorker, ID: "w1"}, CSR: request.CSR(), TTL: 4 * time.Second}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := request.Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	holder := pki.NewHolder(certificate, c.authority.Bundle())
	line, err := rawMember(c, holder)
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	_ = line.SetReadDeadline(time.Now().Add(time.Minute))
	_, err = io.Copy(io.Discard, line)
	if left := time.Until(certificate.NotAfter()); left > 100*time.Millisecond || left < -20*time.Second {
		t.Errorf("the connection ended %v before its certificate: %v", left, err)
	}
}

// rawMember is a member's connection below HTTP.
func rawMember(c *cluster, holder *pki.Holder) (net.Conn, error) {
	dialer := &tls.Dialer{Config: holder.DialRuntime()}
	return dialer.DialContext(c.ctx(), "tcp", c.address)
}

// Run ends with its context, and lets nothing hang.
func TestPortEnds(t *testing.T) {
	t.Parallel()
	authority := authorityOf(t, "prod", runtimePSK)
	certificate, err := authority.IssueRuntime("r1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	holder := pki.NewHolder(certificate, authority.Bundle())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port, err := NewPort(PortConfig{Listener: listener, TLS: holder.JoinServer()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- port.Run(ctx) }()
	silent, err := net.Dial("tcp", listener.Addr().String()) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ready, err := dial(t.Context(), Request{Runtime: listener.Addr().String(), Trust: pki.UnsafeNoPin()})
	if err == nil { // nobody takes it from the queue
		defer ready.close()
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(handshakeTimeout / 2):
		t.Fatal("Run hangs")
	}
	if _, err := port.Members().Accept(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Accept after the end: %v", err)
	}
}

// A listener that fails ends Run with its error.
func TestPortEndsWithItsListener(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port, err := NewPort(PortConfig{Listener: listener, TLS: c.holder.JoinServer()})
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := port.Run(t.Context()); err == nil {
		t.Error("Run ended without an error")
	}
}
