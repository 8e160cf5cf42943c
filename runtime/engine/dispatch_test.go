package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/dispatch"
	"github.com/francis-actors/francis/internal/core/schedule"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// job is a job of an actor of type "cart", with three attempts.
func job(id, name string, timing *runtimev1.Timing) *runtimev1.Task {
	return &runtimev1.Task{
		Key:       &runtimev1.TaskKey{Type: "cart", Id: id, Name: &runtimev1.TaskKey_Job{Job: name}},
		Procedure: "/test.cart.Service/Ship", Timing: timing,
		Retry: &runtimev1.Retry{Attempts: 3, InitialBackoff: durationpb.New(time.Second), MaxBackoff: durationpb.New(time.Minute), Multiplier: 2},
	}
}

func after(d time.Duration) *runtimev1.Timing {
	return &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(d)}}
}

// set sets tasks.
func (m *member) set(tasks ...*runtimev1.Task) {
	m.h.t.Helper()
	req := &runtimev1.ChangeRequest{}
	for _, task := range tasks {
		req.Changes = append(req.Changes, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: task}})
	}
	answer, err := m.Change(m.h.t.Context(), req)
	if err != nil {
		m.h.t.Fatal(err)
	}
	for i, result := range answer.GetResults() {
		if result != runtimev1.ChangeResponse_RESULT_DONE {
			m.h.t.Fatalf("%s: %v", task.Describe(tasks[i].GetKey()), result)
		}
	}
}

// inbox is where a worker receives.
type inbox struct {
	*member
	session string
}

// receive waits for deliveries, half a minute at most.
func (b *inbox) receive(capacity uint32) []*runtimev1.Delivery {
	b.h.t.Helper()
	answer, err := b.Receive(b.h.t.Context(), &runtimev1.ReceiveRequest{Session: b.session, Capacity: capacity})
	if err != nil {
		b.h.t.Fatal(err)
	}
	b.session = answer.GetSession()
	return answer.GetDeliveries()
}

// names are the jobs that were delivered, by actor and name.
func names(deliveries []*runtimev1.Delivery) string {
	text := ""
	for _, delivery := range deliveries {
		key := delivery.GetTask().GetTask().GetKey()
		text += fmt.Sprintf("%s/%s ", key.GetId(), key.GetJob())
		if delivery.GetTask().GetAlone() {
			text += "alone "
		}
	}
	return text
}

func (b *inbox) expect(capacity uint32, want string) []*runtimev1.Delivery {
	b.h.t.Helper()
	deliveries := b.receive(capacity)
	if got := names(deliveries); got != want {
		b.h.t.Fatalf("received %q, want %q", got, want)
	}
	return deliveries
}

// complete commits a record that completes a delivery.
func (m *member) complete(delivery *runtimev1.Delivery) runtimev1.Verdict {
	m.h.t.Helper()
	key := delivery.GetTask().GetTask().GetKey()
	return m.commit(&runtimev1.Record{
		Actor: &runtimev1.Actor{Type: key.GetType(), Id: key.GetId()}, Fence: delivery.GetFence(),
		Identity: &runtimev1.Identity{Activation: delivery.GetTask().GetRevision(), Sequence: 1}, Message: "m", Data: []byte("s"),
		Completes: &runtimev1.Completion{Key: key, Revision: delivery.GetTask().GetRevision()},
	})
}

// commit commits one record.
func (m *member) commit(record *runtimev1.Record) runtimev1.Verdict {
	m.h.t.Helper()
	answer, err := m.Commit(m.h.t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{record}})
	if err != nil {
		m.h.t.Fatal(err)
	}
	return answer.GetResults()[0].GetVerdict()
}

// fail settles a delivery whose method has failed.
func (m *member) fail(delivery *runtimev1.Delivery) {
	m.h.t.Helper()
	answer, err := m.Settle(m.h.t.Context(), &runtimev1.SettleRequest{Settlements: []*runtimev1.Settlement{{
		Key: delivery.GetTask().GetTask().GetKey(), Revision: delivery.GetTask().GetRevision(), Fence: delivery.GetFence(),
		End: &runtimev1.Settlement_Failed{Failed: &runtimev1.Failure{Error: "boom"}},
	}}})
	if err != nil {
		m.h.t.Fatal(err)
	}
	if v := answer.GetVerdicts()[0]; v != runtimev1.Verdict_VERDICT_APPLIED {
		m.h.t.Fatalf("settled as %v", v)
	}
}

// dead are the dead letters.
func (m *member) dead() []*runtimev1.ScheduledTask {
	m.h.t.Helper()
	answer, err := m.List(m.h.t.Context(), &runtimev1.ListRequest{Type: "cart", Dead: true})
	if err != nil {
		m.h.t.Fatal(err)
	}
	return answer.GetTasks()
}

// What is due is delivered on time, once, and is gone when a record has completed it.
func TestDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		w := &inbox{member: h.join("cart")}
		start := time.Now()
		w.set(job("a", "1", after(5*time.Second)), job("a", "2", after(10*time.Minute)), job("b", "1", after(5*time.Second)))
		deliveries := w.expect(10, "a/1 b/1 ")
		if got := seconds(start); got < 5 || got > 5.1 {
			t.Errorf("delivered after %v s, want 5", got)
		}
		for _, delivery := range deliveries {
			if v := w.complete(delivery); v != runtimev1.Verdict_VERDICT_APPLIED {
				t.Errorf("completed as %v", v)
			}
			if v := w.complete(delivery); v != runtimev1.Verdict_VERDICT_ALREADY_APPLIED {
				t.Errorf("the record sent again is %v", v)
			}
		}
		for seconds(start) < 570 {
			w.expect(10, "")
		}
		w.expect(10, "a/2 ")
		if got := seconds(start); got < 600 || got > 600.1 {
			t.Errorf("delivered after %v s, want 600", got)
		}
	})
}

// What goes with its actor is delivered no more, nor what was out comes again.
func TestDeletionEndsDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		w := &inbox{member: h.join("cart")}
		w.set(job("a", "1", nil), job("a", "2", after(5*time.Second)), job("b", "1", after(10*time.Second)))
		out := w.expect(10, "a/1 ")[0]
		deletion := &runtimev1.Record{
			Actor: &runtimev1.Actor{Type: "cart", Id: "a"}, Fence: out.GetFence(), Deletes: true,
			Identity: &runtimev1.Identity{Activation: 1, Sequence: 1},
		}
		if v := w.commit(deletion); v != runtimev1.Verdict_VERDICT_APPLIED {
			t.Fatalf("the deletion is %v", v)
		}
		w.set(job("a", "3", after(6*time.Second))) // of the actor that begins anew
		w.expect(10, "a/3 ")
		w.expect(10, "b/1 ")
		w.expect(10, "")
	})
}

// A delivery that fails comes again after its backoff, and dies with the last attempt.
func TestDeliveryFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		w := &inbox{member: h.join("cart")}
		w.set(job("a", "1", nil))
		for attempt := range 3 {
			begin := time.Now()
			delivery := w.expect(1, "a/1 ")[0]
			if got, most := seconds(begin), float64(attempt); got > most+0.1 || got < 0.8*most {
				t.Errorf("attempt %d came after %v s", attempt+1, got)
			}
			w.fail(delivery)
		}
		w.expect(1, "")
		if dead := w.dead(); len(dead) != 1 || dead[0].GetFailures() != 3 || dead[0].GetError() != "boom" {
			t.Errorf("the dead letters are %v", dead)
		}
	})
}

// The tasks of a worker that is declared dead run alone with the next one, and one of them
// that kills each worker becomes a dead letter; the others do not.
func TestDeathStrands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		first := &inbox{member: h.join("cart")}
		first.set(job("a", "1", nil), job("poison", "1", nil), job("z", "1", nil))
		first.expect(10, "a/1 poison/1 z/1 ")
		done := ""
		for deaths := 0; ; deaths++ {
			if deaths > 3 {
				t.Fatal("the poison has killed more workers than it has attempts")
			}
			heir := &inbox{member: h.join("cart")}
			first.quiet()
			died := false
			for !died {
				deliveries := heir.receive(10)
				if len(deliveries) != 1 {
					break
				}
				if text := names(deliveries); text != "poison/1 alone " {
					done += text
					heir.complete(deliveries[0])
					continue
				}
				died = true
			}
			if first = heir; !died {
				break
			}
		}
		if done != "a/1 alone z/1 alone " && done != "z/1 alone a/1 alone " {
			t.Errorf("done: %q", done)
		}
		if dead := first.dead(); len(dead) != 1 || dead[0].GetTask().GetKey().GetId() != "poison" || dead[0].GetFailures() != 3 {
			t.Errorf("the dead letters are %v", dead)
		}
	})
}

// What is out with a worker that gives its shards back is due again, as it was.
func TestReleaseReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		first := &inbox{member: h.join("cart")}
		first.set(job("a", "1", nil), job("b", "1", nil))
		old := first.expect(10, "a/1 b/1 ")[0]
		heir := &inbox{member: h.join("cart")}
		first.look()
		owned, _ := first.owned("cart")
		req := releases(owned)
		req.Leaving = true
		first.release(req)
		if got := names(heir.receive(10)); got != "a/1 b/1 " && got != "b/1 a/1 " { // two actors have no order
			t.Fatalf("received %q, want both jobs", got)
		}
		if v := first.complete(old); v != runtimev1.Verdict_VERDICT_STALE_EPOCH {
			t.Errorf("the old owner's record is %v", v)
		}
	})
}

// A worker that has lost an answer gets what was in it again, one that has not does not.
func TestReceiveSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		w := &inbox{member: h.join("cart")}
		w.set(job("a", "1", nil), job("b", "1", nil))
		done := w.expect(1, "a/1 ")[0]
		w.expect(10, "b/1 ")
		w.expect(10, "")
		w.complete(done)
		w.session = ""
		w.expect(10, "b/1 ")
		w.session = "of another runtime"
		w.expect(10, "b/1 ")
		w.expect(10, "")
	})
}

func TestReceiveIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		w := &inbox{member: h.join("cart")}
		for _, capacity := range []uint32{0, 1025} {
			_, err := w.Receive(t.Context(), &runtimev1.ReceiveRequest{Capacity: capacity})
			expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED)
		}
		// One that waits in the name of the same worker is answered with nothing.
		answered := make(chan []*runtimev1.Delivery, 1)
		go func() { answered <- (&inbox{member: w.member}).receive(1) }()
		synctest.Wait()
		w.set(job("a", "1", after(time.Second)))
		w.expect(1, "a/1 ")
		if deliveries := <-answered; len(deliveries) != 0 {
			t.Errorf("the other one received %s", names(deliveries))
		}
		// One that is declared dead learns it while it waits, and can change nothing.
		begin := time.Now()
		w.quiet()
		_, err := w.Receive(t.Context(), &runtimev1.ReceiveRequest{Session: w.session, Capacity: 1})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
		if got := seconds(begin); got > 7 {
			t.Errorf("it was told after %v s", got)
		}
		_, err = w.Change(t.Context(), &runtimev1.ChangeRequest{})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
	})
}

// What is missed and left out comes at its next time; what runs late comes late.
func TestMissedTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		nobody := h.admit()
		hourly := func(missed runtimev1.Missed) *runtimev1.Timing {
			return &runtimev1.Timing{
				First:  &runtimev1.Timing_At{At: timestamppb.New(time.Now().Add(time.Hour))},
				Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(time.Hour)}}, Missed: missed,
			}
		}
		begin := time.Now()
		nobody.set(job("skips", "1", hourly(runtimev1.Missed_MISSED_SKIP)), job("coalesces", "1", hourly(runtimev1.Missed_MISSED_COALESCE)))
		time.Sleep(150 * time.Minute)
		w := &inbox{member: h.join("cart")}
		w.complete(w.expect(10, "coalesces/1 ")[0])
		var next []*runtimev1.Delivery
		for len(next) == 0 {
			next = w.receive(10)
		}
		if got := names(next); got != "coalesces/1 skips/1 " && got != "skips/1 coalesces/1 " {
			t.Errorf("received %q", got)
		}
		if got := seconds(begin); got < 3*3600 || got > 3*3600+1 {
			t.Errorf("received after %v s", got)
		}
	})
}

// A type has a rate, whatever is due of it.
func TestDeliveryRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{DeliveriesOf: map[string]dispatch.Rate{"cart": {PerSecond: 10, Burst: 5}}})
		w := &inbox{member: h.join("cart")}
		for i := range 45 {
			w.set(job(fmt.Sprint(i), "1", after(time.Second)))
		}
		time.Sleep(time.Second)
		begin, received := time.Now(), 0
		for received < 45 {
			received += len(w.receive(100))
			if most := 5 + 10*seconds(begin); float64(received) > most+1e-6 {
				t.Fatalf("%d after %v s", received, seconds(begin))
			}
		}
		if got := seconds(begin); got > 4.1 {
			t.Errorf("45 took %v s", got)
		}
	})
}

// failing is a store that cannot say what is due, what time it is or what has happened, while it fails.
type failing struct{ *broken }

func (f failing) Due(ctx context.Context, query store.DueQuery) (store.Due, error) {
	if err := f.fault(); err != nil {
		return store.Due{}, err
	}
	return f.Store.Due(ctx, query)
}

func (f failing) Now(ctx context.Context) (time.Time, error) {
	if err := f.fault(); err != nil {
		return time.Time{}, err
	}
	return f.Store.Now(ctx)
}

func (f failing) Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, store.Moved, error) {
	results, moved, err := f.Store.Change(ctx, changes)
	if broken := f.fault(); broken != nil {
		return nil, store.Moved{}, broken
	}
	return results, moved, err
}

func (f failing) Strand(ctx context.Context, out []*runtimev1.Completion) (store.Moved, error) {
	if err := f.fault(); err != nil {
		return store.Moved{}, err
	}
	return f.Store.Strand(ctx, out)
}

// timeless is a store that cannot tell the time until it was asked often enough.
type timeless struct {
	*broken

	fails atomic.Int32
}

func (s *timeless) Now(ctx context.Context) (time.Time, error) {
	if s.fails.Add(-1) >= 0 {
		return time.Time{}, errors.New("the clock is gone")
	}
	return s.Store.Now(ctx)
}

// Nothing is given before the engine knows the time of the store, which it asks for again.
func TestDispatchWaitsForTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &timeless{broken: newBroken()}
		store.fails.Store(3)
		begin := time.Now()
		w := &inbox{member: start(t, Config{Store: store}).join("cart")}
		w.set(job("a", "1", nil))
		w.expect(10, "a/1 ")
		if got := time.Since(begin); got != 3*retryInterval {
			t.Errorf("it was given after %v, want %v", got, 3*retryInterval)
		}
	})
}

// Who waits for deliveries leaves with his context, also while nothing can be given and when
// he has waited for as long as nobody waits longer.
func TestReceiveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &timeless{broken: newBroken()}
		store.fails.Store(math.MaxInt32)
		w := &inbox{member: start(t, Config{Store: store}).join("cart")}
		ctx, cancel := context.WithTimeout(t.Context(), receivePatience+time.Second)
		defer cancel()
		time.AfterFunc(time.Minute, func() { store.fails.Store(0) })
		begin := time.Now()
		_, err := w.Receive(ctx, &runtimev1.ReceiveRequest{Capacity: 1})
		if took := time.Since(begin); err == nil || took != receivePatience+time.Second {
			t.Errorf("it ended with %v after %v, want an error after %v", err, took, receivePatience+time.Second)
		}
	})
}

// A store that fails loses nothing: what happened unheard is found, what was to happen does.
func TestDispatchSurvivesTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := failing{newBroken()}
		h := start(t, Config{Store: store})
		w := &inbox{member: h.join("cart")}
		w.set(job("a", "1", nil))
		w.expect(10, "a/1 ")
		store.set(errors.New("the disk is gone"))
		_, err := w.Change(t.Context(), &runtimev1.ChangeRequest{Changes: []*runtimev1.TaskChange{{
			Change: &runtimev1.TaskChange_Set{Set: job("b", "1", after(schedule.Grace))},
		}}})
		if err == nil {
			t.Fatal("the change did not fail")
		}
		w.quiet()
		time.Sleep(time.Minute)
		store.set(nil)
		w = &inbox{member: h.join("cart")}
		received := ""
		for range 3 {
			for _, delivery := range w.receive(10) {
				received += names([]*runtimev1.Delivery{delivery})
				w.complete(delivery)
			}
		}
		if received != "b/1 a/1 alone " && received != "a/1 alone b/1 " {
			t.Errorf("received %q", received)
		}
	})
}

// shared is a store of several engines.
type shared struct{ store.Store }

func (shared) Placements(context.Context) (store.Placements, error) { return store.Placements{}, nil }

var _ store.Shared = shared{}

// What another engine of the store sets is delivered too, by the one whom its owner asks.
func TestDispatchOfASharedStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := shared{memory.New()}
		h, other := start(t, Config{Store: kept}), start(t, Config{Store: kept})
		w := &inbox{member: h.join("cart")}
		w.expect(1, "")
		setter, begin := other.admit(), time.Now()
		setter.set(job("a", "1", after(time.Second)), job("b", "1", nil))
		w.complete(w.expect(1, "b/1 ")[0])
		w.expect(1, "a/1 ")
		if got := seconds(begin); got > 2.1 {
			t.Errorf("received after %v s", got)
		}
	})
}
