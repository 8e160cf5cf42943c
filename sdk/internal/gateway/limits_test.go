package gateway_test

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
)

const addPath = "/behaviour.v1.ProbeActor/Add"

// zeros never end.
type zeros struct{ read int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += int64(len(p))
	return len(p), nil
}

func (z *zeros) Close() error { return nil }

// sized is a request for Add whose JSON has a given number of bytes.
func sized(size int) string {
	const before, after = `{"in":1,"script":{"fail":"`, `"}}`
	return before + strings.Repeat("x", size-len(before)-len(after)) + after
}

func TestOversized(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	const tooLarge = francisv1.Reason_REASON_TOO_LARGE
	for name, header := range map[string]map[string]string{
		"/invoke/probe/a/add": {"Content-Type": form},
		addPath:               {"Content-Type": "application/json", idHeader: "a"},
	} {
		for version := range s.clients {
			largest := request{path: name, header: header, body: sized(limit.MaxMessage)}
			a := s.sendOver(version, largest)
			a.wantRefusal(t, connect.CodeUnknown, francisv1.Reason_REASON_METHOD_FAILED, "the actor failed") // it has arrived
			// Over the limit of a message, and of a body.
			for _, size := range []int{limit.MaxMessage + 1, limit.MaxMessage + 5<<10} {
				a := s.sendOver(version, request{path: name, header: header, body: sized(size)})
				a.wantRefusal(t, connect.CodeResourceExhausted, tooLarge, "")
				if a.status != http.StatusTooManyRequests {
					t.Errorf("status %d, want 429", a.status)
				}
			}
		}
	}
	s.wantSum("a", 0)
}

// attempt is a request that costs its sender little.
type attempt struct {
	method, path string
	header       map[string]string
	body         func() io.ReadCloser
}

func post(path string, body string, header ...string) attempt {
	a := attempt{http.MethodPost, path, map[string]string{idHeader: "a"}, func() io.ReadCloser { return io.NopCloser(strings.NewReader(body)) }}
	for i := 0; i < len(header); i += 2 {
		a.header[header[i]] = header[i+1]
	}
	return a
}

func endless(path string, header ...string) attempt {
	a := post(path, "", header...)
	a.body = func() io.ReadCloser { return &zeros{} }
	return a
}

func (a attempt) serve(handler http.Handler) answer {
	r := httptest.NewRequest(a.method, a.path, nil)
	r.Body, r.ContentLength = a.body(), -1
	r.ProtoMajor = 2 // for gRPC
	for key, value := range a.header {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	res := w.Result()
	defer res.Body.Close()
	return answer{res.StatusCode, res.Header, res.Trailer, w.Body.String()}
}

// bomb is gzip that expands to so many MiB of zeros: members of one MiB, which a
// reader joins.
func bomb(t testing.TB, mebibytes int) string {
	t.Helper()
	var member strings.Builder
	w, err := gzip.NewWriterLevel(&member, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Repeat(member.String(), mebibytes)
}

// What an attempt may cost. A bomb costs no memory; a body that is read to its limit has
// grown in a buffer that doubles. The race detector makes pools forget; the log has the
// figures.
const (
	mostAllocated = 64 << 20
	mostOfBomb    = 8 << 20
	mostTime      = time.Second
)

// TestAbuse is not parallel: it measures the whole process. The handler is called
// without a network, so that only its own work counts.
func TestAbuse(t *testing.T) { //nolint:paralleltest // as said above
	handler := newHost(t).Gateway()
	small := bomb(t, 128)
	framed := envelope(1, uint32(len(small)), small)
	t.Logf("%d bytes of gzip expand to 128 MiB", len(small))
	query := url.Values{"connect": {"v1"}, "encoding": {"json"}, "compression": {"gzip"}, "base64": {"1"}, "message": {base64.RawURLEncoding.EncodeToString([]byte(small))}}
	attempts := map[string]attempt{
		"bomb/invoke":          post("/invoke/probe/a/add", small, "Content-Encoding", "gzip"),
		"bomb/Connect JSON":    post(addPath, small, "Content-Encoding", "gzip", "Content-Type", "application/json"),
		"bomb/Connect proto":   post(addPath, small, "Content-Encoding", "gzip", "Content-Type", "application/proto"),
		"bomb/gRPC":            post(addPath, framed, "Grpc-Encoding", "gzip", "Content-Type", "application/grpc"),
		"bomb/gRPC-Web":        post(addPath, framed, "Grpc-Encoding", "gzip", "Content-Type", "application/grpc-web"),
		"bomb/GET":             {http.MethodGet, "/behaviour.v1.ProbeActor/Read?" + query.Encode(), map[string]string{idHeader: "a"}, func() io.ReadCloser { return http.NoBody }},
		"bomb/4 MiB of gzip":   post(addPath, strings.Repeat(small, limit.MaxMessage/len(small)), "Content-Encoding", "gzip", "Content-Type", "application/json"),
		"endless/invoke":       endless("/invoke/probe/a/add"),
		"endless/Connect":      endless(addPath, "Content-Type", "application/json"),
		"endless/gRPC":         endless(addPath, "Content-Type", "application/grpc"), // of empty messages
		"endless/gRPC-Web":     endless(addPath, "Content-Type", "application/grpc-web"),
		"endless/unknown type": endless("/invoke/nope/a/add"),
		"endless/unknown path": endless("/nope"),
		"size of 4 GiB":        post(addPath, envelope(0, 1<<32-1, "x"), "Content-Type", "application/grpc"),
		"nested JSON":          post("/invoke/probe/a/add", strings.Repeat("[", limit.MaxMessage-1)),
		"nested JSON messages": post("/invoke/probe/a/add", strings.Repeat(`{"script":`, limit.MaxMessage/10)),
		"nested groups":        post(addPath, strings.Repeat("\x0b", limit.MaxMessage), "Content-Type", "application/proto"),
	}
	for name, a := range attempts {
		t.Run(name, func(t *testing.T) {
			var got answer
			least := cost{time.Hour, time.Hour, 1 << 60}
			for range 3 { // others share the machine: the least is the attempt's own
				least = least.least(measure(func() { got = a.serve(handler) }))
			}
			t.Logf("%v, %v of CPU, %.1f MiB allocated", least.time.Round(time.Microsecond), least.cpu, float64(least.allocated)/(1<<20))
			most := uint64(mostAllocated)
			if strings.HasPrefix(name, "bomb/") && name != "bomb/4 MiB of gzip" { // that one brings as much itself
				most = mostOfBomb
			}
			if least.allocated > most || least.time > mostTime {
				t.Errorf("the attempt costs %+v; at most %v and %d bytes are fine", least, mostTime, most)
			}
			wantDisarmed(t, got, strings.HasPrefix(name, "bomb/"))
		})
	}
}

// wantDisarmed checks that an attempt failed, and that a bomb did for its size.
func wantDisarmed(t *testing.T, got answer, bomb bool) {
	t.Helper()
	switch status := got.grpcStatus(); {
	case status == "" && got.header.Get("Content-Type") == "application/json" && bomb:
		got.wantRefusal(t, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE, "larger than configured max 4194304")
	case status == "" && got.status == http.StatusOK, status == "0":
		t.Errorf("the attempt succeeded: %q", got.body)
	case bomb && status != "8":
		t.Errorf("gRPC status %q, want 8 (resource_exhausted)", status)
	}
}

// cost is what an attempt takes of the process.
type cost struct {
	time, cpu time.Duration
	allocated uint64
}

func (c cost) least(other cost) cost {
	return cost{min(c.time, other.time), min(c.cpu, other.cpu), min(c.allocated, other.allocated)}
}

// measure counts what an attempt takes when no pool has anything for it.
func measure(attempt func()) cost {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // what a pool keeps lives for one collection more
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	attempt()
	took, cpu := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	return cost{took, cpu, after.TotalAlloc - before.TotalAlloc}
}

// Over a real connection, too, a body without an end is answered, and the client
// is not waited for.
func TestEndlessBodyOverNetwork(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for _, version := range []string{"h1", "h2c"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := site{t, s.host, s.url, s.clients}
			body := &zeros{}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/invoke/probe/a/add", body)
			if err != nil {
				t.Fatal(err)
			}
			if version == "h1" {
				// net/http's client may see the broken line before the answer.
				endlessOverHTTP1(t, req.URL.Host)
				return
			}
			s.doOver(version, req).wantRefusal(t, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE, "")
		})
	}
}

func endlessOverHTTP1(t *testing.T, host string) {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan int64, 1)
	go func() {
		n, _ := io.WriteString(conn, "POST /invoke/probe/a/add HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 1099511627776\r\n\r\n")
		zeros, _ := io.Copy(conn, io.LimitReader(&zeros{}, 1<<30)) // until the server closes
		sent <- int64(n) + zeros
	}()
	status := make([]byte, len("HTTP/1.1 429"))
	if _, err := io.ReadFull(conn, status); err != nil || string(status) != "HTTP/1.1 429" {
		t.Errorf("the server answers %q (%v), want 429", status, err)
	}
	if n := <-sent; n > 64<<20 { // what fits into the buffers of the network is sent in any case
		t.Errorf("the server has read %d bytes", n)
	}
}
