//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2" //nolint:depguard // only the framer says what no good client does
	"golang.org/x/net/http2/hpack"
)

const readPath = "/chaos.v1.RegisterActor/Read"

// slow are clients that hold what they can. Each returns when the server has ended it: a
// connection, or over HTTP/2 a request.
var slow = map[string]struct {
	// most is how long it lasts at most, by the limits of a gateway.
	most time.Duration
	hold func(conn net.Conn) error
	// busy is true for one that keeps the worker busy first: there is a single one of it.
	busy bool
}{
	"says nothing": {most: 5 * time.Second, hold: func(conn net.Conn) error { return drip(conn, "", "") }},
	"header, a byte a second": {most: 5 * time.Second, hold: func(conn net.Conn) error {
		return drip(conn, "", "POST "+readPath+" HTTP/1.1\r\nHost: x\r\nX-Slow: "+strings.Repeat("x", 300))
	}},
	"body, a byte a second": {most: 31 * time.Second, hold: func(conn net.Conn) error {
		return drip(conn, "POST "+readPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 300\r\n\r\n", strings.Repeat(" ", 299))
	}},
	"never reads": {most: 14 * time.Second, busy: true, hold: func(conn net.Conn) error { // it fills the buffers of both kernels first
		call := []byte("GET /" + strings.Repeat("x", 8<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n") // the answer repeats it
		for {
			if _, err := conn.Write(call); err != nil {
				return nil //nolint:nilerr // it is ended
			}
		}
	}},
	"never opens its window": {most: 11 * time.Second, hold: shut},
}

// slack is how much longer a client may last on a busy machine.
const slack = 5 * time.Second

// drip sends a beginning at once, and then a byte a second, until the server ends the
// connection.
func drip(conn net.Conn, first, then string) error {
	if _, err := io.WriteString(conn, first); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, b := range []byte(then) {
		select {
		case <-ended:
			return nil
		case <-tick.C:
			_, _ = conn.Write([]byte{b})
		}
	}
	<-ended
	return nil
}

// shut makes a call over HTTP/2 without a window for the answer, and takes the pings and
// everything else.
func shut(conn net.Conn) error {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return err
	}
	framer := http2.NewFramer(conn, conn)
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", readPath}, {"content-type", "application/json"}, {"francis-actor-id", "slow"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	err := errors.Join(
		framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndHeaders: true}),
		framer.WriteData(1, true, []byte(`{"pad":1}`)), // an error has a body, too
	)
	for err == nil {
		var frame http2.Frame
		frame, err = framer.ReadFrame()
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			return nil
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = framer.WritePing(true, frame.Data)
			}
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = framer.WriteSettingsAck()
			}
		}
	}
	return err
}

// T14: slow clients lose what they hold when their time is over, idle ones cost little,
// and a tenant beside them does not suffer.
func TestT14SlowClients(t *testing.T) {
	e := efforts(t)
	c := start(t, 1)
	w := c.workers[0]
	w.tenant(t, time.Second) // warms up
	quiet := w.tenant(t, 3*time.Second)
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error { // what is not read soon fills its buffer
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	dial := func() net.Conn {
		conn, err := dialer.Dial("tcp", w.gateway)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	before, _ := w.current().resident(t)
	for range e.idle {
		conn := dial()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<10), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	idle, _ := w.current().resident(t)
	var clients sync.WaitGroup
	for name, s := range slow {
		if s.most > e.longest {
			t.Logf("%q is left out of this form: it lasts up to %v", name, s.most)
			continue
		}
		number := e.slow
		if s.busy {
			number = 1
		}
		for range number {
			conn := dial()
			clients.Go(func() {
				began := time.Now()
				err := s.hold(conn)
				if took := time.Since(began); err != nil || took > s.most+slack {
					t.Errorf("%q ended after %v with %v; %v is its time", name, took, err, s.most)
				}
			})
		}
	}
	var loud time.Duration
	for range 3 { // what others do on the machine comes and goes, and the slow ones stay
		if loud = w.tenant(t, 4*time.Second); !e.alone || !suffers(quiet, loud) {
			break
		}
	}
	clients.Wait()
	after, most := w.current().resident(t)
	if grown := after - idle; grown > 50<<20 {
		t.Errorf("slow clients have cost %d MiB", grown>>20)
	}
	if e.alone && suffers(quiet, loud) {
		t.Errorf("a tenant's p99 was %v, and is %v beside slow clients", quiet, loud)
	}
	show(t, fmt.Sprintf("%d clients of each slow kind, and %d that are silent, at the gateway", e.slow, e.idle),
		fmt.Sprintf("the silent take %d MiB, the slow %d MiB more, %d at most in all; a tenant's p99 %v → %v",
			(idle-before)>>20, (after-idle)>>20, most>>20, quiet, loud))
}
