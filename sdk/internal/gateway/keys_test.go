package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// A repeated request with the header Idempotency-Key gets the reply of the first, in any
// encoding that either of them has.
func TestIdempotencyKeyHeader(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	add := func(key, body string) request {
		return request{path: "/invoke/probe/keyed/add", body: body, header: map[string]string{"Idempotency-Key": key}}
	}
	for range 3 {
		s.sendOver("h1", add("order-1", `{"in": 7}`)).wantBody(t, `{"sum":"7"}`)
	}
	s.sendOver("h2c", add("order-2", `{"in": 7}`)).wantBody(t, `{"sum":"14"}`)
	s.sendOver("h2c", add("order-1", `{"in":"7"}`)).wantBody(t, `{"sum":"7"}`) // the same request, written in another way

	for name, test := range map[string]struct{ key, body, text string }{
		"another request": {"order-1", `{"in": 8}`, "was used for another method or request"},
		"too long":        {strings.Repeat("k", 256), `{}`, "at most 255 are allowed"},
		"not ASCII":       {"schlüssel", `{}`, "printable ASCII"},
	} {
		a := s.sendOver("h1", add(test.key, test.body))
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_argument") || !strings.Contains(a.body, test.text) {
			t.Errorf("%s: %d %s; want 400, invalid_argument: … %s", name, a.status, a.body, test.text)
		}
	}
}
