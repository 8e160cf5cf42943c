package remote_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/francis-actors/francis/internal/pki"
)

// roles are who may come to a port, in the order of the cells below.
var roles = []string{"worker", "runtime", "client", "none", "stranger", "expired"}

// What becomes of an empty request, beside the codes of Connect.
const (
	served    = "ok"
	shut      = "no connection" // TLS refuses the certificate, or that there is none
	absent    = "404"           // the port serves no such thing to its members
	argument  = "invalid_argument"
	stranger  = "unauthenticated"
	forbidden = "permission_denied"
	missing   = "unimplemented" // the contract has it, and the runtime not yet
)

// cells are one RPC: what each role meets on the cluster port and on a worker's.
type cells struct {
	cluster, peer [6]string
}

// An RPC for workers on the cluster port; its answer to an empty request.
func forWorkers(answer string) cells {
	return cells{
		cluster: [6]string{answer, shut, forbidden, stranger, shut, shut},
		peer:    [6]string{absent, absent, absent, shut, shut, shut},
	}
}

// An RPC for workers and clients on the cluster port.
func forCallers(answer string) cells {
	cells := forWorkers(answer)
	cells.cluster[2] = answer
	return cells
}

// An RPC for workers and clients on a worker's port.
func forPeers(answer string) cells {
	return cells{
		cluster: [6]string{absent, shut, absent, stranger, shut, shut},
		peer:    [6]string{answer, forbidden, answer, shut, shut, shut},
	}
}

// An RPC for those who have no certificate yet.
func forJoiners(answer string) cells {
	return cells{
		cluster: [6]string{absent, shut, absent, answer, shut, shut},
		peer:    [6]string{absent, absent, absent, shut, shut, shut},
	}
}

// policy says who may call what (default: nobody). An argument that is invalid was
// looked at, so the caller was let in.
var policy = map[string]cells{
	"francis.runtime.v1.WorkerService/Announce":   forWorkers(argument),
	"francis.runtime.v1.WorkerService/Renew":      forWorkers(served),
	"francis.runtime.v1.WorkerService/Watch":      forCallers(served),
	"francis.runtime.v1.WorkerService/Release":    forWorkers(served),
	"francis.runtime.v1.WorkerService/Leave":      forWorkers(served),
	"francis.runtime.v1.WorkerService/Load":       forWorkers(served),
	"francis.runtime.v1.WorkerService/Commit":     forWorkers(served),
	"francis.runtime.v1.WorkerService/Certify":    forWorkers(argument),
	"francis.runtime.v1.WorkerService/Change":     forCallers(served),
	"francis.runtime.v1.WorkerService/List":       forCallers(argument),
	"francis.runtime.v1.WorkerService/ListActors": forCallers(argument),
	"francis.runtime.v1.WorkerService/Receive":    forWorkers(argument),
	"francis.runtime.v1.WorkerService/Settle":     forWorkers(served),
	"francis.runtime.v1.LinkService/Link":         forWorkers(served),
	"francis.runtime.v1.JoinService/Begin":        forJoiners(argument),
	"francis.runtime.v1.JoinService/Prove":        forJoiners(stranger),
	"francis.peer.v1.PeerService/Link":            forPeers(served),
	"francis.peer.v1.PeerService/Invoke":          forPeers(argument),
}

// procedures are all RPCs of our contracts that are linked into this test.
func procedures() []string {
	var found []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "francis.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				found = append(found, string(methods.Get(j).Parent().FullName())+"/"+string(methods.Get(j).Name()))
			}
		}
		return true
	})
	return found
}

// T22: every RPC, on both ports, for every role. An RPC without a row fails.
func TestEveryRPCForEveryRole(t *testing.T) {
	t.Parallel()
	if want, got := slices.Sorted(maps.Keys(policy)), slices.Sorted(slices.Values(procedures())); !slices.Equal(want, got) {
		t.Fatalf("the policy has rows for %v\nand the contracts have %v", want, got)
	}
	c := startCluster(t)
	strangers := (&cluster{t: t, cfg: newConfig(t, runtimePSK+" of another cluster")}).authority()
	for procedure, cells := range policy {
		for i, role := range roles {
			who := c.inRole(role, strangers)
			if got := c.post(c.address(), who, procedure); got != cells.cluster[i] {
				t.Errorf("%s calls %s on the cluster port: %s, want %s", role, procedure, got, cells.cluster[i])
			}
			if got := c.post(c.honest.GetAddress(), who, procedure); got != cells.peer[i] {
				t.Errorf("%s calls %s on a worker's port: %s, want %s", role, procedure, got, cells.peer[i])
			}
		}
	}
	c.increment("a", 1, 1)
}

// inRole is what somebody in a role shows; nil for nothing. A worker has joined
// freshly: the last request may have ended its membership.
func (c *cluster) inRole(role string, strangers *pki.Authority) *pki.Certificate {
	c.t.Helper()
	switch role {
	case "worker":
		return c.newRogue().holder.Certificate()
	case "runtime":
		certificate, err := c.authority().IssueRuntime(pki.NewID(), time.Now())
		if err != nil {
			c.t.Fatal(err)
		}
		return certificate
	case "client":
		return c.issue(c.authority(), pki.RoleClient, time.Now())
	case "stranger":
		return c.issue(strangers, pki.RoleWorker, time.Now())
	case "expired":
		return c.issue(c.authority(), pki.RoleWorker, time.Now().Add(-2*pki.WorkerTTL))
	}
	return nil
}

func (c *cluster) issue(authority *pki.Authority, role pki.Role, now time.Time) *pki.Certificate {
	c.t.Helper()
	request, err := pki.NewRequest()
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := authority.Issue(pki.Order{Identity: pki.Identity{Role: role, ID: pki.NewID()}, CSR: request.CSR()}, now)
	if err != nil {
		c.t.Fatal(err)
	}
	certificate, err := request.Certificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return certificate
}

// post sends an empty request and says what became of it.
func (c *cluster) post(address string, who *pki.Certificate, procedure string) string {
	c.t.Helper()
	config := pki.UnsafeNoPin().DialRuntime()
	if who != nil {
		config = pki.NewHolder(who, c.authority().Bundle()).DialRuntime()
	}
	config.VerifyConnection = nil // the caller is under test, not whom it calls
	client := c.http2Client(config)
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(c.ctx(), http.MethodPost, "https://"+address+"/"+procedure, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/proto")
	if strings.HasSuffix(procedure, "/Link") { // a stream
		req.Header.Set("Content-Type", "application/connect+proto")
	}
	res, err := client.Do(req)
	if err != nil {
		return shut
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusOK && res.Header.Get("Content-Type") == "application/connect+proto" {
		return streamed(body)
	}
	return outcome(res.StatusCode, body)
}

// streamed is the code at the end of a stream: the last of its envelopes, each of which
// has five bytes before it.
func streamed(body []byte) string {
	const head = 5
	for len(body) >= head {
		size := binary.BigEndian.Uint32(body[1:head])
		last, rest := body[head:head+int(size)], body[head+int(size):]
		if len(rest) > 0 {
			body = rest
			continue
		}
		var end struct {
			Error struct {
				Code string `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(last, &end); err != nil {
			return "an end that is no JSON: " + string(last)
		}
		if end.Error.Code == "" {
			return served
		}
		return end.Error.Code
	}
	return "a stream without an end"
}

// outcome is the code of an answer in the protocol of Connect.
func outcome(status int, body []byte) string {
	switch status {
	case http.StatusOK:
		return served
	case http.StatusNotFound:
		return absent
	}
	var failure struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(body, &failure); err != nil {
		return http.StatusText(status) + " " + string(body)
	}
	return failure.Code
}
