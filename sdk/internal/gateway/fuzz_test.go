package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzInvoke sends anything to anywhere below /invoke: it is answered with JSON, and
// never with a fault of the server.
func FuzzInvoke(f *testing.F) {
	for _, seed := range []struct{ path, body string }{
		{"myactor/id1/increment", `{"In": 42}`},
		{"myactor/id1/Get", `{}`},
		{"myactor/%2F/get", ``},
		{"myactor/%ff/get", "{}"},
		{"myactor/%2e%2e/get", "{}"},
		{"myactor/a%00/get", "{}"},
		{"myactor//get", "{}"},
		{"myactor/a/../get", "{}"},
		{"myactor/a/%67et", "{}"},
		{"myactor/a/%", "{}"},
		{"m%79actor/a/get", "{}"},
		{"my%2Factor/a/get", "{}"},
		{"probe/a/hidden", "{}"},
		{"probe/a/add", `{"script":{"fail":"x"}}`},
		{"relay/r/send", `{"relay":"r","probe":"p","in":"1"}`},
		{"relay/7/number", `{"number":7}`},
		{"relay/7/number", `{"number":-1}`},
		{"nope/a/b", `null`},
		{"a/b/c/d", `[]`},
		{"?", ""},
		{"myactor/a/get?x=%zz;y", "{}"},
		{"myactor/a;b=c/increment", `{"In":1e0}`},
		{"myactor/日本/increment", "{\"In\":\"\xff\"}"},
	} {
		f.Add(seed.path, []byte(seed.body))
	}
	handler := newHost(f).Gateway()
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		target, err := url.ParseRequestURI("/invoke/" + path)
		if err != nil || strings.Contains(string(body), "sleep") || strings.Contains(string(body), "wait") || strings.Contains(string(body), "panic") {
			t.Skip() // no server sees such a target; a probe does what it is told
		}
		r := &http.Request{
			Method: http.MethodPost, URL: target, Host: "host", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {form}}, Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(t.Context()))
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusTooManyRequests, http.StatusNotImplemented:
			wantJSON(t, w)
		case http.StatusTemporaryRedirect:
		default:
			if strings.HasPrefix(target.Path, "/invoke/myactor/") {
				t.Errorf("%q with %q: status %d, %s", target, body, w.Code, w.Body)
			}
			wantJSON(t, w) // a probe that was told to fail
		}
	})
}

func wantJSON(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/json" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("content type %q, body %q; want JSON", got, w.Body)
	}
}

// FuzzProtocols sends anything to a method, in any protocol.
func FuzzProtocols(f *testing.F) {
	for _, contentType := range []string{"application/json", "application/proto", "application/grpc", "application/grpc+json", "application/grpc-web+proto", "application/grpc-web-text", "application/connect+proto", "x", ""} {
		for _, body := range []string{"", "{}", `{"In":1}`, "\x08\x01", envelope(0, 2, "\x08\x01"), envelope(1, 2, "\x08\x01"), envelope(0, 1<<31, ""), "\x1f\x8b"} {
			f.Add(contentType, "a", "gzip", []byte(body))
			f.Add(contentType, "%zz", "", []byte(body))
		}
	}
	handler := newHost(f).Gateway()
	f.Fuzz(func(t *testing.T, contentType, id, encoding string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/myactor.v1.MyActor/Increment", strings.NewReader(string(body)))
		r.ProtoMajor = 2
		r.Header = http.Header{"Content-Type": {contentType}, idHeader: {id}, "Content-Encoding": {encoding}, "Grpc-Encoding": {encoding}}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusUnsupportedMediaType, http.StatusTooManyRequests, http.StatusNotImplemented:
		default:
			t.Errorf("status %d, %s", w.Code, w.Body)
		}
	})
}
