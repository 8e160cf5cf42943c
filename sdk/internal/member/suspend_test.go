package member

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
)

// A machine that was suspended finds the lease lapsed, although its monotonic clock stood
// still: nothing starts before the runtime has answered.
func TestSuspendedMachineHasLapsed(t *testing.T) {
	run(t, func(b *bed) {
		if err := <-b.add(&behaviourv1.AddRequest{In: 1}); err != nil {
			t.Fatal(err)
		}
		b.setAway(true)
		b.suspended.Store(int64(10 * time.Second))
		if b.member.Active() {
			t.Error("the lease is active after ten seconds of suspend")
		}
		waits := b.add(&behaviourv1.AddRequest{In: 1})
		if len(waits) > 0 {
			t.Fatalf("a call was answered behind the lapse: %v", <-waits)
		}
		b.setAway(false)
		if err := <-waits; err != nil {
			t.Errorf("after the next renewal the call ended with %v", err)
		}
		synctest.Wait()
	})
}

func TestHighestMarkStays(t *testing.T) {
	t.Parallel()
	m := New(Config{})
	for _, mark := range [][]byte{nil, {0, 5}, {0, 3}, {1, 0}, {0, 9}, nil} {
		m.saw(mark)
	}
	if got := m.mark(); !bytes.Equal(got, []byte{1, 0}) {
		t.Errorf("mark %v", got)
	}
}

// A read that did not fit into an answer is asked for again.
func TestLoadThatDidNotFitIsRepeated(t *testing.T) {
	run(t, func(b *bed) {
		asked := 0
		b.onLoad = func(n int) ([]*runtimev1.LoadResponse_Result, error) {
			asked++
			results := make([]*runtimev1.LoadResponse_Result, n)
			for i := range results {
				results[i] = &runtimev1.LoadResponse_Result{}
				if asked == 3 {
					results[i].Verdict = runtimev1.Verdict_VERDICT_APPLIED
				}
			}
			return results, nil
		}
		if err := <-b.add(&behaviourv1.AddRequest{In: 1}); err != nil || asked != 3 {
			t.Errorf("the call ended with %v after %d loads, want 3", err, asked)
		}
	})
}

// A call that another worker sends after a suspend finds the lease lapsed too.
func TestForwardedCallsSeeASuspend(t *testing.T) {
	run(t, func(b *bed) {
		b.setAway(true)
		b.suspended.Store(int64(10 * time.Second))
		b.member.Arrived()
		if b.member.ActiveForForwarded() {
			t.Error("the lease is active for a call that came after ten seconds of suspend")
		}
		b.setAway(false)
		for !b.member.ActiveForForwarded() {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		b.setAway(true)
		if !b.member.ActiveForForwarded() {
			t.Error("the lease is not active although it was renewed")
		}
		time.Sleep(testLease)
		if b.member.ActiveForForwarded() {
			t.Error("the lease is active without a renewal")
		}
		b.setAway(false)
	})
}
