package inbound

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"golang.org/x/net/http2" //nolint:depguard // only the framer says what no good client does
	"golang.org/x/net/http2/hpack"
)

// brisk is a pace for tests.
var brisk = Pace{Body: 200 * time.Millisecond, Answer: 200 * time.Millisecond}

// steady is one that a busy machine keeps, for tests in which nobody is to be given up.
var steady = Pace{Body: 600 * time.Millisecond, Answer: 600 * time.Millisecond}

// patience bounds every wait.
const patience = time.Minute

// got is how a handler ended.
type got struct {
	read int
	err  error
}

// serve serves a handler at a brisk pace, and says how each request ended.
func serve(t *testing.T, handle func(w http.ResponseWriter, r *http.Request) got) (*httptest.Server, <-chan got) {
	t.Helper()
	return serveAt(t, brisk, handle)
}

func serveAt(t *testing.T, pace Pace, handle func(w http.ResponseWriter, r *http.Request) got) (*httptest.Server, <-chan got) {
	t.Helper()
	ended := make(chan got, 16)
	server := httptest.NewUnstartedServer(pace.Keep(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ended <- handle(w, r)
	})))
	server.Config = NewServer(ServerConfig{Handler: server.Config.Handler, Streams: 100})
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server, ended
}

func readAll(_ http.ResponseWriter, r *http.Request) got {
	body, err := io.ReadAll(r.Body)
	return got{len(body), err}
}

func await[E any](t *testing.T, ended <-chan E) (end E) {
	t.Helper()
	select {
	case end = <-ended:
	case <-time.After(patience):
		t.Fatal("the handler does not end")
	}
	return end
}

// trickle is a body that brings a part at once and then a byte from time to time.
type trickle struct {
	first io.Reader
	ctx   context.Context
}

func (b trickle) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	select {
	case <-time.After(brisk.Body / 10):
		p[0] = 'x'
		return 1, nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func clientOf(version string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version == "h1")
	protocols.SetUnencryptedHTTP2(version == "h2c")
	return &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: patience}
}

// A body that comes a byte at a time is given up, however much came before; one that
// comes on may take longer than its time.
func TestBodiesHaveAPace(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"h1", "h2c"} {
		for _, size := range []int{0, portion / 2, 3 * portion} {
			t.Run(fmt.Sprint(version, " after ", size), func(t *testing.T) {
				t.Parallel()
				server, ended := serve(t, readAll)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, trickle{strings.NewReader(strings.Repeat("x", size)), t.Context()})
				if err != nil {
					t.Fatal(err)
				}
				if res, err := clientOf(version).Do(req); err == nil {
					res.Body.Close()
				}
				if g := await(t, ended); connect.CodeOf(g.err) != connect.CodeDeadlineExceeded {
					t.Errorf("the handler read %d bytes and then %v", g.read, g.err)
				}
			})
		}
		t.Run(version+" comes on", func(t *testing.T) {
			t.Parallel()
			server, ended := serveAt(t, steady, readAll)
			r, w := io.Pipe()
			go func() {
				for range 8 {
					_, _ = w.Write(make([]byte, portion))
					<-time.After(steady.Body / 3)
				}
				w.Close()
			}()
			res, err := clientOf(version).Post(server.URL, "", r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if g := await(t, ended); g.err != nil || g.read != 8*portion {
				t.Errorf("the handler read %d bytes and then %v", g.read, g.err)
			}
		})
	}
}

// What is left of a body that was given up is no request: the connection ends with the
// answer, also where somebody has put another reader before the body, and closes it.
func TestRestOfBodyIsNoRequest(t *testing.T) {
	t.Parallel()
	handler := brisk.Keep(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		r.Body.Close()
		http.Error(w, fmt.Sprint(err), http.StatusGatewayTimeout)
	}))
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(ServerConfig{Streams: 1, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		handler.ServeHTTP(w, r)
	})})
	server.Start()
	t.Cleanup(server.Close)
	conn := dial(t, server)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	answers := bufio.NewReader(conn)
	res, err := http.ReadResponse(answers, nil)
	if err != nil || res.StatusCode != http.StatusGatewayTimeout || !res.Close {
		t.Fatalf("the answer is %v, %v", res, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	_, _ = io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
	if rest, _ := io.ReadAll(answers); len(rest) > 0 {
		t.Errorf("the rest of the body is answered: %q", rest)
	}
}

// The time of the handler is not the client's: it may take longer than any pace, whether
// or not it has read the body to its end.
func TestHandlersHaveTime(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"h1", "h2c"} {
		for _, most := range []int64{0, 1, 1 << 20} {
			t.Run(fmt.Sprint(version, " reads ", most), func(t *testing.T) {
				t.Parallel()
				server, ended := serveAt(t, steady, func(w http.ResponseWriter, r *http.Request) got {
					n, err := io.Copy(io.Discard, io.LimitReader(r.Body, most))
					select {
					case <-time.After(2 * steady.Body):
					case <-r.Context().Done():
						err = errors.Join(err, r.Context().Err())
					}
					_, _ = io.WriteString(w, "done")
					return got{int(n), err}
				})
				res, err := clientOf(version).Post(server.URL, "", strings.NewReader("a short body"))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if answer, err := io.ReadAll(res.Body); string(answer) != "done" || err != nil {
					t.Errorf("the answer is %q, %v", answer, err)
				}
				if g := await(t, ended); g.err != nil {
					t.Error(g.err)
				}
			})
		}
	}
}

// A stream may be silent after it has flushed.
func TestSilentStream(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"h1", "h2c"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server, ended := serveAt(t, steady, func(w http.ResponseWriter, _ *http.Request) got {
				for range 2 {
					if _, err := io.WriteString(w, "more"); err != nil {
						return got{err: err}
					}
					w.(http.Flusher).Flush()
					<-time.After(2 * steady.Answer)
				}
				return got{}
			})
			res, err := clientOf(version).Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if answer, err := io.ReadAll(res.Body); string(answer) != "moremore" || err != nil {
				t.Errorf("the answer is %q, %v", answer, err)
			}
			if g := await(t, ended); g.err != nil {
				t.Error(g.err)
			}
		})
	}
}

// large is an answer that no buffer of a network takes.
func large(w http.ResponseWriter, _ *http.Request) got {
	n, err := w.Write(make([]byte, 64<<20))
	return got{n, err}
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// A client that does not take its answer loses it.
func TestAnswersHaveAPace(t *testing.T) {
	t.Parallel()
	t.Run("h1", func(t *testing.T) {
		t.Parallel()
		server, ended := serve(t, large)
		_, _ = io.WriteString(dial(t, server), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if g := await(t, ended); g.err == nil {
			t.Errorf("the handler wrote %d bytes to nobody", g.read)
		}
	})
	t.Run("h2c", func(t *testing.T) {
		t.Parallel()
		server, ended := serve(t, large)
		ask(t, dial(t, server))
		if g := await(t, ended); g.err == nil {
			t.Errorf("the handler wrote %d bytes to nobody", g.read)
		}
	})
	t.Run("a slow one that goes on", func(t *testing.T) {
		t.Parallel()
		const each = 2 * time.Second
		server, ended := serveAt(t, Pace{Body: each, Answer: each}, large)
		conn := dial(t, server)
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer := bufio.NewReader(conn)
		for range 12 { // steps that the kernel passes on: it wakes a writer when a third of its buffer is free
			if _, err := io.CopyN(io.Discard, answer, 4<<20); err != nil {
				t.Fatal(err)
			}
			<-time.After(each / 8)
		}
		if _, err := io.Copy(io.Discard, answer); err != nil {
			t.Error(err)
		}
		if g := await(t, ended); g.err != nil {
			t.Error(g.err)
		}
	})
}

// ask makes a request over HTTP/2, reads what comes, and never opens its window.
func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err := errors.Join(
		framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndStream: true, EndHeaders: true}),
	); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
}

// Connections over the bound are closed, and make room when they have ended.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 8
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(ServerConfig{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Streams: 1, Connections: most})
	server.Start()
	t.Cleanup(server.Close)
	answered := func(conn net.Conn) bool {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := bufio.NewReader(conn).ReadByte()
		return err == nil
	}
	var held []net.Conn
	for range most {
		conn := dial(t, server)
		if !answered(conn) {
			t.Fatalf("connection %d is closed", len(held)+1)
		}
		held = append(held, conn)
	}
	if answered(dial(t, server)) {
		t.Error("one more is answered")
	}
	held[0].Close()
	for end := time.Now().Add(patience); !answered(dial(t, server)); {
		if time.Now().After(end) {
			t.Fatal("with room again none is answered")
		}
	}
}
