package inbound

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
)

// Of what all may hold, a client gets no more than is left, and the next one finds room.
func TestClientsLeaveRoom(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	b := newBodies(most)
	fill := func(client string) (held int64) {
		for b.take(client, 1) == nil {
			held++
		}
		return held
	}
	rest := int64(most)
	for i := range 10 {
		held := fill(fmt.Sprint("client", i))
		if want := rest / 2; held < want-1 || held > want {
			t.Errorf("client %d holds %d of %d that were left", i, held, rest)
		}
		rest -= held
	}
	if err := b.take("one more", 400); err != nil {
		t.Errorf("nothing is left for one more: %v", err)
	}
	for client, held := range b.of {
		b.give(client, held)
	}
	if b.held != 0 || len(b.of) != 0 {
		t.Errorf("%d bytes of %v are held by nobody", b.held, b.of)
	}
}

// Bodies that begin and do not end are refused over the bound, by name; another client is
// served meanwhile; and when they end, nothing is held.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	const most, size, requests, fit = 64 << 10, 8 << 10, 16, 4 // half of the bound
	b := newBodies(most)
	refused := make(chan error, requests)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(ServerConfig{Streams: requests, Handler: b.count(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			refused <- err
		}
	}))})
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)

	hostile := clientOf("h2c")
	var sending sync.WaitGroup
	var ends []io.Closer
	for range requests {
		rest, end := io.Pipe()
		ends = append(ends, end)
		sending.Go(func() {
			if res, err := hostile.Post(server.URL, "", io.MultiReader(strings.NewReader(strings.Repeat("x", size)), rest)); err == nil {
				res.Body.Close()
			}
		})
	}
	for range requests - fit {
		if err := await(t, refused); connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("a body over the bound: %v", err)
		}
	}
	res, err := clientOf("h2c").Post(server.URL, "", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || len(refused) > fit {
		t.Errorf("another client is told %s", res.Status)
	}
	for _, end := range ends {
		end.Close()
	}
	sending.Wait()
	server.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held != 0 || len(b.of) != 0 {
		t.Errorf("%d bytes of %v are held by nobody", b.held, b.of)
	}
}
