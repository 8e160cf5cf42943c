package host_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// storing lets loads bring the state of the last record, for as long as it lives; before the
// first, a sum for an hour. It returns how many loads there were.
func storing(b *bed, sum int64) *int {
	loads, began := 0, time.Now()
	data, _ := proto.Marshal(&behaviourv1.ProbeState{Sum: sum})
	b.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
		loads++
		b.mu.Lock()
		defer b.mu.Unlock()
		state, ttl := &runtimev1.State{Identity: &runtimev1.Identity{Activation: 1, Sequence: 1}, Message: probeState, Data: data}, time.Hour
		if n := len(b.records); n > 0 {
			state.Identity, state.Data, ttl = b.records[n-1].GetIdentity(), b.records[n-1].GetData(), b.records[n-1].GetStateTtl().AsDuration()
		}
		if left := ttl - time.Since(began); left > 0 {
			state.ExpiresIn = durationpb.New(left)
		} else {
			state.Message, state.Data = "", nil
		}
		return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED, State: state}, nil
	}
	b.commit = func() (*runtimev1.CommitResponse_Result, error) {
		began = time.Now()
		return verdict(runtimev1.Verdict_VERDICT_APPLIED)
	}
	return &loads
}

// pass lets time go by in the bubble, and what comes due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const probeState = "behaviour.v1.ProbeState"

func wantSumOf(t *testing.T, what string, done <-chan outcome, want int64) {
	t.Helper()
	if got := <-done; got.err != nil || got.sum != want {
		t.Errorf("%s: %d, %v; want %d", what, got.sum, got.err, want)
	}
}

// What was loaded is used no longer than it lives, though the type of this worker knows of
// no such time and the activation is never idle.
func TestLoadedStateExpires(t *testing.T) {
	run(t, func(b *bed) {
		loads := storing(b, 7)
		for n := range 100 {
			wantSumOf(t, "before its time", b.read(nil), 7)
			if n < 99 {
				pass(36 * time.Second)
			}
		}
		if *loads != 1 {
			t.Errorf("it was loaded %d times before its time", *loads)
		}
		pass(36 * time.Second)
		wantSumOf(t, "at its time", b.read(nil), 0)
		if *loads != 2 || b.probes.Constructed("id1") != 2 || b.probes.Ended("id1") != 1 {
			t.Errorf("%d loads, %d constructors, %d hooks; want 2, 2, 1", *loads, b.probes.Constructed("id1"), b.probes.Ended("id1"))
		}
	})
}

// Each record says how long its state lives, and the host counts from the end of the turn. A
// turn without a record lengthens nothing, and who waits while the state expires finds none.
func TestStateExpiresAfterTheLastRecord(t *testing.T) {
	register := func(b *bed) error {
		return behaviourv1francis.RegisterProbeActor(b.host, b.probes.New, sdk.WithStateTTL(10*time.Minute), sdk.WithIdleTimeout(time.Hour))
	}
	runWith(t, register, func(b *bed) {
		storing(b, 7)
		add := func(what string, in, want int64) {
			t.Helper()
			wantSumOf(t, what, b.add(&behaviourv1.AddRequest{In: in}), want)
		}
		add("the stored state", 1, 8)
		if ttl := b.records[0].GetStateTtl().AsDuration(); ttl != 10*time.Minute {
			t.Errorf("the record says that its state lives for %v", ttl)
		}
		pass(9 * time.Minute)
		add("before the end", 1, 9)
		pass(9 * time.Minute)
		add("before the next end, unchanged", 0, 9)
		pass(time.Minute)
		add("after it", 1, 1)

		pass(9 * time.Minute)
		running := b.add(gated(0))
		waits := b.add(&behaviourv1.AddRequest{In: 5})
		pass(time.Minute)
		b.probes.Open("gate")
		wantSumOf(t, "who runs while it expires", running, 1)
		wantSumOf(t, "who waits meanwhile", waits, 5)
	})
}

// A deletion leaves no state that could live.
func TestDeletionHasNoLife(t *testing.T) {
	register := func(b *bed) error {
		return behaviourv1francis.RegisterProbeActor(b.host, b.probes.New, sdk.WithStateTTL(10*time.Minute))
	}
	runWith(t, register, func(b *bed) {
		if err := sdk.Delete(context.Background(), behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Ref); err != nil {
			t.Fatal(err)
		}
		if r := b.records[0]; !r.GetDeletes() || r.GetStateTtl() != nil {
			t.Errorf("the record is %v", r)
		}
	})
}

// An actor without state is read by the first turn that needs its keys, while others come.
// What is stored may have an end, from when its type had a state. For the race detector.
func TestLifeIsLearntWhileOthersCome(t *testing.T) {
	runWith(t, withRelays, func(b *bed) {
		send := func(opts ...sdk.CallOption) {
			_, err := behaviourv1francis.NewRelayActorProxy(b.host.Service(), "1").Send(context.Background(), &behaviourv1.SendRequest{Probe: "id1", In: 1}, opts...)
			if err != nil {
				t.Error(err)
			}
		}
		send() // which loads the probe
		var others sync.WaitGroup
		b.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			others.Go(func() { send() })
			time.Sleep(time.Millisecond) // it has come by now, and nothing orders it before the answer
			return &runtimev1.LoadResponse_Result{
				Verdict: runtimev1.Verdict_VERDICT_APPLIED,
				State:   &runtimev1.State{Identity: &runtimev1.Identity{Activation: 1, Sequence: 1}, ExpiresIn: durationpb.New(time.Hour)},
			}, nil
		}
		send(sdk.WithIdempotencyKey("k"))
		b.load = newCluster().load
		others.Wait()
	})
}
