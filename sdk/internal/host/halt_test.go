package host_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

func (b *bed) halt(ctx context.Context) <-chan outcome {
	return inBackground(func() (int64, error) {
		return 0, sdk.Halt(ctx, behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Ref, sdk.WithoutRetries())
	})
}

// addIfActive adds 1 to the probe if it is in memory.
func (b *bed) addIfActive() <-chan outcome {
	return inBackground(func() (int64, error) {
		proxy := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1")
		res, err := proxy.Add(context.Background(), &behaviourv1.AddRequest{In: 1}, sdk.OnlyIfActive(), sdk.WithoutRetries())
		return res.GetSum(), err
	})
}

// The record of the last turn is answered before the actor has been halted: nobody knows its
// state until then.
func TestHaltAwaitsTheRecord(t *testing.T) {
	run(t, func(b *bed) {
		answered := make(chan struct{})
		b.commit = func() (*runtimev1.CommitResponse_Result, error) {
			<-answered
			return verdict(runtimev1.Verdict_VERDICT_APPLIED)
		}
		added := b.add(&behaviourv1.AddRequest{In: 1})
		halted := b.halt(b.t.Context())
		if len(halted) > 0 {
			t.Error("an actor was halted while a record of it was not answered")
		}
		close(answered)
		wantSum(t, added, 1)
		wantSum(t, halted, 0)
		if b.probes.Ended("id1") != 1 {
			t.Error("the activation has not ended")
		}
	})
}

// Who does not wait any longer has halted the actor all the same.
func TestHaltWithinADeadline(t *testing.T) {
	run(t, func(b *bed) {
		added := b.add(gated(1))
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		wantError(t, b.halt(ctx), connect.CodeDeadlineExceeded, sdk.OutcomeNothingHappened, true)
		b.probes.Open("gate")
		wantSum(t, added, 1)
		synctest.Wait()
		if b.probes.Ended("id1") != 1 {
			t.Error("the activation has not ended")
		}
	})
}

// An actor that is busy holds no more halts than calls, also of those who have left.
func TestHaltsWaitLikeCalls(t *testing.T) {
	run(t, func(b *bed) {
		added := b.add(gated(1))
		ctx, cancel := context.WithCancel(b.t.Context())
		for range maxPending {
			b.halt(ctx)
		}
		cancel()
		wantError(t, b.halt(b.t.Context()), connect.CodeResourceExhausted, sdk.OutcomeNothingHappened, true)
		wantError(t, b.add(&behaviourv1.AddRequest{In: 1}), connect.CodeResourceExhausted, sdk.OutcomeNothingHappened, true)
		b.probes.Open("gate")
		wantSum(t, added, 1)
		wantSum(t, b.halt(b.t.Context()), 0)
		if b.probes.Ended("id1") != 1 {
			t.Errorf("the activation has ended %d times", b.probes.Ended("id1"))
		}
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1)
	})
}

// Only the owner of an actor knows whether it is in memory.
func TestHaltFollowsTheActor(t *testing.T) {
	run(t, func(b *bed) {
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1)
		b.lapse()
		halted := b.halt(b.t.Context())
		absent := b.addIfActive()
		if len(halted) > 0 || len(absent) > 0 {
			t.Error("a worker whose lease has lapsed says what is in memory")
		}
		b.lose()
		b.heal()
		wantSum(t, halted, 0)
		wantSum(t, absent, 7)
		b.wantForwarded(t, there, there)
	})
}

func TestHaltWaitsForAHandover(t *testing.T) {
	run(t, func(b *bed) {
		added := b.add(gated(1))
		emptied := inBackground(func() (int64, error) { return 0, b.host.Empty(context.Background(), "probe", shardOf("id1")) })
		halted := b.halt(b.t.Context())
		b.probes.Open("gate")
		wantSum(t, added, 1)
		wantSum(t, emptied, 0)
		b.move(there)
		if len(halted) > 0 {
			t.Error("a shard that is handed over was not waited for")
		}
		b.host.Resume("probe", shardOf("id1"))
		wantSum(t, halted, 0)
		b.wantForwarded(t, there)
	})
}

// An activation that is being loaded counts as one, and that which ends does not.
func TestOnlyIfActiveWhileItBegins(t *testing.T) {
	run(t, func(b *bed) {
		loaded := make(chan struct{})
		loads := 0
		b.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			loads++
			<-loaded
			return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}, nil
		}
		first, second := b.add(&behaviourv1.AddRequest{In: 1}), b.addIfActive()
		close(loaded)
		wantSum(t, first, 1)
		wantSum(t, second, 2)
		running := b.add(gated(1))
		halted, third := b.halt(b.t.Context()), b.addIfActive()
		b.probes.Open("gate")
		wantSum(t, running, 3)
		wantSum(t, halted, 0)
		wantError(t, third, connect.CodeFailedPrecondition, sdk.OutcomeNothingHappened, false)
		if loads != 1 {
			t.Errorf("the actor was loaded %d times for calls that want it in memory", loads)
		}
	})
}

// What other workers ask of this one.
func TestForwardedHalt(t *testing.T) {
	run(t, func(b *bed) {
		serve := func(req *peerv1.InvokeRequest) <-chan outcome {
			return inBackground(func() (int64, error) {
				answered := make(chan outcome, 1)
				b.host.Serve(forwardedCall{b.t.Context(), func(res *peerv1.InvokeResponse, err error) {
					sum := int64(0)
					if res.GetNotOwner() != nil {
						sum = -1
					} else if err == nil {
						sum = sumOf(t, res, nil)
					}
					answered <- outcome{sum, err}
				}}, req)
				got := <-answered
				return got.sum, got.err
			})
		}
		halt := func() *peerv1.InvokeRequest {
			return &peerv1.InvokeRequest{Type: "probe", Id: "id1", Epoch: 1, Procedure: actor.HaltProcedure, Codec: peerv1.Codec_CODEC_PROTO}
		}
		active := forwarded(1)
		active.OnlyIfActive = true
		wantError(t, serve(active), connect.CodeFailedPrecondition, sdk.OutcomeNothingHappened, false)
		wantSum(t, serve(halt()), 0)
		wantSum(t, serve(forwarded(1)), 1)
		wantSum(t, serve(active), 2)
		view := halt()
		view.FromView = true
		wantError(t, serve(view), connect.CodeFailedPrecondition, sdk.OutcomeNothingHappened, false)
		cycle := halt()
		cycle.Chain = []*runtimev1.Actor{{Type: "probe", Id: "id1"}}
		wantError(t, serve(cycle), connect.CodeFailedPrecondition, sdk.OutcomeNothingHappened, false)
		wantSum(t, serve(halt()), 0)
		wantError(t, serve(active), connect.CodeFailedPrecondition, sdk.OutcomeNothingHappened, false)
		if b.probes.Constructed("id1") != 1 || b.probes.Ended("id1") != 1 {
			t.Error("the actor was not constructed and halted once")
		}
		// While the lease has lapsed, and when it turns out that another worker has the actor.
		b.lapse()
		halted, absent := serve(halt()), serve(active)
		if len(halted) > 0 || len(absent) > 0 {
			t.Error("a worker whose lease has lapsed says what is in memory")
		}
		b.lose()
		b.heal()
		wantSum(t, halted, -1)
		wantSum(t, absent, -1)
	})
}

func TestTurnHalts(t *testing.T) {
	run(t, func(b *bed) {
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Halt: true}}), 1)
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1) // the fake cluster stores nothing
		if b.probes.Constructed("id1") != 2 || b.probes.Ended("id1") != 1 {
			t.Error("the turn did not end its activation")
		}
	})
}

// A hook that ends its goroutine, as a failing test does, ends neither the hooks before it
// nor the actor for ever.
func TestHookThatEndsItsGoroutine(t *testing.T) {
	var ended int
	register := func(b *bed) error {
		return behaviourv1francis.RegisterProbeActor(b.host, func(ctx context.Context, activation *behaviourv1francis.ProbeActorActivation) (behaviourv1francis.ProbeActor, error) {
			activation.OnDeactivate(func(context.Context) { ended++ })
			activation.OnDeactivate(func(context.Context) { runtime.Goexit() })
			return b.probes.New(ctx, activation)
		})
	}
	runWith(t, register, func(b *bed) {
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1)
		wantSum(t, b.halt(b.t.Context()), 0)
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Halt: true}}), 1)
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1)
		if ended != 2 {
			t.Errorf("the other hook ran %d times at the end of two activations", ended)
		}
	})
}
