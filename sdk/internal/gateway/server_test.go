package gateway_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1connect"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// site is a gateway on the loopback network, to a host that serves probes, relays
// and counters.
type site struct {
	*testing.T
	host    *francistest.Host
	url     string
	clients map[string]*http.Client // by version of HTTP
}

func startSite(t *testing.T) site {
	t.Helper()
	return serveSite(t, newHost(t))
}

func serveSite(t *testing.T, host *francistest.Host) site {
	t.Helper()
	server := httptest.NewUnstartedServer(host.Gateway())
	server.Config.Protocols = protocols("h1", "h2c")
	server.Start()
	t.Cleanup(server.Close)
	s := site{T: t, host: host, url: server.URL, clients: map[string]*http.Client{}}
	for _, version := range []string{"h1", "h2c"} {
		transport := &http.Transport{Protocols: protocols(version)}
		t.Cleanup(transport.CloseIdleConnections)
		s.clients[version] = &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	return s
}

func newHost(t testing.TB) *francistest.Host {
	t.Helper()
	host := francistest.Start(t)
	probes := &behaviour.Probes{Service: host.Service()}
	for _, err := range []error{
		behaviourv1francis.RegisterProbeActor(host, probes.New),
		behaviourv1francis.RegisterRelayActor(host, behaviour.NewRelay),
		myactorv1francis.RegisterMyActor(host, newCounter),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return host
}

func protocols(versions ...string) *http.Protocols {
	p := new(http.Protocols)
	for _, version := range versions {
		switch version {
		case "h1":
			p.SetHTTP1(true)
		case "h2c":
			p.SetUnencryptedHTTP2(true)
		}
	}
	return p
}

// counter is the actor of the walkthrough.
type counter struct {
	myactorv1francis.UnimplementedMyActor
}

func newCounter(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return counter{}, nil
}

func (counter) Increment(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	turn.State().Counter += req.GetIn()
	return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
}

func (counter) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	return &myactorv1.GetResponse{Out: proto.Int32(view.State().GetCounter())}, nil
}

// probes returns Connect's generated client of the probes.
func (s site) probes(version string, opts ...connecthttp.Option) behaviourv1connect.ProbeActorClient {
	return behaviourv1connect.NewProbeActorClient(connect.NewClient(connecthttp.NewTransport(s.clients[version], s.url, opts...)))
}

func (s site) relays(version string, opts ...connecthttp.Option) behaviourv1connect.RelayActorClient {
	return behaviourv1connect.NewRelayActorClient(connect.NewClient(connecthttp.NewTransport(s.clients[version], s.url, opts...)))
}

// toActor is the context of a call by Connect's client to the actor with an id.
func (s site) toActor(escapedID string) context.Context {
	ctx, info := connect.NewClientContext(s.Context())
	info.RequestHeader().Set("Francis-Actor-Id", escapedID)
	return ctx
}

// wantSum checks what a probe remembers.
func (s site) wantSum(id string, want int64) {
	s.Helper()
	res, err := behaviourv1francis.NewProbeActorProxy(s.host.Service(), id).Read(s.Context(), &behaviourv1.ReadRequest{})
	if err != nil || res.GetSum() != want {
		s.Errorf("the probe %q has sum %d (%v), want %d", id, res.GetSum(), err, want)
	}
}

// request is what a person sends.
type request struct {
	method string // POST by default
	path   string
	header map[string]string
	body   string
}

// answer is what comes back.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
}

// send sends a request over HTTP/1.1.
func (s site) send(r request) answer {
	s.Helper()
	return s.sendOver("h1", r)
}

func (s site) sendOver(version string, r request) answer {
	s.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(s.Context(), r.method, s.url+r.path, strings.NewReader(r.body))
	if err != nil {
		s.Fatal(err)
	}
	for key, value := range r.header {
		req.Header.Set(key, value)
	}
	return s.doOver(version, req)
}

func (s site) do(req *http.Request) answer {
	s.Helper()
	return s.doOver("h1", req)
}

func (s site) doOver(version string, req *http.Request) answer {
	s.Helper()
	res, err := s.clients[version].Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.Trailer, string(body)}
}

// grpcStatus is the status of an answer in gRPC or gRPC-Web, wherever it stands.
func (a answer) grpcStatus() string {
	_, inBody, _ := strings.Cut(a.body, "grpc-status: ")
	inBody, _, _ = strings.Cut(inBody, "\r\n")
	return cmp.Or(a.header.Get("Grpc-Status"), a.trailer.Get("Grpc-Status"), inBody)
}

// refusal is the JSON that Connect makes of an error.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"details"`
}

// refusal decodes an answer that is an error, and its detail.
func (a answer) refusal(t testing.TB) (refusal, *francisv1.ErrorDetail) {
	t.Helper()
	var r refusal
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatalf("status %d with the body %q, want an error as JSON: %v", a.status, a.body, err)
	}
	for _, d := range r.Details {
		if d.Type != "francis.v1.ErrorDetail" {
			continue
		}
		data, err := base64.RawStdEncoding.DecodeString(d.Value)
		if err != nil {
			t.Fatal(err)
		}
		detail := &francisv1.ErrorDetail{}
		if err := proto.Unmarshal(data, detail); err != nil {
			t.Fatal(err)
		}
		return r, detail
	}
	return r, nil
}

// wantBody checks a success.
func (a answer) wantBody(t testing.TB, want string) {
	t.Helper()
	if a.status != http.StatusOK || a.body != want {
		t.Errorf("status %d, body %q; want 200, %q", a.status, a.body, want)
	}
}

// wantRefusal checks an error: its code, its reason and a part of its text. Nothing
// has happened in any of them.
func (a answer) wantRefusal(t testing.TB, code connect.Code, reason francisv1.Reason, text string) {
	t.Helper()
	r, detail := a.refusal(t)
	if r.Code != code.String() || !strings.Contains(r.Message, text) {
		t.Errorf("error %s: %s\nwant  %s: …%s…", r.Code, r.Message, code, text)
	}
	if detail.GetReason() != reason || detail.GetOutcome() != sdk.OutcomeNothingHappened {
		t.Errorf("detail %v, want %v and that nothing happened", detail, reason)
	}
}
