package link

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	linkv1 "github.com/francis-actors/francis/gen/francis/link/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
)

// called is the end that answers.
type called struct {
	peerv1connect.UnimplementedPeerServiceHandler

	take    func(request *Request, body []byte)
	closing chan struct{}
	ended   chan error
}

func (c *called) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	err := Serve(ctx, stream, Server{Take: c.take, Closing: c.closing, Valid: always})
	c.ended <- err
	return err
}

func always() bool { return true }

// echo answers with what was sent.
func echo(request *Request, body []byte) { request.Answer(Bytes(append([]byte(nil), body...)), nil) }

// serve starts the called end over real HTTP/2.
func serve(t testing.TB, c *called) (peerv1connect.PeerServiceClient, *httptest.Server) {
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
func open(t testing.TB, c *called) *Client {
	t.Helper()
	service, _ := serve(t, c)
	client, err := Open(t.Context(), service.Link, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestManyCallersGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	client := open(t, &called{take: echo})
	var callers sync.WaitGroup
	for n := range 64 {
		callers.Go(func() {
			for i := range 500 {
				body := strconv.Itoa(n*1000 + i)
				got, err := client.Call(t.Context(), Bytes(body))
				if err != nil || string(got) != body {
					t.Errorf("%s was answered with %q, %v", body, got, err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// item is a request or an answer.
type item struct {
	id   uint64
	body Bytes
}

// frame is a frame of these items.
func frame(items ...item) *linkv1.Frame {
	var data []byte
	for _, i := range items {
		data = appendItem(data, i.id, fieldBody, i.body)
	}
	return &linkv1.Frame{Items: data}
}

func request(id uint64, body string) item { return item{id, Bytes(body)} }

// The requests of a frame are handed on in their order, and before the next frame is read.
func TestRequestsArriveInOrder(t *testing.T) {
	t.Parallel()
	const requests = 100_000
	frames := &recorded{}
	for id := uint64(1); id <= requests; {
		var items []item
		for range 64 {
			items = append(items, request(id, strconv.FormatUint(id, 10)))
			id++
		}
		frames.in = append(frames.in, frame(items...))
	}
	next := 1
	err := Serve(t.Context(), frames, Server{Valid: always, Take: func(r *Request, body []byte) {
		if string(body) != strconv.Itoa(next) {
			t.Fatalf("request %s arrived as number %d", body, next)
		}
		next++
		echo(r, body)
	}})
	if err != nil || next <= requests || frames.answered() < requests {
		t.Errorf("%d requests arrived, %d were answered, %v", next-1, frames.answered(), err)
	}
}

// recorded is a stream of frames that were written before.
type recorded struct {
	in []*linkv1.Frame

	mu  sync.Mutex
	out int
}

func (r *recorded) Receive() (*linkv1.Frame, error) {
	if len(r.in) == 0 {
		return nil, io.EOF
	}
	next := r.in[0]
	r.in = r.in[1:]
	return next, nil
}

func (r *recorded) Send(sent *linkv1.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return scan(sent.GetItems(), func(received) error {
		r.out++
		return nil
	})
}

func (r *recorded) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out
}

func TestFailuresKeepTheirVerdict(t *testing.T) {
	t.Parallel()
	client := open(t, &called{take: func(r *Request, _ []byte) { r.Answer(nil, fault.QueueFull("a", "1\xff", 8, 50*time.Millisecond)) }})
	_, err := client.Call(t.Context(), Bytes(""))
	detail := fault.Detail(err)
	if connect.CodeOf(err) != connect.CodeResourceExhausted || detail.GetReason() != francisv1.Reason_REASON_QUEUE_FULL ||
		!detail.GetRetryable() || detail.GetRetryDelay().AsDuration() == 0 {
		t.Errorf("the caller is told %v, %v", err, detail)
	}
}

// A plain error travels too, whatever bytes its text has.
func TestPlainFailures(t *testing.T) {
	t.Parallel()
	client := open(t, &called{take: func(r *Request, _ []byte) { r.Answer(nil, errors.New("it broke\xff")) }})
	if _, err := client.Call(t.Context(), Bytes("")); connect.CodeOf(err) != connect.CodeUnknown || fault.Detail(err) != nil {
		t.Errorf("the caller is told %v", err)
	}
}

// leaver tells of a request for which nobody waits any more.
type leaver chan struct{}

func (l leaver) Gone() { close(l) }

// A caller who leaves ends the context of the request, and nobody else's.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	began, told, gone := make(chan struct{}), make(leaver), make(chan error, 1)
	c := &called{take: func(r *Request, body []byte) {
		if len(body) > 0 {
			echo(r, body)
			return
		}
		r.Notify(told)
		context.AfterFunc(r, func() {
			gone <- r.Err()
			r.Answer(nil, fault.EndedRunning(r.Err()))
		})
		close(began)
	}}
	client := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := client.Call(ctx, Bytes(""))
		left <- err
	}()
	<-began
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnsent) {
		t.Errorf("the caller left with %v", err)
	}
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the request ended with %v", err)
	}
	<-told
	if _, err := client.Call(t.Context(), Bytes("x")); err != nil {
		t.Errorf("another request ended with %v", err)
	}
}

// heavy is a request that is larger than it says, as those with a chain and metadata are.
type heavy int

func (h heavy) Size() int              { return 1 }
func (h heavy) Append(b []byte) []byte { return append(b, make([]byte, h)...) }

// What the other end still holds counts against the bounds of a link, also when its caller
// has left: who keeps them never loses the link, and is told when there is no room.
func TestHonestCallersKeepTheBounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		request Body
		fit     int
	}{
		"number": {heavy(0), maxRequests},
		"size":   {heavy(MaxRequest), maxBytes / MaxRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := make(chan *Request, 2*test.fit)
			client := open(t, &called{take: func(r *Request, _ []byte) { held <- r }})
			ctx, leave := context.WithCancel(t.Context())
			var callers sync.WaitGroup
			for range test.fit {
				callers.Go(func() {
					if _, err := client.Call(ctx, test.request); !errors.Is(err, context.Canceled) {
						t.Errorf("a call that fits ended with %v", err)
					}
				})
			}
			var requests []*Request
			for range test.fit {
				requests = append(requests, <-held)
			}
			leave()
			callers.Wait()
			if _, err := client.Call(t.Context(), test.request); connect.CodeOf(err) != connect.CodeResourceExhausted {
				t.Errorf("a call that does not fit ended with %v", err)
			}
			for _, r := range requests {
				r.Answer(Bytes(nil), nil)
			}
			go func() { (<-held).Answer(Bytes(nil), nil) }()
			for err := errors.New("no room"); err != nil; { // until the answers have come
				if _, err = client.Call(t.Context(), test.request); err != nil && connect.CodeOf(err) != connect.CodeResourceExhausted {
					t.Fatalf("a call that fits again ended with %v", err)
				}
			}
		})
	}
}

// A link that is retired, by either side, answers the requests that were made on it.
func TestRetiredLinkAnswers(t *testing.T) {
	t.Parallel()
	for name, retire := range map[string]func(*called, *Client){
		"by the caller": func(_ *called, c *Client) { c.Retire() },
		"by the called": func(c *called, _ *Client) { close(c.closing) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began, release := make(chan struct{}), make(chan struct{})
			c := &called{take: func(r *Request, body []byte) {
				close(began)
				go func() {
					<-release
					echo(r, body)
				}()
			}}
			client := open(t, c)
			done := make(chan error, 1)
			go func() {
				_, err := client.Call(t.Context(), Bytes("x"))
				done <- err
			}()
			<-began
			retire(c, client)
			for !client.Retired() {
				<-time.After(time.Millisecond) // real time: the word travels
			}
			if _, err := client.Call(t.Context(), Bytes("late")); !errors.Is(err, ErrUnsent) {
				t.Errorf("a request on a retired link ended with %v", err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Errorf("the request that was under way ended with %v", err)
			}
			<-client.Ended()
			if err := <-c.ended; err != nil {
				t.Errorf("the called end ended with %v", err)
			}
		})
	}
}

// When the connection breaks, a request that was sent may have been served.
func TestLostLink(t *testing.T) {
	t.Parallel()
	began, gone := make(chan struct{}), make(leaver)
	c := &called{take: func(r *Request, _ []byte) {
		r.Notify(gone)
		context.AfterFunc(r, func() { r.Answer(nil, fault.EndedRunning(context.Canceled)) })
		close(began)
	}}
	service, server := serve(t, c)
	client, err := Open(t.Context(), service.Link, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := client.Call(t.Context(), Bytes("x"))
		done <- err
	}()
	<-began
	server.CloseClientConnections()
	if err := <-done; !errors.Is(err, ErrLost) || errors.Is(err, ErrUnsent) {
		t.Errorf("the request ended with %v", err)
	}
	<-gone // the called end notices too
	<-client.Ended()
	if _, err := client.Call(t.Context(), Bytes("x")); !errors.Is(err, ErrUnsent) {
		t.Errorf("a request on a lost link ended with %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	service, server := serve(t, &called{take: echo})
	server.Close()
	if _, err := Open(t.Context(), service.Link, time.Hour); err == nil {
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
	if _, err := Open(ctx, service.Link, time.Hour); err == nil {
		t.Error("a link to somebody who says nothing was opened")
	}
}

func TestIdleLinkEnds(t *testing.T) {
	t.Parallel()
	c := &called{take: echo}
	service, _ := serve(t, c)
	client, err := Open(t.Context(), service.Link, 20*time.Millisecond)
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
	never := Server{Take: func(*Request, []byte) {}, Valid: always}
	large := func(id uint64, size int) item { return item{id: id, body: Bytes(make([]byte, size))} }
	var flood []item
	for id := range uint64(maxRequests + 1) {
		flood = append(flood, request(id, ""))
	}
	for name, frames := range map[string][]*linkv1.Frame{
		"a number twice": {frame(request(1, ""), request(1, ""))},
		"too many":       {frame(flood...)},
		"too large":      {frame(large(1, maxBytes/2)), frame(large(2, maxBytes/2)), frame(request(3, "x"))},
		"no items":       {{Items: []byte{9, 1}}},
		"no item":        {{Items: []byte{1, 0xff}}},
	} {
		if err := Serve(t.Context(), &recorded{in: frames}, never); err == nil {
			t.Errorf("%s: the link goes on", name)
		}
	}
	// A word about requests that are not there is nothing.
	frames := []*linkv1.Frame{{Gone: []uint64{7, 7, 9}}, {}}
	if err := Serve(t.Context(), &recorded{in: frames}, never); err != nil {
		t.Errorf("words about nobody end the link: %v", err)
	}
}

// deaf is a stream of somebody who asks, and asks, and takes no answer.
type deaf struct {
	ctx   context.Context
	asked atomic.Uint64
	sent  atomic.Int64
}

func (d *deaf) Receive() (*linkv1.Frame, error) {
	if d.ctx.Err() != nil {
		return nil, d.ctx.Err()
	}
	return frame(request(d.asked.Add(1), "more")), nil
}

func (d *deaf) Send(*linkv1.Frame) error {
	if d.sent.Add(1) == 1 { // says that we are there
		return nil
	}
	<-d.ctx.Done()
	return d.ctx.Err()
}

// Of somebody who takes no answers, no more is read than fits: by their number, and by
// their size.
func TestDeafCaller(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			stream, ended, answer := &deaf{ctx: ctx}, make(chan error), Bytes(make([]byte, size))
			go func() {
				ended <- Serve(ctx, stream, Server{Valid: always, Take: func(r *Request, _ []byte) { r.Answer(answer, nil) }})
			}()
			synctest.Wait() // it reads no more
			if asked, fit := stream.asked.Load(), uint64(min(maxRequests, maxBytes/size)); asked < fit || asked > fit+2*maxFrame {
				t.Errorf("%d requests were read whose answers of %d bytes wait; %d fit", asked, size, fit)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func BenchmarkCall(b *testing.B) {
	client := open(b, &called{take: echo})
	for _, callers := range []int{1, 64, 256} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			b.ReportAllocs()
			var calls sync.WaitGroup
			for n := range callers {
				calls.Go(func() {
					for range b.N / callers {
						if _, err := client.Call(b.Context(), Bytes("a body of some bytes"[:8+n%8])); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			calls.Wait()
		})
	}
}
