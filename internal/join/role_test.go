package join

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pki"
)

// asClient is the request of a client.
func (c *cluster) asClient() Request {
	req := c.request()
	req.Role, req.Address, req.Types = pki.RoleClient, "", nil
	return req
}

func TestJoinAsClient(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	var got Applicant
	c.admit = func(a Applicant) error { got = a; return nil }
	member, err := Join(c.ctx(), c.asClient())
	if err != nil {
		t.Fatal(err)
	}
	own := pki.Identity{Cluster: "prod", Role: pki.RoleClient, ID: member.ID}
	if member.Holder.Certificate().Identity() != own || member.Lease != 5*time.Second || member.Version < clientsSince {
		t.Errorf("%+v", member)
	}
	if got.Role != pki.RoleClient || got.Address != "" || len(got.Types) != 0 {
		t.Errorf("applicant %+v", got)
	}
	if seen := c.greeted(member.Holder); seen != own.String() {
		t.Errorf("the members' server sees %q", seen)
	}
	if c.log.count("role=client id="+member.ID) != 1 {
		t.Errorf("log:\n%s", c.log)
	}
}

// A runtime that does not know clients yet says that it is too old; it does not take one
// for a worker. Breaks without clientsSince.
func TestAnOlderRuntimeRefusesAClient(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.server.spoken = versions{1, clientsSince - 1}
	_, err := Join(c.ctx(), c.asClient())
	if codeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "speaks versions 1 to 1") || !strings.Contains(err.Error(), "upgrade the older one") {
		t.Errorf("error %v", err)
	}
	if c.issued.Load() != 0 {
		t.Errorf("%d certificates", c.issued.Load())
	}
	if member, err := Join(c.ctx(), c.request()); err != nil || member.Version != 1 {
		t.Errorf("a worker: %+v, %v", member, err)
	}
}

// What a role may not say of itself is refused after the proof.
func TestRolesAreChecked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hello *runtimev1.JoinHello
		want  string
	}{
		"a client":                    {&runtimev1.JoinHello{Role: runtimev1.JoinRole_JOIN_ROLE_CLIENT}, ""},
		"a client with an address":    {&runtimev1.JoinHello{Role: runtimev1.JoinRole_JOIN_ROLE_CLIENT, Address: "a:1"}, "a client has no address"},
		"a client with a type":        {&runtimev1.JoinHello{Role: runtimev1.JoinRole_JOIN_ROLE_CLIENT, Types: []string{"cart"}}, "a client has no address"},
		"a worker":                    {&runtimev1.JoinHello{Role: runtimev1.JoinRole_JOIN_ROLE_WORKER, Address: "a:1"}, ""},
		"a worker of version 1":       {&runtimev1.JoinHello{Address: "a:1"}, ""},
		"a worker without an address": {&runtimev1.JoinHello{Role: runtimev1.JoinRole_JOIN_ROLE_WORKER}, "is not host:port"},
		"something else":              {&runtimev1.JoinHello{Role: 3, Address: "a:1"}, "the role 3"},
	} {
		_, err := applicant(test.hello, spoken.newest, "")
		checkRefusal(t, err, test.want)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}
