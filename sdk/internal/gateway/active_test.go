package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/francis-actors/francis/sdk/internal/actor"
)

// The header Francis-Only-If-Active makes a call for an actor in memory alone.
func TestOnlyIfActiveHeader(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	add := func(id string, header map[string]string) request {
		return request{path: "/invoke/probe/" + id + "/add", body: `{"in": 7}`, header: header}
	}
	active := map[string]string{actor.ActiveHeader: "true"}
	for _, version := range []string{"h1", "h2c"} {
		if a := s.sendOver(version, add(version, active)); a.status != http.StatusBadRequest || !strings.Contains(a.body, "failed_precondition") || !strings.Contains(a.body, "is not in memory") {
			t.Errorf("a call for an actor that is not in memory: %d %s", a.status, a.body)
		}
		s.sendOver(version, add(version, map[string]string{actor.ActiveHeader: "false"})).wantBody(t, `{"sum":"7"}`)
		s.sendOver(version, add(version, active)).wantBody(t, `{"sum":"14"}`)
	}
	for name, header := range map[string]map[string]string{
		"it is true or false": {actor.ActiveHeader: "yes"},
		"leave one of them":   {actor.ActiveHeader: "true", "Francis-Deliver": "job"},
	} {
		if a := s.sendOver("h1", add("h1", header)); a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_argument") || !strings.Contains(a.body, name) {
			t.Errorf("%v: %d %s; want 400, invalid_argument: … %s", header, a.status, a.body, name)
		}
	}
}

// What every actor has beside the methods of its contract is not for clients.
func TestGatewayServesNoHalt(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for _, path := range []string{actor.HaltProcedure, "/invoke/probe/a/halt", "/invoke/probe/a/Halt"} {
		if a := s.sendOver("h1", request{path: path, body: "{}", header: map[string]string{idHeader: "a", "Content-Type": "application/json"}}); a.status < http.StatusBadRequest {
			t.Errorf("%s is served: %d %s", path, a.status, a.body)
		}
	}
}
