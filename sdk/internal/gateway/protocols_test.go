package gateway_test

import (
	"context"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// protocol is a way in which Connect's generated client speaks.
type protocol struct {
	version string
	opts    []connecthttp.Option
}

func allProtocols() map[string]protocol {
	all := map[string]protocol{
		// gRPC needs the trailers of HTTP/2.
		"h2c gRPC":            {"h2c", []connecthttp.Option{connecthttp.WithGRPC()}},
		"h2c gRPC JSON":       {"h2c", []connecthttp.Option{connecthttp.WithGRPC(), connecthttp.WithProtoJSON()}},
		"h2c gRPC compressed": {"h2c", []connecthttp.Option{connecthttp.WithGRPC(), connecthttp.WithSendGzip()}},
	}
	for _, version := range []string{"h1", "h2c"} {
		for name, opts := range map[string][]connecthttp.Option{
			"Connect":            nil,
			"Connect JSON":       {connecthttp.WithProtoJSON()},
			"Connect compressed": {connecthttp.WithSendGzip()},
			"Connect GET":        {connecthttp.WithHTTPGet()},
			"gRPC-Web":           {connecthttp.WithGRPCWeb()},
			"gRPC-Web JSON":      {connecthttp.WithGRPCWeb(), connecthttp.WithProtoJSON()},
		} {
			all[version+" "+name] = protocol{version, opts}
		}
	}
	return all
}

// Every protocol reaches the actor, and brings back what every caller reads of an
// error.
func TestProtocols(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for name, p := range allProtocols() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site{t, s.host, s.url, s.clients}
			client := s.probes(p.version, p.opts...)
			id := strings.ReplaceAll(name, " ", "%20") + "%2F%E6%97%A5"
			for want := int64(1); want <= 2; want++ {
				res, err := client.Add(s.toActor(id), &behaviourv1.AddRequest{In: 1})
				if err != nil || res.GetSum() != want {
					t.Errorf("sum %d (%v), want %d", res.GetSum(), err, want)
				}
			}
			read, err := client.Read(s.toActor(id), &behaviourv1.ReadRequest{})
			if err != nil || read.GetSum() != 2 {
				t.Errorf("read %d (%v), want 2", read.GetSum(), err)
			}
			s.wantSum(name+"/日", 2)
			wantErrors(s, p, id)
			s.wantSum(name+"/日", 2)
		})
	}
}

func wantErrors(s site, p protocol, id string) {
	s.Helper()
	const (
		failed    = francisv1.Reason_REASON_METHOD_FAILED
		invalidID = francisv1.Reason_REASON_INVALID_ID
	)
	probe := s.probes(p.version, p.opts...)
	play := func(script *behaviourv1.Script) error {
		_, err := probe.Add(s.toActor(id), &behaviourv1.AddRequest{In: 1, Script: script})
		return err
	}
	wantError(s.T, play(&behaviourv1.Script{FailCode: int32(connect.CodeOutOfRange)}), connect.CodeOutOfRange, failed, "as told")
	wantError(s.T, play(&behaviourv1.Script{Panic: "secret"}), connect.CodeInternal, francisv1.Reason_REASON_PANICKED, "panicked")
	plain := play(&behaviourv1.Script{Fail: "secret"})
	wantError(s.T, plain, connect.CodeUnknown, failed, "the actor failed; the worker's log has the cause under call ")
	if fault.Detail(plain).GetCallId() == "" {
		s.Error("a plain error does not say under which call it was logged")
	}
	cycle := play(&behaviourv1.Script{Call: []string{"next " + s.Name(), "next " + s.Name()}})
	wantError(s.T, cycle, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, "→ probe/next")
	if got := len(fault.Detail(cycle).GetPath()); got != 3 {
		s.Errorf("the path has %d actors, want 3", got)
	}

	_, err := probe.Add(s.Context(), &behaviourv1.AddRequest{})
	wantError(s.T, err, connect.CodeInvalidArgument, invalidID, "the call names no actor; set the header Francis-Actor-Id")
	_, err = probe.Add(s.toActor("%zz"), &behaviourv1.AddRequest{})
	wantError(s.T, err, connect.CodeInvalidArgument, invalidID, "not percent-encoded")
	_, err = probe.Add(s.toActor("%ff"), &behaviourv1.AddRequest{})
	wantError(s.T, err, connect.CodeInvalidArgument, invalidID, "not valid UTF-8")
	_, err = probe.Hidden(s.toActor(id), &behaviourv1.HiddenRequest{})
	wantError(s.T, err, connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD, `actor type "probe" has no method "Hidden"`)

	relay := s.relays(p.version, p.opts...)
	_, err = relay.Send(s.Context(), &behaviourv1.SendRequest{Probe: "p"})
	wantError(s.T, err, connect.CodeInvalidArgument, invalidID, "set the header Francis-Actor-Id or the field relay of the request")
	_, err = relay.Send(s.toActor("r2"), &behaviourv1.SendRequest{Relay: "r1", Probe: "p"})
	wantError(s.T, err, connect.CodeInvalidArgument, invalidID, `the call is for the actor "r2", but the field relay of its request says "r1"`)
	for _, ctx := range []context.Context{s.Context(), s.toActor("r1")} {
		res, err := relay.Send(ctx, &behaviourv1.SendRequest{Relay: "r1", Probe: "relayed"})
		if err != nil || res.GetRelay() != "r1" {
			s.Errorf("relay %q (%v), want r1", res.GetRelay(), err)
		}
	}
	number, err := relay.Number(s.Context(), &behaviourv1.NumberRequest{Number: proto.Uint64(0)})
	if err != nil || number.GetNumber() != 0 {
		s.Errorf("number %v (%v), want 0: a zero that is set names an actor", number, err)
	}
}

// wantError checks an error that Connect's client received. Nothing has happened in
// any of them.
func wantError(t *testing.T, err error, code connect.Code, reason francisv1.Reason, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("the call succeeded, want %v", code)
	}
	if connect.CodeOf(err) != code || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v\nwant  %v: …%s…, without secrets", err, code, text)
	}
	if detail := fault.Detail(err); detail.GetReason() != reason || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
		t.Errorf("detail %v, want %v and that nothing happened", detail, reason)
	}
}

// What reaches no method is answered in the protocol that asked.
func TestNoSuchMethod(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for name, p := range allProtocols() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connect.NewClient(connecthttp.NewTransport(s.clients[p.version], s.url, p.opts...))
			call := func(procedure string) error {
				spec := connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: procedure, IdempotencyLevel: connect.IdempotencyNoSideEffects}
				return client.CallUnary(t.Context(), spec, &behaviourv1.ReadRequest{}, &behaviourv1.ReadResponse{})
			}
			for procedure, text := range map[string]string{
				"/behaviour.v1.ProbeActor/Red":   `actor type "probe" has no method "Red"; check the spelling`,
				"/behaviour.v1.ProbeActor/read":  `actor type "probe" has no method "read"`,
				"/behaviour.v1.ProbActor/Read":   "there is no endpoint",
				"/probe/Read":                    "there is no endpoint",
				"/prefix/behaviour.v1.P/Read":    "there is no endpoint",
				"/behaviour.v1.ProbeActor/%ffoo": "",
			} {
				wantError(t, call(procedure), connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD, text)
			}
		})
	}
}

// Connect and JSON, as any HTTP client sends them.
func TestConnectByHand(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	const add = "/behaviour.v1.ProbeActor/Add"
	json := map[string]string{"Content-Type": "application/json", idHeader: "a"}
	s.send(request{path: add, header: json, body: `{"in":1}`}).wantBody(t, `{"sum":"1"}`)
	s.send(request{path: add, header: json, body: `{"in":1,"fieldOfANewerContract":true}`}).wantBody(t, `{"sum":"2"}`)
	s.send(request{path: add, header: json, body: `{"in":`}).wantRefusal(t, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED, "the request is no behaviour.v1.AddRequest")
	s.send(request{path: add, header: map[string]string{"Content-Type": "application/json"}, body: `{"in":1}`}).
		wantRefusal(t, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, "the call names no actor; set the header Francis-Actor-Id")
	for method, want := range map[string]int{
		http.MethodGet: http.StatusMethodNotAllowed, http.MethodPut: http.StatusMethodNotAllowed,
		http.MethodDelete: http.StatusMethodNotAllowed, http.MethodHead: http.StatusMethodNotAllowed,
	} {
		a := s.send(request{method: method, path: add, header: json})
		if a.status != want || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: status %d, allowed %q; want %d, POST", method, a.status, a.header.Get("Allow"), want)
		}
	}
	for _, contentType := range []string{"", form, "text/plain", "application/connect+json", "application/xml"} {
		a := s.send(request{path: add, header: map[string]string{"Content-Type": contentType, idHeader: "a"}, body: `{"in":1}`})
		if a.status != http.StatusUnsupportedMediaType {
			t.Errorf("content type %q: status %d, want 415", contentType, a.status)
		}
	}
	s.wantSum("a", 2)
}

// Two lines of the header are two names for an actor: they must agree, too.
func TestTwoHeaders(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	send := func(ids ...string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/behaviour.v1.ProbeActor/Add", strings.NewReader(`{"in":1}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, idHeader: ids}
		return s.do(req)
	}
	send("a", "a").wantBody(t, `{"sum":"1"}`)
	for _, ids := range [][]string{{"a", "b"}, {"b", "a"}, {"a", "a", "b"}, {"", "a"}} {
		send(ids...).wantRefusal(t, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, "Francis-Actor-Id")
	}
	s.wantSum("a", 1)
	s.wantSum("b", 0)
}

func TestGet(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	get := func(message string, header map[string]string) answer {
		query := url.Values{"connect": {"v1"}, "encoding": {"json"}, "message": {message}}
		return s.send(request{method: http.MethodGet, path: "/behaviour.v1.ProbeActor/Read?" + query.Encode(), header: header})
	}
	id := map[string]string{idHeader: "a"}
	answers := map[string]answer{
		"a success":            get("{}", id),
		"a large one":          get(`{"script":{"returnState":true}}`, map[string]string{idHeader: "large", "Accept-Encoding": "gzip"}),
		"the method's error":   get(`{"script":{"failCode":5}}`, id),
		"an id that is odd":    get("{}", map[string]string{idHeader: "%20"}),
		"no id":                get("{}", nil),
		"a malformed request":  get("{", id),
		"an unknown parameter": get(`{"nope":1}`, id),
	}
	for name, a := range answers {
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q, want no-store", name, got)
		}
		if got := strings.Join(a.header.Values("Vary"), ", "); !strings.Contains(got, idHeader) {
			t.Errorf("%s: Vary %q, want %s", name, got, idHeader)
		}
	}
	answers["a success"].wantBody(t, `{"constructed":1}`)
	answers["the method's error"].wantRefusal(t, connect.CodeNotFound, francisv1.Reason_REASON_METHOD_FAILED, "as told")
	if a := s.send(request{path: "/behaviour.v1.ProbeActor/Read", body: "{}", header: map[string]string{idHeader: "a", "Content-Type": "application/json"}}); a.header.Get("Cache-Control") != "" {
		t.Error("the answer to a POST speaks of caching")
	}
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	ask := func(ballast string) answer {
		return s.send(request{
			path: "/invoke/probe/a/add", body: `{"script":{"returnState":true,"ballast":` + ballast + `}}`,
			header: map[string]string{"Accept-Encoding": "gzip"},
		})
	}
	if got := ask("10").header.Get("Content-Encoding"); got != "" {
		t.Errorf("a small answer is encoded as %q", got)
	}
	if a := ask("100000"); a.header.Get("Content-Encoding") != "gzip" || len(a.body) > 10_000 {
		t.Errorf("100 kB of zeros travel as %q in %d bytes", a.header.Get("Content-Encoding"), len(a.body))
	}
}

// watch is a probe that answers with the time that its method has, in milliseconds.
type watch struct {
	behaviourv1francis.UnimplementedProbeActor
}

func newWatch(context.Context, *behaviourv1francis.ProbeActorActivation) (behaviourv1francis.ProbeActor, error) {
	return watch{}, nil
}

func (watch) Add(ctx context.Context, _ behaviourv1francis.ProbeActorTurn, _ *behaviourv1.AddRequest) (*behaviourv1.AddResponse, error) {
	at, ok := ctx.Deadline()
	if !ok {
		return nil, connect.NewError(connect.CodeInternal, "the method has no deadline")
	}
	return &behaviourv1.AddResponse{Sum: time.Until(at).Milliseconds()}, nil
}

func (w watch) Impatient(ctx context.Context, turn behaviourv1francis.ProbeActorTurn, _ *behaviourv1.ImpatientRequest) (*behaviourv1.ImpatientResponse, error) {
	res, err := w.Add(ctx, turn, nil)
	return &behaviourv1.ImpatientResponse{Left: durationpb.New(time.Duration(res.GetSum()) * time.Millisecond)}, err
}

func TestDeadlinesReachTheMethod(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	if err := behaviourv1francis.RegisterProbeActor(host, newWatch); err != nil {
		t.Fatal(err)
	}
	s := serveSite(t, host)
	for name, p := range allProtocols() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site{t, s.host, s.url, s.clients}
			client := s.probes(p.version, p.opts...)
			for _, want := range []time.Duration{0, 10 * time.Second, time.Hour} {
				ctx := s.toActor("a")
				cancel := func() {}
				if want > 0 {
					ctx, cancel = context.WithTimeout(ctx, want)
				}
				res, err := client.Add(ctx, &behaviourv1.AddRequest{})
				impatient, impatientErr := client.Impatient(ctx, &behaviourv1.ImpatientRequest{})
				cancel()
				if err != nil || impatientErr != nil {
					t.Fatal(err, impatientErr)
				}
				wantAbout(t, time.Duration(res.GetSum())*time.Millisecond, orDefault(want, limit.CallTimeout))
				wantAbout(t, impatient.GetLeft().AsDuration(), orDefault(want, 2*time.Second)) // of the contract
			}
		})
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// wantAbout allows for the way that a call has come.
func wantAbout(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got > want || got < want/10 {
		t.Errorf("the method had %v, want about %v", got, want)
	}
}

func TestDeadlineEndsTheCall(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for _, path := range []string{"/invoke/probe/a/add", "/behaviour.v1.ProbeActor/Add"} {
		a := s.send(request{
			path: path, body: `{"script":{"sleep":"3600s"}}`,
			header: map[string]string{"Content-Type": "application/json", "Connect-Timeout-Ms": "50", idHeader: "a"},
		})
		r, detail := a.refusal(t)
		if r.Code != "deadline_exceeded" || detail.GetReason() != francisv1.Reason_REASON_DEADLINE || detail.GetOutcome() != sdk.OutcomeUnknown {
			t.Errorf("%s: error %s (%v), want deadline_exceeded, and that the outcome is unknown", path, r.Code, detail)
		}
	}
}

// envelope is a message as gRPC frames it.
func envelope(flags byte, size uint32, data string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, size)) + data
}

func TestMalformedEnvelopes(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	whole := envelope(0, 2, "\x08\x01")
	for name, body := range map[string]string{
		"nothing":                       "",
		"a prefix cut off":              whole[:3],
		"a message cut off":             whole[:6],
		"a size that is not there":      envelope(0, 1000, "\x08\x01"),
		"broken protobuf":               envelope(0, 2, "\xff\xff"),
		"gzip that is none":             envelope(1, 2, "\x08\x01"),
		"a flag that is none":           envelope(0x40, 2, "\x08\x01"),
		"the end of a stream":           envelope(2, 2, "{}"),
		"the trailers of an answer":     envelope(0x80, 2, "\x08\x01"),
		"a message larger than allowed": envelope(0, limit.MaxMessage+1, strings.Repeat("x", limit.MaxMessage+1)),
		"a size of 4 GiB":               envelope(0, 1<<32-1, "\x08\x01"),
		"JSON":                          "{}",
		"form":                          "in=1",
		"two messages":                  whole + whole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site{t, s.host, s.url, s.clients}
			for contentType, version := range map[string]string{"application/grpc+proto": "h2c", "application/grpc": "h2c", "application/grpc-web+proto": "h1"} {
				a := s.sendOver(version, request{
					path: "/behaviour.v1.ProbeActor/Add", body: body,
					header: map[string]string{"Content-Type": contentType, idHeader: "a", "Grpc-Encoding": "gzip", "Te": "trailers"},
				})
				if status := a.grpcStatus(); a.status != http.StatusOK || status == "" || status == "0" {
					t.Errorf("%s: HTTP status %d, gRPC status %q, body %q; want a gRPC error", contentType, a.status, status, a.body)
				}
			}
			s.wantSum("a", 0)
		})
	}
}
