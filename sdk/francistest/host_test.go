package francistest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// fixture is a host with probes in a bubble of virtual time.
type fixture struct {
	*testing.T
	host   *francistest.Host
	probes *behaviour.Probes
}

// inBubble runs a test with a host that ends with it.
func inBubble(t *testing.T, test func(f fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		test(newFixture(t, francistest.Start(t)))
	})
}

func newFixture(t *testing.T, host *francistest.Host, opts ...sdk.ActorOption) fixture {
	t.Helper()
	f := fixture{t, host, &behaviour.Probes{Service: host.Service()}}
	if err := behaviourv1francis.RegisterProbeActor(host, f.probes.New, opts...); err != nil {
		t.Fatal(err)
	}
	return f
}

// play calls Add(1) with a script.
func (f fixture) play(ctx context.Context, id string, script *behaviourv1.Script, opts ...sdk.CallOption) error {
	proxy := behaviourv1francis.NewProbeActorProxy(f.host.Service(), id)
	_, err := proxy.Add(ctx, &behaviourv1.AddRequest{In: 1, Script: script}, opts...)
	return err
}

func (f fixture) begin(id, gate string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f.play(f.Context(), id, &behaviourv1.Script{Wait: gate}) }()
	f.probes.Arrived(gate)
	return done
}

func (f fixture) wantEnded(id string, times int32) {
	f.Helper()
	synctest.Wait()
	if got := f.probes.Ended(id); got != times {
		f.Errorf("the activation of %s has ended %d times, want %d", id, got, times)
	}
}

func (f fixture) wantError(err error, code connect.Code, reason francisv1.Reason, outcome sdk.Outcome) {
	f.Helper()
	if connect.CodeOf(err) != code || fault.Detail(err).GetReason() != reason || sdk.OutcomeOf(err) != outcome {
		f.Errorf("error %v (%v), want %v, %v, %v", err, fault.Detail(err), code, reason, outcome)
	}
}

func TestIdleActivationEnds(t *testing.T) {
	inBubble(t, func(f fixture) {
		const idle = time.Minute // the contract of probes
		f.play(f.Context(), "a", nil)
		time.Sleep(idle - time.Second)
		f.play(f.Context(), "a", nil) // uses it again
		time.Sleep(idle - time.Second)
		f.wantEnded("a", 0)
		time.Sleep(time.Second)
		f.wantEnded("a", 1)
		f.play(f.Context(), "a", nil)
		if got := f.probes.Constructed("a"); got != 2 {
			f.Errorf("constructed %d times, want 2", got)
		}
	})
}

func TestRunningTurnIsNotIdle(t *testing.T) {
	inBubble(t, func(f fixture) {
		done := f.begin("a", "gate")
		time.Sleep(time.Hour)
		f.wantEnded("a", 0)
		f.probes.Open("gate")
		<-done
		time.Sleep(time.Minute)
		f.wantEnded("a", 1)
	})
}

func TestRegistrationOverridesIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, francistest.Start(t), sdk.WithIdleTimeout(time.Second))
		f.play(t.Context(), "a", nil)
		time.Sleep(time.Second)
		f.wantEnded("a", 1)
	})
}

// The deadline of a call is, in this order: the option of the call, the deadline of
// its context, the contract's, and inside a turn the default.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	impatient := func(f fixture, ctx context.Context, opts ...sdk.CallOption) error {
		proxy := behaviourv1francis.NewProbeActorProxy(f.host.Service(), "a")
		_, err := proxy.Impatient(ctx, &behaviourv1.ImpatientRequest{Script: &behaviourv1.Script{Sleep: durationpb.New(time.Hour)}}, opts...)
		return err
	}
	tests := map[string]struct {
		call func(f fixture) error
		want time.Duration
	}{
		"of the contract": {func(f fixture) error { return impatient(f, f.Context()) }, 2 * time.Second},
		"of the call":     {func(f fixture) error { return impatient(f, f.Context(), sdk.WithTimeout(time.Second)) }, time.Second},
		"of the context": {func(f fixture) error {
			ctx, cancel := context.WithTimeout(f.Context(), 10*time.Second)
			defer cancel()
			return impatient(f, ctx)
		}, 10 * time.Second},
		"the earlier of two": {func(f fixture) error {
			ctx, cancel := context.WithTimeout(f.Context(), 10*time.Second)
			defer cancel()
			return impatient(f, ctx, sdk.WithTimeout(20*time.Second))
		}, 10 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(f fixture) {
				start := time.Now()
				f.wantError(test.call(f), connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE, sdk.OutcomeUnknown)
				if took := time.Since(start); took != test.want {
					f.Errorf("the call ended after %v, want %v", took, test.want)
				}
			})
		})
	}
}

func TestMethodSeesDeadline(t *testing.T) {
	inBubble(t, func(f fixture) {
		res, err := behaviourv1francis.NewProbeActorProxy(f.host.Service(), "a").Impatient(f.Context(), &behaviourv1.ImpatientRequest{})
		if err != nil || res.GetLeft().AsDuration() != 2*time.Second {
			f.Errorf("the method had %v (%v), want 2s", res.GetLeft().AsDuration(), err)
		}
	})
}

func TestCallInTurnHasDefaultDeadline(t *testing.T) {
	inBubble(t, func(f fixture) {
		done := f.begin("b", "gate")
		start := time.Now()
		err := f.play(context.Background(), "a", &behaviourv1.Script{Call: []string{"b"}})
		f.wantError(err, connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE, sdk.OutcomeNothingHappened)
		if took := time.Since(start); took != 30*time.Second {
			f.Errorf("the call inside the turn ended after %v, want 30s", took)
		}
		f.probes.Open("gate")
		<-done
	})
}

// Two turns that call each other's actors in separate chains wait for each other:
// the deadline of the first call ends it, and the other goes on. One begins later,
// because nothing is promised where both deadlines pass together.
func TestCrossedChainsEnd(t *testing.T) {
	inBubble(t, func(f fixture) {
		cross := func(from, to string) <-chan error {
			done := make(chan error, 1)
			go func() {
				done <- f.play(context.Background(), from, &behaviourv1.Script{Sleep: durationpb.New(time.Second), Call: []string{to}})
			}()
			return done
		}
		start := time.Now()
		first := cross("a", "b")
		time.Sleep(time.Second / 2)
		second := cross("b", "a")
		f.wantError(<-first, connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE, sdk.OutcomeNothingHappened)
		if took := time.Since(start); took != 31*time.Second {
			f.Errorf("the first call inside a turn ended after %v, want 31s", took)
		}
		if err := <-second; err != nil {
			f.Errorf("the other turn: %v", err)
		}
	})
}

// recorder is a test that keeps its failures to itself.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestViewThatWritesIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recorded := &recorder{TB: t}
		f := newFixture(t, francistest.Start(recorded))
		proxy := behaviourv1francis.NewProbeActorProxy(f.host.Service(), "a")
		for _, write := range []bool{false, true} {
			if _, err := proxy.Read(t.Context(), &behaviourv1.ReadRequest{Script: &behaviourv1.Script{Write: write}}); err != nil {
				t.Fatal(err)
			}
		}
		if len(recorded.failures) != 1 || !strings.Contains(recorded.failures[0], "the view Read of probe/a wrote to its state") {
			t.Errorf("reported %q, want one report of Read", recorded.failures)
		}
		res, err := proxy.Read(t.Context(), &behaviourv1.ReadRequest{})
		if err != nil || res.GetSum() != 0 {
			t.Errorf("the write is seen by others: %v, %v", res, err)
		}
	})
}

// started runs a host by hand, to watch it stop.
func started(t *testing.T, grace time.Duration) (f fixture, stop func() <-chan error) {
	t.Helper()
	host, err := francistest.NewHost(francistest.WithShutdownGracePeriod(grace))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	return newFixture(t, host), func() <-chan error {
		cancel()
		synctest.Wait()
		return ended
	}
}

func TestRunDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, stop := started(t, time.Minute)
		running := f.begin("a", "gate")
		waiting := make(chan error, 1)
		go func() { waiting <- f.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"fresh"}}) }()
		synctest.Wait()
		ended := stop()
		f.wantError(f.play(t.Context(), "b", nil), connect.CodeUnavailable, francisv1.Reason_REASON_SHUTTING_DOWN, sdk.OutcomeNothingHappened)
		f.probes.Open("gate")
		for _, done := range []<-chan error{running, waiting, ended} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for _, id := range []string{"a", "fresh"} {
			f.wantEnded(id, 1)
		}
	})
}

func TestGraceCancelsTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, stop := started(t, 10*time.Second)
		running := make(chan error, 1)
		go func() {
			running <- f.play(context.Background(), "a", &behaviourv1.Script{Sleep: durationpb.New(time.Hour)})
		}()
		synctest.Wait()
		start := time.Now()
		if err := <-stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the host stopped after %v, want 10s", took)
		}
		f.wantError(<-running, connect.CodeCanceled, francisv1.Reason_REASON_METHOD_FAILED, sdk.OutcomeNothingHappened)
	})
}

func TestTurnThatIgnoresItsContextIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, stop := started(t, 10*time.Second)
		running := f.begin("a", "gate")
		waiting := make(chan error, 1)
		go func() { waiting <- f.play(context.Background(), "a", nil) }()
		synctest.Wait()
		if err := <-stop(); err == nil || !strings.Contains(err.Error(), "probe/a") {
			t.Errorf("Run returned %v, want an error that names probe/a", err)
		}
		f.wantError(<-waiting, connect.CodeUnavailable, francisv1.Reason_REASON_SHUTTING_DOWN, sdk.OutcomeNothingHappened)
		f.probes.Open("gate")
		<-running
	})
}

func TestRunTwiceFails(t *testing.T) {
	t.Parallel()
	host, err := francistest.NewHost()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := host.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := host.Run(ctx); err == nil {
		t.Error("the second Run succeeded")
	}
}

func TestTurnIsNoCallerAfterItsEnd(t *testing.T) {
	inBubble(t, func(f fixture) {
		var kept behaviourv1francis.RelayActorTurn
		err := behaviourv1francis.RegisterRelayActor(f.host, func(context.Context, *behaviourv1francis.RelayActorActivation) (behaviourv1francis.RelayActor, error) {
			return keeper{&kept}, nil
		})
		if err != nil {
			f.Fatal(err)
		}
		if _, err := behaviourv1francis.NewRelayActorProxy(f.host.Service(), "r").Send(f.Context(), &behaviourv1.SendRequest{}); err != nil {
			f.Fatal(err)
		}
		_, err = behaviourv1francis.NewProbeActorProxy(kept, "a").Add(f.Context(), &behaviourv1.AddRequest{})
		f.wantError(err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_TURN_OVER, sdk.OutcomeNothingHappened)
	})
}

// keeper keeps its turn beyond the method.
type keeper struct {
	kept *behaviourv1francis.RelayActorTurn
}

func (k keeper) Send(_ context.Context, turn behaviourv1francis.RelayActorTurn, _ *behaviourv1.SendRequest) (*behaviourv1.SendResponse, error) {
	*k.kept = turn
	return nil, nil //nolint:nilnil // a nil reply stands for an empty one, which this test relies on
}

func (keeper) Number(context.Context, behaviourv1francis.RelayActorView, *behaviourv1.NumberRequest) (*behaviourv1.NumberResponse, error) {
	return nil, nil //nolint:nilnil // as above
}

func TestRegistrationErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts []sdk.ActorOption
		want string
	}{
		"twice":             {nil, `register behaviour.v1.ProbeActor: the actor type "probe" is registered already, by behaviour.v1.ProbeActor; a host serves each type once`},
		"bad idle timeout":  {[]sdk.ActorOption{sdk.WithIdleTimeout(0)}, "register behaviour.v1.ProbeActor: idle_timeout is 0s; it must be between 1ms and 8760h0m0s"},
		"bad state ttl":     {[]sdk.ActorOption{sdk.WithStateTTL(time.Millisecond)}, "register behaviour.v1.ProbeActor: state_ttl is 1ms; it must be between 1s and 87600h0m0s"},
		"bad timeout":       {[]sdk.ActorOption{sdk.WithTimeout(-time.Second)}, "register behaviour.v1.ProbeActor: timeout is -1s; it must be between 1ms and 24h0m0s"},
		"bad max pending":   {[]sdk.ActorOption{sdk.WithMaxPending(0)}, "register behaviour.v1.ProbeActor: max_pending is 0; it must be between 1 and 1000000"},
		"no such method":    {[]sdk.ActorOption{sdk.WithMethodTimeout("Ad", time.Second)}, `register behaviour.v1.ProbeActor: timeout for the method "Ad": the contract has no such method`},
		"absurd for method": {[]sdk.ActorOption{sdk.WithMethodTimeout("Add", 25*time.Hour)}, "register behaviour.v1.ProbeActor: timeout is 25h0m0s; it must be between 1ms and 24h0m0s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, francistest.Start(t))
			err := behaviourv1francis.RegisterProbeActor(f.host, f.probes.New, test.opts...)
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v\nwant  %s", err, test.want)
			}
		})
	}
}

func TestStateTTLNeedsAState(t *testing.T) {
	t.Parallel()
	f := newFixture(t, francistest.Start(t))
	err := behaviourv1francis.RegisterRelayActor(f.host, behaviour.NewRelay, sdk.WithStateTTL(time.Hour))
	const want = "register behaviour.v1.RelayActor: state_ttl is set, but the actor has no state; name the message that holds it with state, or remove state_ttl"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestTimeoutOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, francistest.Start(t), sdk.WithTimeout(5*time.Second), sdk.WithMethodTimeout("Read", 7*time.Second))
		proxy := behaviourv1francis.NewProbeActorProxy(f.host.Service(), "a")
		sleep := &behaviourv1.Script{Sleep: durationpb.New(time.Hour)}
		var took []time.Duration
		for _, call := range []func(){
			func() { proxy.Add(t.Context(), &behaviourv1.AddRequest{Script: sleep}) },
			func() { proxy.Read(t.Context(), &behaviourv1.ReadRequest{Script: sleep}) },
			func() { proxy.Impatient(t.Context(), &behaviourv1.ImpatientRequest{Script: sleep}) },
		} {
			start := time.Now()
			call()
			took = append(took, time.Since(start))
		}
		if want := []time.Duration{5 * time.Second, 7 * time.Second, 2 * time.Second}; !slices.Equal(took, want) {
			t.Errorf("calls ended after %v, want %v", took, want)
		}
	})
}

func TestProxyWithoutCaller(t *testing.T) {
	t.Parallel()
	_, err := behaviourv1francis.NewProbeActorProxy(nil, "a").Add(t.Context(), &behaviourv1.AddRequest{})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("error %v, want invalid_argument", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, francistest.Start(t, francistest.WithLimits(sdk.Limits{
			Message: 2048, State: 1024, Metadata: 8, ChainDepth: 2, CallTimeout: 3 * time.Second,
		})))
		tooLarge := func(err error) {
			t.Helper()
			f.wantError(err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE, sdk.OutcomeNothingHappened)
		}
		tooLarge(f.play(t.Context(), "a", &behaviourv1.Script{Fail: strings.Repeat("x", 2048)}))
		tooLarge(f.play(t.Context(), "a", &behaviourv1.Script{Ballast: 1024}))
		tooLarge(f.play(sdk.WithMetadata(t.Context(), "tenant", "acme"), "a", nil))
		f.wantError(f.play(t.Context(), "a", &behaviourv1.Script{Call: []string{"b", "c"}}),
			connect.CodeFailedPrecondition, francisv1.Reason_REASON_CHAIN_TOO_DEEP, sdk.OutcomeNothingHappened)
		done := f.begin("b", "gate")
		start := time.Now()
		f.play(context.Background(), "a", &behaviourv1.Script{Call: []string{"b"}})
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the call inside the turn ended after %v, want 3s", took)
		}
		f.probes.Open("gate")
		<-done
	})
	if _, err := francistest.NewHost(francistest.WithLimits(sdk.Limits{State: 1})); err == nil {
		t.Error("a limit out of its range was accepted")
	}
}
