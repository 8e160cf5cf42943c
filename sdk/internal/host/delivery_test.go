package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

const superseded = runtimev1.Verdict_VERDICT_SUPERSEDED

// job is a delivery of a job to id1: a call of Add.
func job(id string, in int64) *runtimev1.Delivery {
	request, _ := proto.Marshal(&behaviourv1.AddRequest{In: in})
	return &runtimev1.Delivery{
		Task: &runtimev1.ScheduledTask{
			Task: &runtimev1.Task{
				Key:       &runtimev1.TaskKey{Type: "probe", Id: "id1", Name: &runtimev1.TaskKey_Job{Job: id}},
				Procedure: addProcedure, Request: request,
			},
			Revision: 7, Scheduled: timestamppb.New(time.Unix(1000, 0)),
		},
		Fence: &runtimev1.Fence{Shard: shardOf("id1"), Epoch: 1},
	}
}

// deliver gives the host a delivery. The bubble is at rest when it returns.
func (s *stage) deliver(due *runtimev1.Delivery) {
	s.host.Deliver(due)
	synctest.Wait()
}

// wantSettled checks how deliveries were settled: "failed: text", "dead: text" or
// "returned: delay".
func (s *stage) wantSettled(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, settlement := range s.settlements {
		switch failed := settlement.GetFailed(); {
		case failed.GetPermanent():
			got = append(got, "dead: "+failed.GetError())
		case failed != nil:
			got = append(got, "failed: "+failed.GetError())
		default:
			got = append(got, "returned: "+settlement.GetReturned().AsDuration().String())
		}
		if settlement.GetRevision() != 7 || settlement.GetFence().GetEpoch() != 1 || settlement.GetKey().GetJob() == "" {
			s.t.Errorf("the settlement does not say of what: %v", settlement)
		}
	}
	matches := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		matches = matches && strings.HasPrefix(got[i], want[i])
	}
	if !matches {
		s.t.Errorf("deliveries were settled as %q, want %q", got, want)
	}
	s.settlements = nil
}

// wantCompleted checks which deliveries the records complete, "" for none.
func (s *stage) wantCompleted(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, record := range s.records {
		got = append(got, record.GetCompletes().GetKey().GetJob())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("the records complete %q, want %q", got, want)
	}
}

// A delivery is completed by a record of its own, though its turn changes nothing.
func TestDeliveryIsCompleted(t *testing.T) {
	onStage(t, func(s *stage) {
		var seen *actor.Delivery
		s.act = func(_ context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			seen = turn.Delivery()
			if turn.Metadata()["tenant"] != "acme" {
				t.Errorf("the turn has the metadata %v", turn.Metadata())
			}
			return nil
		}
		due := job("j1", 0)
		due.Task.Failures = 2
		due.Task.Task.Metadata = map[string]string{"tenant": "acme"}
		s.deliver(due)
		s.wantCompleted("j1")
		want := actor.Delivery{Job: "j1", Scheduled: time.Unix(1000, 0).UTC(), Attempt: 3}
		if seen == nil || *seen != want {
			t.Errorf("the turn sees the delivery %v, want %v", seen, want)
		}
		if got := s.record().GetCompletes().GetRevision(); got != 7 {
			t.Errorf("the record completes revision %d, want 7", got)
		}
		s.apply()
		s.wantSettled()
		s.act = func(_ context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			if turn.Delivery() != nil {
				t.Error("a call is a delivery")
			}
			return nil
		}
		<-s.call(0)
	})
}

// A delivery waits for what was before it, and what is on top of it for it: a record
// completes one delivery, and begins with it.
func TestDeliveryBeginsARecord(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.call(1)
		s.deliver(job("j1", 10))
		second := s.call(0)
		s.deliver(job("j2", 100))
		third := s.call(0)
		s.wantCompleted("") // no delivery has begun
		s.apply()
		wantSum(t, first, 1)
		s.wantCompleted("", "j1") // the second delivery waits for its record
		s.wantWaiting(second, third)
		s.apply()
		wantSum(t, second, 11)
		s.wantCompleted("", "j1", "j2")
		s.wantWaiting(third)
		s.apply()
		wantSum(t, third, 111)
		s.wantSettled()
	})
}

// A delivery whose task has changed since has no effect, nor have turns on top of it.
func TestSupersededDelivery(t *testing.T) {
	onStage(t, func(s *stage) {
		s.deliver(job("j1", 10))
		call := s.call(1)
		s.answer(superseded)
		if got := <-call; !sdk.Retryable(got.err) || sdk.OutcomeOf(got.err) != sdk.OutcomeNothingHappened {
			t.Errorf("the call on top of it ended with %v, want that nothing happened", got.err)
		}
		s.wantSettled("returned: 1s") // which the runtime ignores
		again := s.call(1)
		s.apply()
		wantSum(t, again, 1)
	})
}

// What becomes of deliveries whose methods fail.
func TestDeliveryFails(t *testing.T) {
	long := strings.Repeat("é", limit.MaxFailure)
	for name, test := range map[string]struct {
		end    func() error
		refuse error
		want   string
	}{
		"an error":           {end: func() error { return errors.New("no luck") }, want: "failed: no luck"},
		"a coded error":      {end: func() error { return connect.NewError(connect.CodeResourceExhausted, "full") }, want: "failed: resource_exhausted: full"},
		"a permanent error":  {end: func() error { return actor.Permanent(errors.New("never")) }, want: "dead: never"},
		"a panic":            {end: func() error { panic("no") }, want: "failed: internal: /behaviour.v1.ProbeActor/Add panicked"},
		"a long text":        {end: func() error { return errors.New(long) }, want: "failed: " + long[:limit.MaxFailure-1]},
		"a constructor":      {refuse: errors.New("no actor"), want: "failed: no actor"},
		"a permanent reason": {refuse: actor.Permanent(errors.New("no actor")), want: "dead: no actor"},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.refuse = test.refuse
				s.act = func(context.Context, actor.Turn, *behaviourv1.AddRequest) error { return test.end() }
				s.deliver(job("j1", 1))
				s.wantSettled(test.want)
				s.refuse, s.act = nil, nil
				call := s.call(1)
				s.apply()
				wantSum(t, call, 1)
				s.wantCompleted("")
			})
		})
	}
}

// A delivery that this host could never run is no more to be tried.
func TestDeliveryThatCannotRun(t *testing.T) {
	for name, test := range map[string]struct {
		change func(task *runtimev1.Task)
		want   string
	}{
		"a method that is gone": {func(task *runtimev1.Task) { task.Procedure = "/x/Y" }, "dead: unimplemented: "},
		"a view by now":         {func(task *runtimev1.Task) { task.Procedure = readProcedure }, "dead: invalid_argument: "},
		"a damaged request":     {func(task *runtimev1.Task) { task.Request = []byte{0xff} }, "dead: invalid_argument: "},
		"a malformed key":       {func(task *runtimev1.Task) { task.IdempotencyKey = "\n" }, "dead: invalid_argument: "},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				due := job("j1", 1)
				test.change(due.Task.Task)
				s.deliver(due)
				s.wantSettled(test.want)
				s.wantSent(0)
			})
		})
	}
}

// A delivery that was not run comes again later, and no attempt is counted.
func TestDeliveryIsReturned(t *testing.T) {
	onStage(t, func(s *stage) {
		s.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			return nil, errors.New("the runtime is away")
		}
		s.deliver(job("j1", 1))
		s.wantSettled("returned: 1s")
		s.load = newCluster().load
		gate := make(chan struct{})
		s.act = func(context.Context, actor.Turn, *behaviourv1.AddRequest) error {
			<-gate
			return nil
		}
		var calls []<-chan outcome
		for range 9 { // one runs, eight wait
			calls = append(calls, s.call(0))
		}
		s.deliver(job("j1", 1))
		s.wantSettled("returned: ")
		close(gate)
		for _, call := range calls {
			wantSum(t, call, 0)
		}
		s.deliver(job("j1", 1))
		s.fail(errors.New("nobody knows"))
		s.wantSettled("returned: 1s")
	})
}

// What the host has already it ignores; what comes by a later epoch is another delivery.
func TestDeliveryThatIsThereAlready(t *testing.T) {
	onStage(t, func(s *stage) {
		s.deliver(job("j1", 1))
		s.deliver(job("j1", 1))
		if s.ran.Load() != 1 {
			t.Errorf("%d turns ran, want 1", s.ran.Load())
		}
		s.move(there)
		s.move(here)
		s.revoke()
		s.deliver(job("j1", 1)) // of epoch 1 still
		later := job("j1", 1)
		later.Fence.Epoch = 3
		s.deliver(later)
		s.answer(runtimev1.Verdict_VERDICT_STALE_EPOCH)
		s.apply()
		if s.ran.Load() != 2 {
			t.Errorf("%d turns ran, want 2", s.ran.Load())
		}
		s.wantCompleted("j1", "j1")
		if got := s.record().GetFence().GetEpoch(); got != 3 {
			t.Errorf("the last record has epoch %d, want 3", got)
		}
	})
}

// A delivery by a newer table waits for that table; one by an older table is dropped, and
// comes to who owns the actor.
func TestDeliveryByAnotherTable(t *testing.T) {
	onStage(t, func(s *stage) {
		early := job("j1", 1)
		early.Fence.Epoch = 2
		s.deliver(early)
		if s.ran.Load() != 0 {
			t.Error("it ran before the table was known")
		}
		s.set(func() { s.epoch = 2 })
		s.wantCompleted("j1")
		s.apply()
		s.deliver(job("j2", 1))
		s.wantCompleted("j1")
		s.wantSettled()
	})
}

// The deadline of a delivery begins with its method and ends it through its context; the
// delivery ends with its turn.
func TestDeliveryHasADeadline(t *testing.T) {
	onStage(t, func(s *stage) {
		gate := make(chan struct{})
		s.act = func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			if turn.Delivery() == nil {
				<-gate
				return nil
			}
			began := time.Now()
			if at, ok := ctx.Deadline(); !ok || at.Sub(began) != limit.CallTimeout {
				t.Errorf("the method has the deadline %v, %v", at, ok)
			}
			<-ctx.Done()
			if got := time.Since(began); got != limit.CallTimeout {
				t.Errorf("the method was told after %v", got)
			}
			time.Sleep(time.Minute)
			return ctx.Err()
		}
		call := s.call(0)
		s.deliver(job("j1", 1))
		time.Sleep(time.Hour) // it waits for the call
		close(gate)
		wantSum(t, call, 0)
		time.Sleep(limit.CallTimeout + time.Second)
		s.wantSettled()
		time.Sleep(time.Minute)
		s.wantSettled("failed: context deadline exceeded")
	})
}

// A turn that the host cancels, since it has lost the actor, is no attempt that has failed.
func TestCancelledDeliveryHasNotFailed(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = func(ctx context.Context, _ actor.Turn, _ *behaviourv1.AddRequest) error {
			<-ctx.Done()
			return fault.InvalidID("of another actor, whatever it is")
		}
		s.deliver(job("j1", 1))
		s.revoke()
		s.wantSettled("returned: 1s")
	})
}

// A job with an idempotency key that took effect before is completed without running again.
// Of one that repeats each time is another one.
func TestDeliveryWithAKey(t *testing.T) {
	onStage(t, func(s *stage) {
		due := job("j1", 1)
		due.Task.Task.IdempotencyKey = "k"
		s.deliver(due)
		s.apply()
		s.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED, Keys: s.record().GetKeys()}, nil
		}
		s.deliver(due)
		s.apply()
		s.wantCompleted("j1", "j1")
		s.wantSettled()
		if s.ran.Load() != 1 {
			t.Errorf("the method ran %d times, want once", s.ran.Load())
		}
		s.load = newCluster().load
		due.Task.Task.Timing = &runtimev1.Timing{Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(time.Hour)}}}
		for range 2 {
			s.deliver(due)
			s.apply()
		}
		if s.ran.Load() != 3 {
			t.Errorf("the method ran %d times, want 3", s.ran.Load())
		}
	})
}

// A handover waits for the delivery that runs and lets go of those that wait.
func TestHandoverDropsDeliveries(t *testing.T) {
	onStage(t, func(s *stage) {
		gate := make(chan struct{})
		s.act = func(context.Context, actor.Turn, *behaviourv1.AddRequest) error {
			<-gate
			return nil
		}
		s.deliver(job("j1", 1))
		s.deliver(job("j2", 1))
		emptied := make(chan error, 1)
		go func() { emptied <- s.host.Empty(context.Background(), "probe", shardOf("id1")) }()
		s.deliver(job("j3", 1)) // comes too late
		select {
		case <-emptied:
			t.Fatal("the shard was empty while a delivery ran")
		default:
		}
		close(gate)
		s.wantCompleted("j1")
		s.apply()
		if err := <-emptied; err != nil {
			t.Error(err)
		}
		s.move(there)
		s.host.Resume("probe", shardOf("id1"))
		s.wantCompleted("j1")
		s.wantSettled()
	})
}

// A host takes so many deliveries at a time, and more when it has room for several.
func TestDeliveriesAreBounded(t *testing.T) {
	onStage(t, func(s *stage) {
		gate := make(chan struct{})
		s.act = func(context.Context, actor.Turn, *behaviourv1.AddRequest) error {
			<-gate
			return errors.New("no")
		}
		room, err := s.host.Room(context.Background())
		if room != 1024 || err != nil {
			t.Fatalf("there is room for %d, %v; want 1024", room, err)
		}
		for n := range room {
			due := job(fmt.Sprintf("j%d", n), 1)
			due.Task.Task.Key.Id = fmt.Sprintf("id%d", n)
			s.host.Deliver(due)
		}
		more := make(chan int, 1)
		go func() {
			room, _ := s.host.Room(context.Background())
			more <- room
		}()
		synctest.Wait()
		if len(more) > 0 {
			t.Error("there is room for more")
		}
		close(gate)
		if got := <-more; got < 64 {
			t.Errorf("there is room for %d only", got)
		}
		ended, stop := context.WithCancel(context.Background())
		stop()
		synctest.Wait()
		if room, err := s.host.Room(ended); room != 1024 || err != nil {
			t.Errorf("there is room for %d, %v when all have ended", room, err)
		}
	})
}

// While the lease has lapsed a delivery waits.
func TestDeliveryWaitsForTheLease(t *testing.T) {
	onStage(t, func(s *stage) {
		s.lapse()
		s.deliver(job("j1", 1))
		time.Sleep(time.Hour)
		if s.ran.Load() != 0 {
			t.Error("it ran")
		}
		s.heal()
		s.wantCompleted("j1")
		s.apply()
		s.wantSettled()
	})
}
