//go:build linux

package chaos

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/sdk"
)

// open is how many file descriptors a process has open.
func (p *process) open(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// T26: connections take the last file descriptor of a process, on each of its ports. It
// does not end, who is connected is served, and 5 seconds after they have gone at most so
// is everybody.
func TestT26FileDescriptors(t *testing.T) {
	const files, flood = 256, 600
	c := startWithin(t, 1, files)
	r, w := c.runtimes[0], c.workers[0]
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	call := func(client *http.Client, n int) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := chaosv1francis.NewRegisterActorProxy(sdk.Gateway(client, "http://"+w.gateway), fmt.Sprint("a", n)).
			Add(ctx, &chaosv1.AddRequest{In: 1})
		return err
	}
	hello := func(address string) error {
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second}, Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}} //nolint:gosec // only asks whether somebody answers
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	}
	var found []string
	for _, port := range []struct {
		name, address string
		of            func() *process
		again         func() error
	}{
		{"the gateway", w.gateway, w.current, func() error {
			fresh := &http.Client{Transport: &http.Transport{}}
			defer fresh.CloseIdleConnections()
			return call(fresh, 0)
		}},
		{"the runtime's port", r.address, r.current, func() error { return hello(r.address) }},
		{"the worker's port", w.bind, w.current, func() error { return hello(w.bind) }},
	} {
		if err := call(client, 0); err != nil { // makes the connection that lasts
			t.Fatal(err)
		}
		var conns []net.Conn
		for range flood {
			conn, err := net.DialTimeout("tcp", port.address, time.Second)
			if err != nil {
				break // its backlog is full as well
			}
			conns = append(conns, conn)
		}
		most := 0
		c.await(port.name+" has taken what it may", func() bool {
			most = max(most, port.of().open(t))
			return most >= files-8
		})
		for n := range 50 {
			if err := call(client, n); err != nil { // also actors that are not in memory yet
				t.Errorf("%s is flooded, and call %d over an open connection fails: %v", port.name, n, err)
			}
		}
		for _, conn := range conns {
			conn.Close()
		}
		began := time.Now()
		c.await(port.name+" answers again", func() bool { return port.again() == nil })
		found = append(found, fmt.Sprintf("%s: %d connections, %d file descriptors in use, answers again after %v", port.name, len(conns), most, time.Since(began).Round(time.Millisecond)))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s answered %v after the flood", port.name, took)
		}
		for _, p := range slices.Compact([]*process{w.current(), r.current()}) {
			select {
			case <-p.ended:
				t.Fatalf("%s has ended: %s", p.cmd, p.output.tail())
			default:
			}
		}
	}
	show(t, fmt.Sprintf("connections take all of %d file descriptors, on each port", files), strings.Join(found, "; "))
}
