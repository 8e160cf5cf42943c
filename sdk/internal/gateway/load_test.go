package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

func TestLoadIsBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		most int
		take func(*load) error
		give func(*load)
	}{
		"requests": {limit.GatewayRequests, (*load).enter, (*load).leave},
		"bytes":    {64, func(l *load) error { return l.take(limit.GatewayBytes / 64) }, func(l *load) { l.give(limit.GatewayBytes / 64) }},
	} {
		var l load
		for n := range test.most {
			if err := test.take(&l); err != nil {
				t.Fatalf("%s: number %d is refused: %v", name, n+1, err)
			}
		}
		for range 3 { // one that is refused takes nothing
			err := test.take(&l)
			detail := fault.Detail(err)
			if connect.CodeOf(err) != connect.CodeResourceExhausted || detail.GetOutcome() != francisv1.Outcome_OUTCOME_NOTHING_HAPPENED ||
				!detail.GetRetryable() || detail.GetRetryDelay().AsDuration() < 100*time.Millisecond {
				t.Errorf("%s: one more is told %v, %v", name, err, detail)
			}
		}
		test.give(&l)
		if err := test.take(&l); err != nil {
			t.Errorf("%s: with room again it is refused: %v", name, err)
		}
	}
}

// fixed is a directory with one answer.
type fixed struct {
	contract *contract.Contract
	answer   func() ([]byte, error)
}

func (f fixed) TypeNames() []string                  { return []string{f.contract.Type} }
func (f fixed) ContractOf(string) *contract.Contract { return f.contract }
func (f fixed) Serving() bool                        { return true }
func (f fixed) Service() actor.Caller                { return nil }
func (f fixed) InvokeEncoded(context.Context, actor.Call) ([]byte, error) {
	return f.answer()
}

// A request counts from its first byte to the last of its answer, and is told when to
// come again: in its header too.
func TestRequestsCount(t *testing.T) {
	t.Parallel()
	read, problems := contract.Read(myactorv1.File_myactor_v1_myactor_proto.Services().Get(0))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var g *Gateway
	g = New(fixed{read, func() ([]byte, error) {
		if requests, bytes := g.load.requests.Load(), g.load.bytes.Load(); requests != 1 || bytes != 10 {
			t.Errorf("%d requests of %d bytes are under way", requests, bytes)
		}
		return []byte("{}"), nil
	}})
	call := func(body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/invoke/"+read.Type+"/a/Increment", strings.NewReader(body)))
		return w
	}
	if w := call(`{"In": 123}`[:10]); w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	for name, crowd := range map[string]func(more int64){
		"requests":          func(more int64) { g.load.requests.Add(more * limit.GatewayRequests) },
		"bytes":             func(more int64) { g.load.bytes.Add(more * limit.GatewayBytes) },
		"all but one bytes": func(more int64) { g.load.bytes.Add(more * (limit.GatewayBytes - 1)) },
	} {
		crowd(1)
		w := call(`{"In": 123}`)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"retryDelay":"0.500s"`) {
			t.Errorf("%s: status %d, Retry-After %q: %s", name, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		crowd(-1)
	}
	if requests, bytes := g.load.requests.Load(), g.load.bytes.Load(); requests != 0 || bytes != 0 {
		t.Errorf("%d requests of %d bytes are still under way", requests, bytes)
	}
}
