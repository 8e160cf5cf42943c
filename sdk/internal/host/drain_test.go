package host_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// drain ends the host.
func (b *bed) drain(grace time.Duration) {
	b.t.Helper()
	b.ended = true
	if err := b.host.Drain(grace); err != nil {
		b.t.Error(err)
	}
}

// The deadline of a call holds also for one that is under way to another worker when this
// host stops, and for one that is made afterwards.
func TestDeadlinesOutliveTheHost(t *testing.T) {
	run(t, func(b *bed) {
		b.move(there)
		b.silent = true
		call := func() <-chan outcome {
			return inBackground(func() (int64, error) {
				_, err := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Add(context.Background(),
					&behaviourv1.AddRequest{In: 1}, sdk.WithTimeout(time.Minute), sdk.WithoutRetries())
				return 0, err
			})
		}
		var calls []<-chan outcome
		for range 20 {
			calls = append(calls, call())
		}
		b.drain(time.Second)
		for range 20 {
			calls = append(calls, call())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		late := 0
		for _, done := range calls {
			if len(done) == 0 {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d of %d calls still wait a minute after their deadline", late, len(calls))
		}
		b.set(func() { b.silent = false })
		for _, done := range calls {
			if got := <-done; connect.CodeOf(got.err) != connect.CodeDeadlineExceeded {
				t.Errorf("a call was told %v", got.err)
			}
		}
	})
}

// A view that has ended while the lease had lapsed is answered when the host stops, and not
// only when its own time is over: the host waits for it.
func TestDrainBehindALapse(t *testing.T) {
	run(t, func(b *bed) {
		done := b.read(&behaviourv1.Script{Wait: "gate"})
		b.lapse()
		b.probes.Open("gate")
		synctest.Wait()
		b.drainWithin(time.Second)
		wantError(t, done, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
	})
}

// The same holds for a call of another worker that is only for an actor in memory, and waits
// for the lease before it is told that there is none.
func TestDrainWhileAnAbsenceIsConfirmed(t *testing.T) {
	run(t, func(b *bed) {
		b.lapse()
		told := make(chan error, 1)
		req := forwarded(1)
		req.OnlyIfActive, req.TimeoutNanos = true, int64(time.Hour)
		b.host.Serve(forwardedCall{b.t.Context(), func(_ *peerv1.InvokeResponse, err error) { told <- err }}, req)
		synctest.Wait()
		b.drainWithin(time.Second)
		if err := <-told; connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("the call was told %v", err)
		}
	})
}

// A turn whose method has returned, and whose actor has to be read before it can be
// committed, does not outlive the grace.
func TestDrainWhileATurnIsCommitted(t *testing.T) {
	runWith(t, withRelays, func(b *bed) {
		b.load = func(ctx context.Context) (*runtimev1.LoadResponse_Result, error) {
			<-ctx.Done() // as of a runtime that is away
			return nil, ctx.Err()
		}
		done := inBackground(func() (int64, error) {
			_, err := behaviourv1francis.NewRelayActorProxy(b.host.Service(), "relay1").Send(context.Background(),
				&behaviourv1.SendRequest{Probe: "id1", Later: true}, sdk.WithoutRetries())
			return 0, err
		})
		b.drainWithin(time.Second)
		if got := <-done; got.err == nil || sdk.OutcomeOf(got.err) != sdk.OutcomeNothingHappened {
			t.Errorf("the call was told %v", got.err)
		}
	})
}

// drainWithin ends the host, and checks that it took hardly longer than its grace.
func (b *bed) drainWithin(grace time.Duration) {
	b.t.Helper()
	began := time.Now()
	b.drain(grace)
	if took := time.Since(began); took > grace+time.Second {
		b.t.Errorf("the host had %v to stop, and took %v", grace, took)
	}
	synctest.Wait()
}
