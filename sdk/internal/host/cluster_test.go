package host_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// wantSum waits for a call and checks its reply.
func wantSum(t *testing.T, done <-chan outcome, want int64) {
	t.Helper()
	if got := <-done; got.err != nil || got.sum != want {
		t.Errorf("the call ended with %d, %v; want %d", got.sum, got.err, want)
	}
}

// wantError waits for a call and checks what it is told.
func wantError(t *testing.T, done <-chan outcome, code connect.Code, happened sdk.Outcome, again bool) { //nolint:revive // what is wanted is no mode
	t.Helper()
	got := <-done
	if connect.CodeOf(got.err) != code || sdk.OutcomeOf(got.err) != happened || sdk.Retryable(got.err) != again {
		t.Errorf("the call ended with %v (outcome %v, retryable %v); want %v, %v, %v",
			got.err, sdk.OutcomeOf(got.err), sdk.Retryable(got.err), code, happened, again)
	}
}

func TestCallGoesToTheOwner(t *testing.T) {
	run(t, func(b *bed) {
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1)
		b.lose()
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 7)
		b.wantForwarded(t, there)
		if b.probes.Ended("id1") != 1 {
			t.Error("the activation did not end with the ownership")
		}
	})
}

// Calls that wait for the lease when the worker turns out to be dead are not failed.
func TestCallBehindALapseFollowsTheActor(t *testing.T) {
	for name, call := range map[string]func(*bed) <-chan outcome{
		"turn": func(b *bed) <-chan outcome { return b.add(&behaviourv1.AddRequest{In: 1}) },
		"view": func(b *bed) <-chan outcome { return b.read(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.lapse()
				first, second := call(b), call(b)
				b.lose()
				b.heal()
				wantSum(t, first, 7)
				wantSum(t, second, 7)
				b.wantForwarded(t, there, there)
			})
		})
	}
}

// A lease that lapses while an actor is loaded keeps its constructor from starting.
func TestLapseDuringLoad(t *testing.T) {
	run(t, func(b *bed) {
		loaded := make(chan struct{})
		b.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			<-loaded
			return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}, nil
		}
		done := b.add(&behaviourv1.AddRequest{In: 1})
		b.lapse()
		close(loaded)
		synctest.Wait()
		if b.probes.Constructed("id1") != 0 {
			t.Error("the actor was constructed behind a lapse")
		}
		b.heal()
		wantSum(t, done, 1)
	})
}

func TestCallDuringLoadFollowsTheActor(t *testing.T) {
	run(t, func(b *bed) {
		b.load = func(ctx context.Context) (*runtimev1.LoadResponse_Result, error) {
			<-ctx.Done() // as of a runtime that is away
			return nil, ctx.Err()
		}
		done := b.add(&behaviourv1.AddRequest{In: 1})
		b.lose()
		wantSum(t, done, 7)
	})
}

func TestStaleLoadAwaitsTheNextOwner(t *testing.T) {
	run(t, func(b *bed) {
		b.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_STALE_EPOCH}, nil
		}
		done := b.add(&behaviourv1.AddRequest{In: 1})
		b.move(there)
		wantSum(t, done, 7)
	})
}

func TestViewRunsAgainElsewhere(t *testing.T) {
	run(t, func(b *bed) {
		done := b.read(&behaviourv1.Script{Wait: "gate"})
		b.lose()
		b.probes.Open("gate")
		wantSum(t, done, 7)
		b.wantForwarded(t, there)
	})
}

// A view that ends while the lease has lapsed answers only once the worker knows that
// it still owned the actor.
func TestViewWaitsForTheLease(t *testing.T) {
	run(t, func(b *bed) {
		done := b.read(&behaviourv1.Script{Wait: "gate"})
		b.lapse()
		b.probes.Open("gate")
		synctest.Wait()
		if len(done) > 0 {
			t.Error("a view was answered behind a lapse")
		}
		b.heal()
		wantSum(t, done, 0)
	})
}

func TestTurnWithoutCommitThatLostItsShard(t *testing.T) {
	for name, test := range map[string]struct {
		before func(*bed)
		script *behaviourv1.Script
	}{
		"lost":              {func(*bed) {}, &behaviourv1.Script{Wait: "gate"}},
		"lost and failed":   {func(*bed) {}, &behaviourv1.Script{Wait: "gate", Fail: "no"}},
		"lost in a lapse":   {(*bed).lapse, &behaviourv1.Script{Wait: "gate"}},
		"failed in a lapse": {(*bed).lapse, &behaviourv1.Script{Wait: "gate", Fail: "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				done := b.add(&behaviourv1.AddRequest{Script: test.script})
				test.before(b)
				if name == "lost" || name == "lost and failed" {
					b.move(there) // the turn notices by itself
				}
				b.probes.Open("gate")
				b.lose()
				wantError(t, done, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
			})
		})
	}
}

func TestCommittedTurnNeedsNoLease(t *testing.T) {
	run(t, func(b *bed) {
		b.commit = func() (*runtimev1.CommitResponse_Result, error) {
			b.lapse()
			b.move(there)
			return verdict(runtimev1.Verdict_VERDICT_APPLIED)
		}
		wantSum(t, b.add(&behaviourv1.AddRequest{In: 1}), 1)
	})
}

func TestCommitOutcomes(t *testing.T) {
	answers := map[string]struct {
		commit   func() (*runtimev1.CommitResponse_Result, error)
		happened sdk.Outcome
	}{
		"stale epoch": {func() (*runtimev1.CommitResponse_Result, error) {
			return verdict(runtimev1.Verdict_VERDICT_STALE_EPOCH)
		}, sdk.OutcomeNothingHappened},
		"stale base": {func() (*runtimev1.CommitResponse_Result, error) { return verdict(runtimev1.Verdict_VERDICT_STALE_BASE) }, sdk.OutcomeNothingHappened},
		"unsent":     {func() (*runtimev1.CommitResponse_Result, error) { return nil, host.ErrUnsent }, sdk.OutcomeNothingHappened},
		"unanswered": {func() (*runtimev1.CommitResponse_Result, error) { return nil, errors.New("over") }, sdk.OutcomeUnknown},
		"in doubt": {func() (*runtimev1.CommitResponse_Result, error) {
			return verdict(runtimev1.Verdict_VERDICT_UNSPECIFIED)
		}, sdk.OutcomeUnknown},
	}
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.commit = test.commit
				wantError(t, b.add(&behaviourv1.AddRequest{In: 1}), connect.CodeUnavailable, test.happened, test.happened == sdk.OutcomeNothingHappened)
				wantSum(t, b.read(nil), 0)
				if n := b.probes.Constructed("id1"); n != 2 {
					t.Errorf("the actor was constructed %d times, want a second time after the commit failed", n)
				}
			})
		})
	}
}

func TestForwardOutcomes(t *testing.T) {
	unsent := func(int32) (*peerv1.InvokeResponse, error) { return nil, host.ErrUnsent }
	for name, test := range map[string]struct {
		forward func(attempt int32) (*peerv1.InvokeResponse, error)
		want    func(t *testing.T, done <-chan outcome)
		took    time.Duration
	}{
		"unsent, then answered": {
			func(attempt int32) (*peerv1.InvokeResponse, error) {
				if attempt < 3 {
					return unsent(attempt)
				}
				return reply(7), nil
			},
			func(t *testing.T, done <-chan outcome) { t.Helper(); wantSum(t, done, 7) }, 200 * time.Millisecond,
		},
		"never sent": {
			unsent, func(t *testing.T, done <-chan outcome) {
				t.Helper()
				wantError(t, done, connect.CodeDeadlineExceeded, sdk.OutcomeNothingHappened, true)
			}, limit.CallTimeout,
		},
		"link lost": {
			func(int32) (*peerv1.InvokeResponse, error) { return nil, fault.LinkLost(errors.New("reset")) },
			func(t *testing.T, done <-chan outcome) {
				t.Helper()
				wantError(t, done, connect.CodeUnavailable, sdk.OutcomeUnknown, false)
			}, 0,
		},
		"never the owner": {
			func(int32) (*peerv1.InvokeResponse, error) {
				return notOwner(&runtimev1.Shard{Worker: there, Epoch: 2}), nil
			},
			func(t *testing.T, done <-chan outcome) {
				t.Helper()
				wantError(t, done, connect.CodeDeadlineExceeded, sdk.OutcomeNothingHappened, true)
			}, limit.CallTimeout,
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.lose()
				var attempts atomic.Int32
				b.forward = func(string, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
					return test.forward(attempts.Add(1))
				}
				began := time.Now()
				test.want(t, b.add(&behaviourv1.AddRequest{In: 1}))
				if took := time.Since(began); took != test.took {
					t.Errorf("the call took %v, want %v", took, test.took)
				}
			})
		})
	}
}

// A forwarded call is bounded as a local one is, however long the chain that it names.
func TestForwardedCallIsChecked(t *testing.T) {
	chain := make([]*runtimev1.Actor, 1000)
	for i := range chain {
		chain[i] = &runtimev1.Actor{Type: "probe", Id: "caller"}
	}
	call := func(change func(*peerv1.InvokeRequest)) *peerv1.InvokeRequest {
		req := &peerv1.InvokeRequest{
			Type: "probe", Id: "id1", Procedure: "/behaviour.v1.ProbeActor/Add",
			Epoch: 1, Codec: peerv1.Codec_CODEC_PROTO,
		}
		change(req)
		return req
	}
	for name, test := range map[string]struct {
		req  *peerv1.InvokeRequest
		code connect.Code
	}{
		"right":              {call(func(*peerv1.InvokeRequest) {}), 0},
		"no codec":           {call(func(r *peerv1.InvokeRequest) { r.Codec = 0 }), connect.CodeInvalidArgument},
		"a view from nobody": {call(func(r *peerv1.InvokeRequest) { r.FromView = true }), connect.CodeFailedPrecondition},
		"a long chain":       {call(func(r *peerv1.InvokeRequest) { r.Chain = chain }), connect.CodeFailedPrecondition},
		"a later epoch":      {call(func(r *peerv1.InvokeRequest) { r.Epoch = 9 }), connect.CodeDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				answered := make(chan error, 1)
				b.host.Serve(forwardedCall{context.Background(), func(_ *peerv1.InvokeResponse, err error) { answered <- err }}, test.req)
				err := <-answered
				if err == nil && test.code != 0 || err != nil && connect.CodeOf(err) != test.code {
					t.Errorf("the call ended with %v, want %v", err, test.code)
				}
				if path := fault.Detail(err).GetPath(); len(path) > limit.ChainDepth+1 {
					t.Errorf("the path has %d actors", len(path))
				}
			})
		})
	}
}

// What another worker tells of a shard is only a reason to wait for the table: a call
// is sent again once that has a newer epoch, and never because of a lie.
func TestNotOwnerIsAHint(t *testing.T) {
	asked := placement.ShardOf("id1", placement.Shards)
	for name, told := range map[string]*runtimev1.Shard{
		"the truth":            {Type: "probe", Shard: asked, Worker: here, Epoch: 3},
		"an older epoch":       {Type: "probe", Shard: asked, Worker: here},
		"the greatest epoch":   {Type: "probe", Shard: asked, Worker: there, Epoch: math.MaxUint64},
		"another shard":        {Type: "probe", Shard: asked + 1, Worker: here, Epoch: 3},
		"nothing of any shard": {},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.lose()
				asked := 0
				b.forward = func(string, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
					asked++
					return notOwner(told), nil
				}
				call := b.add(&behaviourv1.AddRequest{In: 1})
				synctest.Wait()
				if asked != 1 || len(call) > 0 {
					t.Errorf("the worker was asked %d times before the table changed, want once", asked)
				}
				b.move(here)
				wantSum(t, call, 1)
			})
		})
	}
}

func TestParkedCallsFollowTheShard(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(gated(1))
		emptied := make(chan error, 1)
		shard := placement.ShardOf("id1", placement.Shards)
		go func() { emptied <- b.host.Empty(context.Background(), "probe", shard) }()
		synctest.Wait()
		parked := b.add(&behaviourv1.AddRequest{In: 1})
		b.probes.Open("gate")
		wantSum(t, running, 1)
		if err := <-emptied; err != nil {
			t.Error(err)
		}
		if len(parked) > 0 || b.probes.Ended("id1") != 1 {
			t.Error("the parked call did not wait, or the activation did not end")
		}
		b.move(there)
		b.host.Resume("probe", shard)
		wantSum(t, parked, 7)
	})
}

// A turn of a shard that is emptied finishes its calls, also into that shard.
func TestEmptyingWaitsForCallsOfTurns(t *testing.T) {
	run(t, func(b *bed) {
		other := "id2"
		for i := 0; placement.ShardOf(other, placement.Shards) != placement.ShardOf("id1", placement.Shards); i++ {
			other = "other" + time.Duration(i).String()
		}
		done := b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Wait: "gate", Call: []string{other}}})
		emptied := make(chan error, 1)
		go func() {
			emptied <- b.host.Empty(context.Background(), "probe", placement.ShardOf("id1", placement.Shards))
		}()
		synctest.Wait()
		b.probes.Open("gate")
		wantSum(t, done, 1)
		if err := <-emptied; err != nil || b.probes.Ended(other) != 1 {
			t.Errorf("the shard was emptied with %v, the called actor ended %d times", err, b.probes.Ended(other))
		}
		b.host.Resume("probe", placement.ShardOf("id1", placement.Shards))
	})
}

// A shard that comes back at a later epoch is opened afresh, but not before the turn
// of the earlier one has returned.
func TestRevokedTurnHoldsTheActorUntilItReturns(t *testing.T) {
	run(t, func(b *bed) {
		b.commit = func() (*runtimev1.CommitResponse_Result, error) {
			return verdict(runtimev1.Verdict_VERDICT_STALE_EPOCH)
		}
		old := b.add(gated(1))
		b.move(here)
		b.revoke()
		next := b.read(nil)
		if n := b.probes.Constructed("id1"); n != 1 || len(next) > 0 {
			t.Errorf("the actor was constructed %d times while an old turn still ran", n)
		}
		b.probes.Open("gate")
		wantError(t, old, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
		wantSum(t, next, 0)
		if n := b.probes.Constructed("id1"); n != 2 {
			t.Errorf("the actor was constructed %d times, want 2", n)
		}
	})
}

func TestRevokedTurnCallsNobody(t *testing.T) {
	run(t, func(b *bed) {
		done := b.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Wait: "gate", Call: []string{"id2"}}})
		b.lose()
		b.probes.Open("gate")
		wantError(t, done, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
		b.wantForwarded(t)
	})
}

// Over so many calls that wait for an owner one more is refused, and told when to come
// again; those that wait are served when there is one.
func TestWaitingCallsAreBounded(t *testing.T) {
	run(t, func(b *bed) {
		b.move("")
		var waiting []<-chan outcome
		for range limit.Waiting {
			done := make(chan outcome, 1)
			go func() {
				_, err := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Read(context.Background(), &behaviourv1.ReadRequest{}, sdk.WithoutRetries())
				done <- outcome{err: err}
			}()
			waiting = append(waiting, done)
		}
		synctest.Wait()
		over := b.read(nil)
		select {
		case got := <-over:
			if connect.CodeOf(got.err) != connect.CodeResourceExhausted || sdk.OutcomeOf(got.err) != sdk.OutcomeNothingHappened || sdk.RetryAfter(got.err) < 100*time.Millisecond {
				t.Errorf("one call more is told %v", got.err)
			}
		default:
			t.Error("one call more waits")
		}
		b.move(here)
		for _, done := range waiting {
			if got := <-done; got.err != nil && connect.CodeOf(got.err) != connect.CodeResourceExhausted { // of the queue of the one actor
				t.Fatal(got.err)
			}
		}
		wantSum(t, b.read(nil), 0)
	})
}

// Who is refused by a full queue is told when half of it will have left, at its pace.
func TestFullQueueTellsItsPace(t *testing.T) {
	run(t, func(b *bed) {
		const turn, waiting = 4 * time.Millisecond, 2000
		var all []<-chan outcome
		for range waiting + 1 {
			done := make(chan outcome, 1)
			go func() {
				_, err := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Add(context.Background(), &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Sleep: durationpb.New(turn)}}, sdk.WithoutRetries())
				done <- outcome{err: err}
			}()
			all = append(all, done)
		}
		synctest.Wait()
		var advice time.Duration
		for range 20 {
			for range 30 { // more come than leave
				got := b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Sleep: durationpb.New(turn)}})
				select {
				case refused := <-got:
					advice = sdk.RetryAfter(refused.err)
				default:
					all = append(all, got)
				}
			}
			time.Sleep(10 * turn)
		}
		if want := waiting / 2 * turn; advice < want*9/10 || advice > want*11/10 {
			t.Errorf("the advice is %v; half of the queue leaves in %v", advice, want)
		}
		for _, done := range all {
			if got := <-done; got.err != nil {
				t.Fatal(got.err)
			}
		}
	})
}

// The turn whose reply its caller cannot read may have been committed.
func TestUnreadableReplyIsAnUnknownOutcome(t *testing.T) {
	run(t, func(b *bed) {
		b.forward = func(string, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
			return &peerv1.InvokeResponse{Reply: []byte{0xff}}, nil
		}
		b.move(there)
		wantError(t, b.add(&behaviourv1.AddRequest{In: 1}), connect.CodeInternal, sdk.OutcomeUnknown, false)
	})
}
