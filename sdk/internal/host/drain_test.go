package host_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

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
