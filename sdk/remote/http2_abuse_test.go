package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2" //nolint:depguard // only the framer says what no good client does
	"golang.org/x/net/http2/hpack"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// maxStreams is how many requests each port answers at once, on one connection.
const maxStreams = 1000

// target is a port, as a worker with a valid certificate reaches it.
type target struct {
	name, address string
	config        *tls.Config
	// path is an RPC of the port.
	path string
	// call is a request of a good worker, on a connection of its own.
	call func(context.Context) error
}

// targets are both ports. The good worker and the attacker are two members.
func targets(c *cluster) []target {
	good, bad := c.newRogue(), c.newRogue()
	invocation := good.invocation()
	return []target{
		{
			"the cluster port", c.address(), bad.holder.DialRuntime(), "/francis.runtime.v1.WorkerService/Commit",
			func(ctx context.Context) error {
				_, err := good.calls.Renew(ctx, &runtimev1.RenewRequest{})
				return err
			},
		},
		{
			"a worker's port", c.honest.GetAddress(), bad.holder.DialWorker(c.honest.GetId()), "/francis.peer.v1.PeerService/Invoke",
			func(ctx context.Context) error {
				_, err := good.peer.Invoke(ctx, invocation)
				return err
			},
		},
	}
}

// wire is a connection of frames. What comes back is counted as it comes.
type wire struct {
	conn *tls.Conn
	*http2.Framer

	headers                     bytes.Buffer
	encoder                     *hpack.Encoder
	streams                     atomic.Uint32 // SETTINGS_MAX_CONCURRENT_STREAMS
	refused, answered, goneAway atomic.Int64
	// deaf stops the reading.
	deaf    atomic.Bool
	settled chan struct{}
	ended   chan struct{}
}

// open begins HTTP/2 on a new connection.
func (g target) open(t *testing.T, settings ...http2.Setting) *wire {
	t.Helper()
	w := g.dial(t, "h2")
	if _, err := io.WriteString(w.conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	go w.read()
	select {
	case <-w.settled:
	case <-time.After(patience):
		t.Fatal("no settings")
	}
	return w
}

// dial completes the handshake and says nothing.
func (g target) dial(t *testing.T, protocol string) *wire {
	t.Helper()
	config := g.config.Clone()
	config.NextProtos = []string{protocol}
	dialer := &tls.Dialer{Config: config}
	conn, err := dialer.DialContext(t.Context(), "tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	w := &wire{conn: conn.(*tls.Conn), Framer: http2.NewFramer(conn, conn), settled: make(chan struct{}), ended: make(chan struct{})}
	w.encoder = hpack.NewEncoder(&w.headers)
	return w
}

// read counts until the connection ends.
func (w *wire) read() {
	defer close(w.ended)
	settled := sync.OnceFunc(func() { close(w.settled) })
	for !w.deaf.Load() {
		frame, err := w.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if streams, ok := frame.Value(http2.SettingMaxConcurrentStreams); ok {
				w.streams.Store(streams)
			}
			settled()
		case *http2.RSTStreamFrame:
			w.refused.Add(1)
		case *http2.HeadersFrame:
			w.answered.Add(1)
		case *http2.GoAwayFrame:
			w.goneAway.Add(1)
		}
	}
}

// hangUp says that nothing more comes, and waits until the server has taken what came
// and ends the connection: so long it begins requests that are waiting to be read.
func (w *wire) hangUp() {
	_ = w.conn.CloseWrite() // fails where the server has ended the connection
	<-w.ended
	_, _ = io.Copy(io.Discard, w.conn) // what the deaf has not read
	w.conn.Close()
}

// fields are the header of a request, encoded.
func (w *wire) fields(path string, more ...string) []byte {
	w.headers.Reset()
	all := append([]string{":method", "POST", ":scheme", "https", ":authority", "abuse", ":path", path, "content-type", "application/proto"}, more...)
	for pair := range slices.Chunk(all, 2) {
		_ = w.encoder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	return w.headers.Bytes()
}

// request begins a request; more of its body follows unless it is the end.
func (w *wire) request(stream uint32, path string, end bool) error {
	return w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.fields(path), EndStream: end, EndHeaders: true})
}

// attacks last until the server ends the connection, or until all is sent. What could
// grow without a bound must have its connection ended.
var attacks = map[string]struct {
	ended  bool
	attack func(t *testing.T, g target, w *wire) error
}{
	"rapid reset": {false, func(_ *testing.T, g target, w *wire) error {
		for i := range uint32(20_000) {
			if err := errors.Join(w.request(2*i+1, g.path, false), w.WriteRSTStream(2*i+1, http2.ErrCodeCancel)); err != nil {
				return err
			}
		}
		return nil
	}},
	"endless CONTINUATION": {true, func(_ *testing.T, g target, w *wire) error {
		if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields(g.path)}); err != nil {
			return err
		}
		part := w.fields(g.path, "x-more", strings.Repeat("x", 8<<10))
		for range 4000 { // 32 MB
			if err := w.WriteContinuation(1, false, part); err != nil {
				return err
			}
		}
		return nil
	}},
	"empty CONTINUATION": {false, func(_ *testing.T, g target, w *wire) error {
		if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields(g.path)}); err != nil {
			return err
		}
		for range 100_000 {
			if err := w.WriteContinuation(1, false, nil); err != nil {
				return err
			}
		}
		return nil
	}},
	"PING": {false, func(_ *testing.T, _ target, w *wire) error {
		for range 100_000 {
			if err := w.WritePing(false, [8]byte{}); err != nil {
				return err
			}
		}
		return nil
	}},
	"PING, deaf to the answers": {false, func(t *testing.T, _ target, w *wire) error {
		w.deaf.Store(true)
		for range 1_000_000 {
			if err := w.WritePing(false, [8]byte{}); err != nil {
				return err
			}
		}
		t.Error("every PING is taken, and somewhere its answer waits")
		return nil
	}},
	"SETTINGS": {false, func(_ *testing.T, _ target, w *wire) error {
		for range 100_000 {
			if err := w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}); err != nil {
				return err
			}
		}
		return nil
	}},
	"empty DATA": {false, func(_ *testing.T, g target, w *wire) error {
		if err := w.request(1, g.path, false); err != nil {
			return err
		}
		for range 200_000 {
			if err := w.WriteData(1, false, nil); err != nil {
				return err
			}
		}
		return nil
	}},
	"more than the window": {false, func(_ *testing.T, g target, w *wire) error {
		if err := w.request(1, g.path, false); err != nil {
			return err
		}
		for range 4096 { // 64 MiB
			if err := w.WriteData(1, false, make([]byte, 16<<10)); err != nil {
				return err
			}
		}
		return nil
	}},
	"a header of a megabyte": {true, func(_ *testing.T, g target, w *wire) error {
		block := w.fields(g.path, "x-more", strings.Repeat("~", 1<<20))
		err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:16<<10]})
		for part := range slices.Chunk(block[16<<10:], 16<<10) {
			if err == nil {
				err = w.WriteContinuation(1, false, part)
			}
		}
		if err == nil {
			err = w.WriteContinuation(1, true, nil)
		}
		return err
	}},
	"streams that never end": {false, func(t *testing.T, g target, w *wire) error {
		const more = 100
		for i := range uint32(maxStreams + more) {
			if err := w.request(2*i+1, g.path, false); err != nil {
				return err
			}
		}
		eventually(t, "the streams over the limit are refused", func() bool { return w.refused.Load() >= more || isClosed(w.ended) })
		return nil
	}},
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(late) {
			t.Errorf("waited %v in vain: %s", patience, what)
			return
		}
	}
}

// T17 in short: no attack keeps the port from answering others on time, or makes it
// work on more requests at once than it allows. It runs alone, since it measures.
func TestHTTP2Abuse(t *testing.T) {
	c := startCluster(t)
	for _, g := range targets(c) {
		for name, a := range attacks {
			t.Run(g.name+", "+name, func(t *testing.T) {
				calm := measure(t, g, func(n int) bool { return n < 50 })
				before, others := runtime.NumGoroutine(), handlers()
				w := g.open(t)
				if streams := w.streams.Load(); streams != maxStreams {
					t.Errorf("the port allows %d streams", streams)
				}
				over := make(chan struct{})
				var cut error
				go func() {
					defer close(over)
					cut = a.attack(t, g, w)
				}()
				most := watchHandlers(over)
				loud := measure(t, g, func(n int) bool { return n < 20 || !isClosed(over) })
				if a.ended {
					expectEnd(t, w)
				}
				if n := most() - others; n > maxStreams+good {
					t.Errorf("the port worked on %d requests at once", n)
				}
				// Attacker, server and good worker share this machine.
				if loud > 50*calm+250*time.Millisecond {
					t.Errorf("a good worker waited %v (9 of 10 calls waited less), and %v before", loud, calm)
				}
				t.Logf("waits %v → %v; cut off: %v; %d refused, %d at once", calm, loud, cut, w.refused.Load(), most()-others)
				w.hangUp()
				eventually(t, "requests and goroutines end", func() bool { return runtime.NumGoroutine() < before+50 && handlers() <= others })
			})
		}
	}
	c.increment("a", 1, 1)
}

// measure makes calls of a good worker for as long as more says, and returns how long
// the slowest of them took but for a tenth.
func measure(t *testing.T, g target, more func(n int) bool) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var waits []time.Duration
	for more(len(waits)) {
		began := time.Now()
		if err := g.call(ctx); err != nil {
			t.Fatalf("a good worker is refused: %v", err)
		}
		waits = append(waits, time.Since(began))
	}
	slices.Sort(waits)
	return waits[len(waits)*9/10]
}

// good is how many requests of a good worker there may be at once: one, and a former one
// whose handler is about to return.
const good = 2

// watchHandlers finds the largest number of handlers until over.
func watchHandlers(over chan struct{}) func() int {
	most := make(chan int, 1)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		n := 0
		for ; !isClosed(over); <-tick.C {
			n = max(n, handlers())
		}
		most <- max(n, handlers())
	}()
	return sync.OnceValue(func() int { return <-most })
}

// handlers is how many requests are in their handlers, on all ports. Goroutines say more
// than that: those of net/http begin before and end after it, by as much as the machine
// is late.
func handlers() int {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1)
	n := 0
	for alike := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(alike, "net/http.serverHandler.ServeHTTP") {
			continue
		}
		for line := range strings.Lines(alike) {
			var these int
			if _, err := fmt.Sscanf(line, "%d @", &these); err == nil {
				n += these
			}
		}
	}
	return n
}

// expectEnd waits until the server has ended a connection.
func expectEnd(t *testing.T, w *wire) {
	t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		t.Error("the connection goes on")
	}
}

// A client that never reads its answers keeps no more than its streams.
func TestZeroWindow(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for _, g := range targets(c) {
		w := g.open(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for i := range uint32(3 * maxStreams) {
			if err := w.request(2*i+1, g.path, true); err != nil {
				break // cut off: as good
			}
		}
		eventually(t, g.name+" refuses more than it answers", func() bool { return w.refused.Load() > 0 || isClosed(w.ended) })
		if err := g.call(c.ctx()); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
		t.Logf("%s: %d answered, %d refused", g.name, w.answered.Load(), w.refused.Load())
	}
}

// endless is a body without an end; it counts what was taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.taken.Add(int64(len(p)))
	clear(p)
	return len(p), nil
}

// T15 in short: a body is read to its limit and no further, and nothing is unpacked.
func TestBodies(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	bomb := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 1<<10)...)
	stream := &endless{}
	tests := map[string]struct {
		body   io.Reader
		header map[string]string
		want   string
	}{
		"an endless one":           {stream, nil, "resource_exhausted"},
		"one of 5 MiB":             {bytes.NewReader(make([]byte, 5<<20)), nil, "resource_exhausted"},
		"gzip":                     {bytes.NewReader(bomb), map[string]string{"Content-Encoding": "gzip"}, "unimplemented"},
		"an unknown compression":   {bytes.NewReader(bomb), map[string]string{"Content-Encoding": "bzip2"}, "unimplemented"},
		"damaged protobuf":         {strings.NewReader("\xff\xff\xff"), nil, "invalid_argument"},
		"groups in groups":         {strings.NewReader(strings.Repeat("\x7b", 1<<20)), nil, "invalid_argument"},
		"JSON":                     {strings.NewReader("{}"), map[string]string{"Content-Type": "application/json"}, "Unsupported Media Type"}, // members speak protobuf only
		"another type":             {strings.NewReader("a=b"), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "Unsupported Media Type"},
		"gRPC without an envelope": {strings.NewReader("\x00"), map[string]string{"Content-Type": "application/grpc", "Te": "trailers"}, "ok"},
	}
	for _, g := range targets(c) {
		client := c.http2Client(g.config)
		for name, test := range tests {
			if seeker, ok := test.body.(io.Seeker); ok {
				_, _ = seeker.Seek(0, io.SeekStart)
			}
			req, err := http.NewRequestWithContext(c.ctx(), http.MethodPost, "https://"+g.address+g.path, test.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/proto")
			for key, value := range test.header {
				req.Header.Set(key, value)
			}
			if got := send(client, req); !strings.HasPrefix(got, test.want) {
				t.Errorf("%s of %s: %s, want %s", name, g.name, got, test.want)
			}
		}
		if err := g.call(c.ctx()); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
	}
	if taken := stream.taken.Load(); taken > 32<<20 {
		t.Errorf("%d MiB of an endless body were taken", taken>>20)
	}
}

// A member that begins large requests and ends none of them is refused where it would
// hold more than its share of the port's memory, and others are served meanwhile.
func TestBodiesTogether(t *testing.T) {
	c := startCluster(t)
	for _, g := range targets(c) {
		t.Run(g.name, func(t *testing.T) {
			const requests, size, share = 96, 4 << 20, 128 << 20
			large := make([]byte, size)
			before := heap()
			client := c.http2Client(g.config)
			ctx, hangUp := context.WithCancel(c.ctx())
			var sending sync.WaitGroup
			outcomes := make(chan string, requests)
			for range requests {
				rest, _ := io.Pipe()
				body := struct { // whose end unblocks the client that has its answer
					io.Reader
					io.Closer
				}{io.MultiReader(bytes.NewReader(large), rest), rest}
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+g.address+g.path, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/proto")
				sending.Go(func() { outcomes <- send(client, req) })
			}
			for range requests - share/size {
				if got := <-outcomes; !strings.HasPrefix(got, "resource_exhausted") {
					t.Errorf("one request too many: %s", got)
				}
			}
			// A buffer that grows is up to twice as large as what is in it.
			if grown := heap() - before; grown > 2*share+64<<20 {
				t.Errorf("the bodies take %d MiB", grown>>20)
			} else {
				t.Logf("the bodies take %d MiB", grown>>20)
			}
			if err := g.call(c.ctx()); err != nil {
				t.Errorf("a good worker is refused: %v", err)
			}
			hangUp()
			sending.Wait()
		})
	}
}

// heap is how many bytes are in use, without what pools keep through a collection.
func heap() int64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func send(client *http.Client, req *http.Request) string {
	res, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err.Error()
	}
	return outcome(res.StatusCode, body)
}

// T14 in short: who is slow before a request has begun is cut off. A header of
// HTTP/1.1 and a handshake have 5 seconds; the preface of HTTP/2 has 10.
func TestSlowBeginnings(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	var all sync.WaitGroup
	for _, g := range targets(c) {
		for name, open := range map[string]func() net.Conn{
			"a handshake": func() net.Conn {
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				return conn
			},
			"a header":  func() net.Conn { return g.dial(t, "http/1.1").conn },
			"a preface": func() net.Conn { return g.dial(t, "h2").conn },
		} {
			text := map[string]string{
				"a handshake": "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03" + strings.Repeat("r", 300),
				"a header":    "POST " + g.path + " HTTP/1.1\r\nHost: abuse\r\nX-Slow: " + strings.Repeat("x", 300),
				"a preface":   http2.ClientPreface,
			}[name]
			conn := open()
			all.Go(func() {
				if took := drip(conn, text); took > 15*time.Second {
					t.Errorf("%s on %s, a byte at a time, lasted %v", name, g.name, took)
				}
			})
		}
	}
	all.Wait()
}

// drip sends a byte from time to time until the other side ends the connection, and
// returns how long that took. It never comes to the end of what it says.
func drip(conn net.Conn, text string) time.Duration {
	began, ended := time.Now(), make(chan struct{})
	_ = conn.SetDeadline(began.Add(patience))
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, b := range []byte(text[:len(text)-1]) {
		_, _ = conn.Write([]byte{b})
		select {
		case <-ended:
			return time.Since(began)
		case <-tick.C:
		}
	}
	<-ended
	return time.Since(began)
}

// Plain HTTP on a TLS port is told so, in words.
func TestPlainHTTPOnBothPorts(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for _, g := range targets(c) {
		req, err := http.NewRequestWithContext(c.ctx(), http.MethodPost, "http://"+g.address+g.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if text := string(body); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, "TLS") && !strings.Contains(text, "HTTPS") {
			t.Errorf("%s answers %d %q", g.name, res.StatusCode, body)
		}
	}
}
