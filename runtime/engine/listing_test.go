package engine

import (
	"strings"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/name"
)

func TestListActors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := start(t, Config{}).join("cart")
		if page, err := m.ListActors(t.Context(), &runtimev1.ListActorsRequest{Type: "cart", Prefix: "a ", After: "a"}); err != nil || len(page.GetActors()) > 0 {
			t.Errorf("an empty store lists %v, error %v", page, err)
		}
		for what, test := range map[string]struct {
			req    *runtimev1.ListActorsRequest
			reason francisv1.Reason
		}{
			"no type":              {&runtimev1.ListActorsRequest{}, francisv1.Reason_REASON_MALFORMED},
			"a prefix of no id":    {&runtimev1.ListActorsRequest{Type: "cart", Prefix: "\n"}, francisv1.Reason_REASON_MALFORMED},
			"a prefix too long":    {&runtimev1.ListActorsRequest{Type: "cart", Prefix: strings.Repeat("x", name.MaxID+1)}, francisv1.Reason_REASON_MALFORMED},
			"after what is no id":  {&runtimev1.ListActorsRequest{Type: "cart", After: " a"}, francisv1.Reason_REASON_INVALID_ID},
			"more than a page has": {&runtimev1.ListActorsRequest{Type: "cart", Limit: 1_001}, francisv1.Reason_REASON_MALFORMED},
		} {
			t.Log(what)
			_, err := m.ListActors(t.Context(), test.req)
			expectError(t, err, connect.CodeInvalidArgument, test.reason)
		}
	})
}

// Who was declared dead is told so, and nothing else.
func TestTheDeadListNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		m := h.join("cart")
		if _, err := m.Leave(t.Context(), &runtimev1.LeaveRequest{}); err != nil {
			t.Fatal(err)
		}
		_, err := m.ListActors(t.Context(), &runtimev1.ListActorsRequest{Type: "cart"})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
		_, err = m.List(t.Context(), &runtimev1.ListRequest{Type: "cart"})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
	})
}
