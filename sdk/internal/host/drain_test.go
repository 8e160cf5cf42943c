package host_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
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

// Whoever waits for the lease when the host stops is told so: its answer may not leave, and
// the host waits for nobody after its grace.
func TestDrainBehindALapse(t *testing.T) {
	for name, call := range map[string]func(b *bed) <-chan outcome{
		"a view that has ended": func(b *bed) <-chan outcome {
			done := b.read(&behaviourv1.Script{Wait: "gate"})
			b.lapse()
			b.probes.Open("gate")
			synctest.Wait()
			return done
		},
		"a call that has not begun": func(b *bed) <-chan outcome {
			b.lapse()
			return b.add(&behaviourv1.AddRequest{In: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				done := call(b)
				began := time.Now()
				b.drain(time.Second)
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("the host had a second to stop, and took %v", took)
				}
				synctest.Wait()
				if len(done) == 0 {
					t.Fatal("the call is told nothing")
				}
				wantError(t, done, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
			})
		})
	}
}

// A call of another worker that only wants an actor in memory waits for the lease before it
// is told that there is none.
func TestDrainWhileAnAbsenceIsConfirmed(t *testing.T) {
	run(t, func(b *bed) {
		b.lapse()
		told := make(chan error, 1)
		req := forwarded(1)
		req.OnlyIfActive, req.TimeoutNanos = true, int64(time.Hour)
		b.host.Serve(forwardedCall{b.t.Context(), func(_ *peerv1.InvokeResponse, err error) { told <- err }}, req)
		synctest.Wait()
		began := time.Now()
		b.drain(time.Second)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the host had a second to stop, and took %v", took)
		}
		if err := <-told; connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("the call was told %v", err)
		}
	})
}
