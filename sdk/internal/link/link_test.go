package link

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// called is a worker that is called.
type called struct {
	peerv1connect.UnimplementedPeerServiceHandler

	invoke  func(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error))
	closing chan struct{}
	ended   chan error
}

func (c *called) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	err := Serve(ctx, stream, Server{Invoke: c.invoke, Closing: c.closing, Valid: func() bool { return true }})
	c.ended <- err
	return err
}

// echo answers with what it was sent.
func echo(_ context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
	answer(&peerv1.InvokeResponse{Result: &peerv1.InvokeResponse_Reply{Reply: req.GetBody()}}, nil)
}

// serve starts a worker over real HTTP/2.
func serve(t *testing.T, c *called) (peerv1connect.PeerServiceClient, *httptest.Server) {
	t.Helper()
	c.closing, c.ended = make(chan struct{}), make(chan error, 10)
	rpc, mux := connect.NewServer(), http.NewServeMux()
	peerv1connect.RegisterPeerServiceHandler(rpc, c)
	connecthttp.Mount(mux, rpc, connecthttp.WithCompressors())
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return peerv1connect.NewPeerServiceClient(connect.NewClient(connecthttp.NewTransport(server.Client(), server.URL, connecthttp.WithCompressors()))), server
}

// open opens a link, which ends with the test.
func open(t *testing.T, c *called) *Client {
	t.Helper()
	service, _ := serve(t, c)
	client, err := Open(t.Context(), service, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func request(body string) *peerv1.InvokeRequest { return &peerv1.InvokeRequest{Body: []byte(body)} }

func TestManyCallersGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	client := open(t, &called{invoke: echo})
	var callers sync.WaitGroup
	for n := range 64 {
		callers.Go(func() {
			for i := range 500 {
				body := strconv.Itoa(n*1000 + i)
				res, err := client.Invoke(t.Context(), request(body))
				if err != nil || string(res.GetReply()) != body {
					t.Errorf("%s was answered with %q, %v", body, res.GetReply(), err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// The calls of a frame are handed over in their order, and before the next frame is read.
func TestCallsArriveInOrder(t *testing.T) {
	t.Parallel()
	const calls = 100_000
	frames := &recorded{}
	for id := uint64(1); id <= calls; {
		frame := &peerv1.LinkRequest{}
		for range maxFrame {
			frame.Calls = append(frame.Calls, &peerv1.LinkRequest_Call{Id: id, Invoke: request(strconv.FormatUint(id, 10))})
			id++
		}
		frames.in = append(frames.in, frame)
	}
	next := 1
	err := Serve(t.Context(), frames, Server{Valid: func() bool { return true }, Invoke: func(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
		if string(req.GetBody()) != strconv.Itoa(next) {
			t.Fatalf("call %s arrived as number %d", req.GetBody(), next)
		}
		next++
		echo(ctx, req, answer)
	}})
	if err != nil || next <= calls || frames.answered() < calls {
		t.Errorf("%d calls arrived, %d were answered, %v", next-1, frames.answered(), err)
	}
}

// recorded is a stream of frames that were written before.
type recorded struct {
	in []*peerv1.LinkRequest

	mu  sync.Mutex
	out int
}

func (r *recorded) Receive() (*peerv1.LinkRequest, error) {
	if len(r.in) == 0 {
		return nil, io.EOF
	}
	frame := r.in[0]
	r.in = r.in[1:]
	return frame, nil
}

func (r *recorded) Send(res *peerv1.LinkResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out += len(res.GetAnswers())
	return nil
}

func (r *recorded) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out
}

func TestFailuresKeepTheirVerdict(t *testing.T) {
	t.Parallel()
	client := open(t, &called{invoke: func(_ context.Context, _ *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
		answer(nil, fault.QueueFull("a", "1", 8))
	}})
	_, err := client.Invoke(t.Context(), request(""))
	detail := fault.Detail(err)
	if connect.CodeOf(err) != connect.CodeResourceExhausted || detail.GetReason() != francisv1.Reason_REASON_QUEUE_FULL ||
		!detail.GetRetryable() || detail.GetRetryDelay().AsDuration() == 0 {
		t.Errorf("the caller is told %v, %v", err, detail)
	}
}

// A caller who leaves ends the context of the call, and nobody else's.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	began, gone := make(chan struct{}), make(chan error, 1)
	c := &called{invoke: func(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
		if len(req.GetBody()) > 0 {
			echo(ctx, req, answer)
			return
		}
		close(began)
		context.AfterFunc(ctx, func() {
			gone <- ctx.Err()
			answer(nil, fault.EndedRunning(ctx.Err()))
		})
	}}
	client := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := client.Invoke(ctx, request(""))
		left <- err
	}()
	<-began
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, host.ErrUnsent) {
		t.Errorf("the caller left with %v", err)
	}
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	if _, err := client.Invoke(t.Context(), request("x")); err != nil {
		t.Errorf("another call ended with %v", err)
	}
}

// A link that is retired, by either side, answers the calls that were made on it.
func TestRetiredLinkAnswers(t *testing.T) {
	t.Parallel()
	for name, retire := range map[string]func(*called, *Client){
		"by the caller": func(_ *called, c *Client) { c.Retire() },
		"by the called": func(c *called, _ *Client) { close(c.closing) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began, release := make(chan struct{}), make(chan struct{})
			c := &called{invoke: func(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
				close(began)
				go func() {
					<-release
					echo(ctx, req, answer)
				}()
			}}
			client := open(t, c)
			done := make(chan error, 1)
			go func() {
				_, err := client.Invoke(t.Context(), request("x"))
				done <- err
			}()
			<-began
			retire(c, client)
			for !client.Retired() {
				<-time.After(time.Millisecond) // real time: the word travels
			}
			if _, err := client.Invoke(t.Context(), request("late")); !errors.Is(err, host.ErrUnsent) {
				t.Errorf("a call on a retired link ended with %v", err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Errorf("the call that was under way ended with %v", err)
			}
			<-client.Ended()
			if err := <-c.ended; err != nil {
				t.Errorf("the called end ended with %v", err)
			}
		})
	}
}

// When the connection breaks, a call that was sent may have happened.
func TestLostLink(t *testing.T) {
	t.Parallel()
	began, gone := make(chan struct{}), make(chan struct{})
	c := &called{invoke: func(ctx context.Context, _ *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
		context.AfterFunc(ctx, func() {
			close(gone)
			answer(nil, fault.EndedRunning(context.Canceled))
		})
		close(began)
	}}
	service, server := serve(t, c)
	client, err := Open(t.Context(), service, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := client.Invoke(t.Context(), request("x"))
		done <- err
	}()
	<-began
	server.CloseClientConnections()
	if err := <-done; fault.Detail(err).GetReason() != francisv1.Reason_REASON_LINK_LOST || fault.Detail(err).GetOutcome() != francisv1.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("the call ended with %v", err)
	}
	<-gone // the called end notices too
	<-client.Ended()
	if _, err := client.Invoke(t.Context(), request("x")); !errors.Is(err, host.ErrUnsent) {
		t.Errorf("a call on a lost link ended with %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	service, server := serve(t, &called{invoke: echo})
	server.Close()
	if _, err := Open(t.Context(), service, time.Hour); err == nil {
		t.Error("a link to nobody was opened")
	}
}

// Somebody who takes the connection and says nothing keeps nobody.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	silent := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	silent.EnableHTTP2 = true
	silent.StartTLS()
	t.Cleanup(silent.Close)
	service := peerv1connect.NewPeerServiceClient(connect.NewClient(connecthttp.NewTransport(silent.Client(), silent.URL)))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, service, time.Hour); err == nil {
		t.Error("a link to somebody who says nothing was opened")
	}
}

func TestIdleLinkEnds(t *testing.T) {
	t.Parallel()
	c := &called{invoke: echo}
	service, _ := serve(t, c)
	client, err := Open(t.Context(), service, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	<-client.Ended()
	if err := <-c.ended; err != nil {
		t.Errorf("the called end ended with %v", err)
	}
}

// Whoever breaks the rules loses the link, and harms nobody else.
func TestRogueCaller(t *testing.T) {
	t.Parallel()
	never := func(context.Context, *peerv1.InvokeRequest, func(*peerv1.InvokeResponse, error)) {}
	call := func(id uint64, size int) *peerv1.LinkRequest_Call {
		return &peerv1.LinkRequest_Call{Id: id, Invoke: &peerv1.InvokeRequest{Actor: &runtimev1.Actor{}, Body: make([]byte, size)}}
	}
	flood := &peerv1.LinkRequest{}
	for id := range uint64(maxCalls + 1) {
		flood.Calls = append(flood.Calls, call(id, 0))
	}
	for name, frames := range map[string][]*peerv1.LinkRequest{
		"a number twice": {{Calls: []*peerv1.LinkRequest_Call{call(1, 0), call(1, 0)}}},
		"too many":       {flood},
		"too large":      {{Calls: []*peerv1.LinkRequest_Call{call(1, maxBytes/2), call(2, maxBytes/2), call(3, 1)}}},
	} {
		if err := Serve(t.Context(), &recorded{in: frames}, Server{Invoke: never, Valid: func() bool { return true }}); err == nil {
			t.Errorf("%s: the link goes on", name)
		}
	}
	// A word about calls that are not there is nothing.
	frames := []*peerv1.LinkRequest{{Gone: []uint64{7, 7, 9}}, {}}
	if err := Serve(t.Context(), &recorded{in: frames}, Server{Invoke: never, Valid: func() bool { return true }}); err != nil {
		t.Errorf("words about nobody end the link: %v", err)
	}
}
