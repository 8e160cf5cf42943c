package sdk_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// remote is a host whose gateway is on the loopback network.
type remote struct {
	*testing.T
	host   *francistest.Host
	probes *behaviour.Probes
	url    string
	client *http.Client
	// received counts the requests that reached the server.
	received *atomic.Int32
}

func startRemote(t *testing.T) remote {
	t.Helper()
	r := remote{T: t, host: francistest.Start(t), received: new(atomic.Int32)}
	r.probes = &behaviour.Probes{Service: r.host.Service()}
	if err := behaviourv1francis.RegisterProbeActor(r.host, r.probes.New); err != nil {
		t.Fatal(err)
	}
	if err := behaviourv1francis.RegisterRelayActor(r.host, behaviour.NewRelay); err != nil {
		t.Fatal(err)
	}
	gateway := r.host.Gateway()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.received.Add(1)
		gateway.ServeHTTP(w, req)
	}))
	both, h2c := new(http.Protocols), new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	h2c.SetUnencryptedHTTP2(true)
	server.Config.Protocols = both
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{Protocols: h2c}
	t.Cleanup(transport.CloseIdleConnections)
	r.url, r.client = server.URL, &http.Client{Transport: transport}
	return r
}

func (r remote) probe(id string, opts ...connecthttp.Option) behaviourv1francis.ProbeActorProxy {
	return behaviourv1francis.NewProbeActorProxy(sdk.Gateway(r.client, r.url, opts...), id)
}

func wantError(t *testing.T, err error, code connect.Code, reason francisv1.Reason, outcome sdk.Outcome) {
	t.Helper()
	if err == nil || connect.CodeOf(err) != code || fault.Detail(err).GetReason() != reason || sdk.OutcomeOf(err) != outcome {
		t.Errorf("error %v (%v)\nwant  %v, %v, %v", err, fault.Detail(err), code, reason, outcome)
	}
}

// The same proxy works through a gateway, whatever protocol it speaks: replies,
// ids, and what every caller reads of an error.
func TestGateway(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	for name, opts := range map[string][]connecthttp.Option{
		"Connect":  nil,
		"JSON":     {connecthttp.WithProtoJSON()},
		"GET":      {connecthttp.WithHTTPGet()},
		"gRPC":     {connecthttp.WithGRPC()},
		"gRPC-Web": {connecthttp.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := name + "/日本 x"
			proxy := r.probe(id, opts...)
			for want := int64(1); want <= 2; want++ {
				res, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1})
				if err != nil || res.GetSum() != want {
					t.Errorf("sum %d (%v), want %d", res.GetSum(), err, want)
				}
			}
			if _, err := proxy.Add(t.Context(), nil); err != nil {
				t.Errorf("a request that is nil: %v", err)
			}
			read, err := proxy.Read(t.Context(), &behaviourv1.ReadRequest{})
			if err != nil || read.GetSum() != 2 {
				t.Errorf("read %d (%v), want 2", read.GetSum(), err)
			}
			wantRemoteErrors(t, proxy)
			relay := behaviourv1francis.NewRelayActorProxy(sdk.Gateway(r.client, r.url+"/", opts...), "r")
			if res, err := relay.Send(t.Context(), &behaviourv1.SendRequest{Probe: "p"}); err != nil || res.GetRelay() != "r" {
				t.Errorf("relay %q (%v), want r", res.GetRelay(), err)
			}
		})
	}
}

func wantRemoteErrors(t *testing.T, proxy behaviourv1francis.ProbeActorProxy) {
	t.Helper()
	play := func(script *behaviourv1.Script) error {
		_, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1, Script: script})
		return err
	}
	told := play(&behaviourv1.Script{FailCode: int32(connect.CodeOutOfRange)})
	wantError(t, told, connect.CodeOutOfRange, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	if want := "out_of_range: as told"; told.Error() != want {
		t.Errorf("error %q, want %q", told, want)
	}
	cycle := play(&behaviourv1.Script{Call: []string{"b", "b"}})
	wantError(t, cycle, connect.CodeFailedPrecondition, francisv1.Reason_REASON_CYCLE, sdk.OutcomeNothingHappened)
	if path := fault.Detail(cycle).GetPath(); len(path) != 3 || !slices.Equal(path[1:], []string{"probe/b", "probe/b"}) {
		t.Errorf("path %q", path)
	}
	plain := play(&behaviourv1.Script{Fail: "secret"})
	wantError(t, plain, connect.CodeUnknown, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	if strings.Contains(plain.Error(), "secret") || fault.Detail(plain).GetCallId() == "" {
		t.Errorf("error %v (%v), want a call id and no secret", plain, fault.Detail(plain))
	}
}

// Advice to try again survives the way.
func TestGatewayKeepsAdvice(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	proxy := r.probe("a")
	done := make(chan error, 9)
	add := func(script *behaviourv1.Script) {
		_, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{Script: script})
		done <- err
	}
	go add(&behaviourv1.Script{Wait: "gate"})
	r.probes.Arrived("gate")
	var full error
	for range 9 { // eight may wait
		go add(nil)
	}
	full = <-done
	wantError(t, full, connect.CodeResourceExhausted, francisv1.Reason_REASON_QUEUE_FULL, sdk.OutcomeNothingHappened)
	if !sdk.Retryable(full) || sdk.RetryAfter(full) <= 0 {
		t.Errorf("retryable %v after %v; want advice", sdk.Retryable(full), sdk.RetryAfter(full))
	}
	r.probes.Open("gate")
	for range 9 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestGatewayTimeouts(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	sleep := &behaviourv1.AddRequest{Script: &behaviourv1.Script{Sleep: durationpb.New(time.Hour)}}
	t.Run("of the call", func(t *testing.T) {
		_, err := r.probe("a").Add(t.Context(), sleep, sdk.WithTimeout(50*time.Millisecond))
		if connect.CodeOf(err) != connect.CodeDeadlineExceeded || sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
			t.Errorf("error %v, want deadline_exceeded, outcome unknown", err)
		}
	})
	t.Run("of the context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := r.probe("b").Add(ctx, sleep, sdk.WithTimeout(time.Hour))
		if connect.CodeOf(err) != connect.CodeDeadlineExceeded || sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
			t.Errorf("error %v, want deadline_exceeded, outcome unknown", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := r.probe("c").Add(ctx, &behaviourv1.AddRequest{Script: &behaviourv1.Script{Wait: "cancelled"}})
			done <- err
		}()
		r.probes.Arrived("cancelled")
		cancel()
		if err := <-done; connect.CodeOf(err) != connect.CodeCanceled || sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
			t.Errorf("error %v, want canceled, outcome unknown", err)
		}
		r.probes.Open("cancelled")
	})
	t.Run("the method sees it", func(t *testing.T) {
		for want, opts := range map[time.Duration][]sdk.CallOption{
			2 * time.Second: nil, // of the contract
			time.Hour:       {sdk.WithTimeout(time.Hour)},
		} {
			res, err := r.probe("d").Impatient(t.Context(), &behaviourv1.ImpatientRequest{}, opts...)
			if left := res.GetLeft().AsDuration(); err != nil || left > want || left < want/10 {
				t.Errorf("the method had %v (%v), want about %v", left, err, want)
			}
		}
	})
}

// What cannot succeed is refused before it costs a request.
func TestGatewayRefusesBeforeSending(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	for _, id := range []string{"", ".", "..", " a", "a\n", "\xff", strings.Repeat("x", 513)} {
		_, err := r.probe(id).Add(t.Context(), &behaviourv1.AddRequest{})
		wantError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, sdk.OutcomeNothingHappened)
	}
	for _, d := range []time.Duration{0, -time.Second} {
		_, err := r.probe("a").Add(t.Context(), &behaviourv1.AddRequest{}, sdk.WithTimeout(d))
		wantError(t, err, connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE, sdk.OutcomeNothingHappened)
	}
	if n := r.received.Load(); n != 0 {
		t.Errorf("%d requests reached the server", n)
	}
}

func TestTimeoutOptionInProcess(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	proxy := behaviourv1francis.NewProbeActorProxy(r.host.Service(), "a")
	for _, d := range []time.Duration{0, -1} {
		_, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1}, sdk.WithTimeout(d))
		wantError(t, err, connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE, sdk.OutcomeNothingHappened)
	}
	res, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1}, sdk.WithTimeout(0), sdk.WithTimeout(time.Minute)) // the last one holds
	if err != nil || res.GetSum() != 1 {
		t.Errorf("sum %d (%v), want 1", res.GetSum(), err)
	}
}

func TestGatewayAway(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody listens at this address now
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for name, opts := range map[string][]connecthttp.Option{"Connect": nil, "gRPC-Web": {connecthttp.WithGRPCWeb()}} {
		proxy := behaviourv1francis.NewProbeActorProxy(sdk.Gateway(client, "http://"+listener.Addr().String(), opts...), "a")
		_, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{}, sdk.WithoutRetries())
		if connect.CodeOf(err) != connect.CodeUnavailable || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened || !sdk.Retryable(err) {
			t.Errorf("%s: error %v, retryable %v; want unavailable, nothing happened, retryable", name, err, sdk.Retryable(err))
		}
	}
}

// Behind the address is something else, or somebody between breaks the line.
func TestGatewayOfOthers(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"a page":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a proxy":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a broken line": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"broken JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"code":`))
		},
		"a broken reply": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/proto")
			_, _ = w.Write([]byte("\xff\xff"))
		},
		"a reply too large": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/proto")
			_, _ = w.Write(make([]byte, 5<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			defer server.Close()
			_, err := behaviourv1francis.NewProbeActorProxy(sdk.Gateway(server.Client(), server.URL), "a").Add(t.Context(), &behaviourv1.AddRequest{})
			if err == nil || sdk.OutcomeOf(err) != sdk.OutcomeUnknown || sdk.Retryable(err) {
				t.Errorf("error %v, retryable %v; want an error whose outcome is unknown", err, sdk.Retryable(err))
			}
		})
	}
}

// An actor calls one of another host through its gateway; what went wrong there
// reaches the first caller with its code, though servers never forward a peer's
// verdict as their own.
func TestErrorsCrossTwoGateways(t *testing.T) {
	t.Parallel()
	far, near := startRemote(t), startRemote(t)
	near.probes.Service = sdk.Gateway(far.client, far.url)
	call := func() error {
		_, err := near.probe("a").Add(t.Context(), &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Call: []string{"b"}, CallService: true}})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	far.probes.Refuse("b", connect.NewError(connect.CodeOutOfRange, "not today"))
	if err := sdk.Halt(t.Context(), behaviourv1francis.NewProbeActorProxy(far.host.Service(), "b").Ref); err != nil {
		t.Fatal(err)
	}
	err := call()
	wantError(t, err, connect.CodeOutOfRange, francisv1.Reason_REASON_ACTIVATION_FAILED, sdk.OutcomeNothingHappened)
	if want := "out_of_range: not today"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	res, err := near.probe("a").Read(t.Context(), &behaviourv1.ReadRequest{})
	if err != nil || res.GetSum() != 1 {
		t.Errorf("sum %d (%v), want 1: the failed turn was rolled back", res.GetSum(), err)
	}
}

// Whoever reaches a gateway can call what the contracts say, and delete nothing.
func TestGatewayDeletesNothing(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	proxy := r.probe("a")
	if _, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1}); err != nil {
		t.Fatal(err)
	}
	wantError(t, sdk.Delete(t.Context(), proxy.Ref), connect.CodePermissionDenied, francisv1.Reason_REASON_UNSPECIFIED, sdk.OutcomeNothingHappened)
	for _, path := range []string{actor.DeleteProcedure, "/invoke/probe/a/delete", "/invoke/probe/a/Delete", "/invoke/probe/a" + actor.DeleteProcedure} {
		for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodGet} {
			req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set(actor.IDHeader, "a")
			res, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode < 400 {
				t.Errorf("%s %s was answered with %s", method, path, res.Status)
			}
		}
	}
	if res, err := proxy.Read(t.Context(), &behaviourv1.ReadRequest{}); err != nil || res.GetSum() != 1 {
		t.Errorf("the probe says %d, %v", res.GetSum(), err)
	}
}

// A gateway tells apart which actors are in memory, and ends nobody's stay there.
func TestGatewayOnlyIfActive(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	for name, opts := range map[string][]connecthttp.Option{"Connect": nil, "GET": {connecthttp.WithHTTPGet()}, "gRPC": {connecthttp.WithGRPC()}} {
		proxy := r.probe(name, opts...)
		_, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1}, sdk.OnlyIfActive())
		wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_ACTIVE, sdk.OutcomeNothingHappened)
		_, err = proxy.Read(t.Context(), &behaviourv1.ReadRequest{}, sdk.OnlyIfActive())
		wantError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_ACTIVE, sdk.OutcomeNothingHappened)
		if _, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 1}); err != nil {
			t.Fatal(err)
		}
		if res, err := proxy.Read(t.Context(), &behaviourv1.ReadRequest{}, sdk.OnlyIfActive()); err != nil || res.GetSum() != 1 {
			t.Errorf("%s: read %d (%v), want 1", name, res.GetSum(), err)
		}
		err = sdk.Halt(t.Context(), proxy.Ref)
		wantError(t, err, connect.CodePermissionDenied, francisv1.Reason_REASON_UNSPECIFIED, sdk.OutcomeNothingHappened)
		if r.probes.Ended(name) != 0 {
			t.Error("a gateway has halted an actor")
		}
	}
}

// Without a client of its own a gateway is called with the default one, as elsewhere in Go.
func TestGatewayWithoutClient(t *testing.T) {
	t.Parallel()
	r := startRemote(t)
	caller := sdk.Gateway(nil, r.url)
	proxy := behaviourv1francis.NewProbeActorProxy(caller, "id1")
	if res, err := proxy.Add(t.Context(), &behaviourv1.AddRequest{In: 2}); err != nil || res.GetSum() != 2 {
		t.Errorf("sum %d (%v), want 2", res.GetSum(), err)
	}
	for task, err := range proxy.Alarms(t.Context()) {
		t.Errorf("there is an alarm %v (%v)", task, err)
	}
}
