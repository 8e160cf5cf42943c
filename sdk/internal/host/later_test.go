package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/host"
)

const (
	addProcedure  = "/behaviour.v1.ProbeActor/Add"
	readProcedure = "/behaviour.v1.ProbeActor/Read"
)

// stage is a host whose probes do what the test tells them.
type stage struct {
	*store

	// act is what turns do, after they have added to their sum; nil for nothing more.
	act func(ctx context.Context, turn actor.Turn, req *behaviourv1.AddRequest) error
	// view is what views do.
	view func(ctx context.Context, turn actor.Turn) error
	// refuse fails constructors.
	refuse error
	// ran counts the turns that have begun.
	ran atomic.Int32
}

// onStage runs a test with a host of such probes. Their records wait for the test.
func onStage(t *testing.T, test func(s *stage)) {
	t.Helper()
	s := &stage{}
	runWith(t, s.register, func(b *bed) {
		s.store = &store{bed: b, answers: make(chan answer, 100)}
		b.commit = func() (*runtimev1.CommitResponse_Result, error) {
			a := <-s.answers
			return a.res, a.err
		}
		test(s)
	})
}

func (s *stage) register(b *bed) error {
	declared, problems := contract.Read(behaviourv1.File_behaviour_v1_behaviour_proto.Services().ByName("ProbeActor"))
	if len(problems) > 0 {
		return errors.New(problems[0].Text)
	}
	bound := map[string]*actor.Method{}
	for _, m := range declared.Methods {
		bound[m.Procedure] = &actor.Method{Method: m, Run: s.run}
	}
	bound[addProcedure].Request, bound[addProcedure].Reply = messages[behaviourv1.AddRequest](), messages[behaviourv1.AddResponse]()
	bound[readProcedure].Request, bound[readProcedure].Reply = messages[behaviourv1.ReadRequest](), messages[behaviourv1.ReadResponse]()
	return b.host.RegisterActor(&actor.Type{
		Contract: declared, Bound: bound, StateType: (&behaviourv1.ProbeState{}).ProtoReflect().Type(),
		New: func(context.Context, actor.Activation) (any, error) { return s, s.refuse },
	})
}

func messages[M any, P interface {
	*M
	proto.Message
}]() actor.Message {
	return actor.Message{New: func() proto.Message { return P(new(M)) }, Copy: proto.Clone}
}

func (s *stage) run(ctx context.Context, _ any, turn actor.Turn, req proto.Message) (proto.Message, error) {
	add, ok := req.(*behaviourv1.AddRequest)
	if !ok {
		return &behaviourv1.ReadResponse{Sum: turn.State().(*behaviourv1.ProbeState).GetSum()}, s.view(ctx, turn)
	}
	s.ran.Add(1)
	state := turn.State().(*behaviourv1.ProbeState)
	state.Sum += add.GetIn()
	if s.act != nil {
		if err := s.act(ctx, turn, add); err != nil {
			return nil, err
		}
	}
	return &behaviourv1.AddResponse{Sum: state.GetSum()}, nil
}

// call calls Add of id1. The bubble is at rest when it returns.
func (s *stage) call(in int64) <-chan outcome {
	return inBackground(func() (int64, error) {
		reply, err := s.host.Service().Invoke(context.Background(), actor.Call{
			Type: "probe", ID: "id1", Procedure: addProcedure, Request: &behaviourv1.AddRequest{In: in}, Reply: (*behaviourv1.AddResponse)(nil),
		})
		res, _ := reply.(*behaviourv1.AddResponse)
		return res.GetSum(), err
	})
}

// later is a call of Add for later.
func later(l actor.Later) actor.Call {
	return actor.Call{Type: "probe", ID: "id2", Procedure: addProcedure, Request: &behaviourv1.AddRequest{In: 5}, Later: &l}
}

func after(d time.Duration) *runtimev1.Timing {
	return &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(d)}}
}

func deletion(alarm string) *runtimev1.TaskChange {
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: &runtimev1.TaskKey{Type: "probe", Id: "id1", Name: &runtimev1.TaskKey_Alarm{Alarm: alarm}}}}
}

// staged makes turns stage so many jobs, with requests of a size.
func staged(jobs, size int) func(context.Context, actor.Turn, *behaviourv1.AddRequest) error {
	return func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
		for n := range jobs {
			call := later(actor.Later{Job: fmt.Sprintf("j%d", n)})
			call.Request = &behaviourv1.AddRequest{Script: &behaviourv1.Script{Fail: strings.Repeat("x", size)}}
			if _, err := turn.Invoke(ctx, call); err != nil {
				return err
			}
		}
		return nil
	}
}

// record is the last one that was sent.
func (s *stage) record() *runtimev1.Record {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		s.t.Fatal("no record was sent")
	}
	return s.records[len(s.records)-1]
}

func wantFault(t *testing.T, err error, code connect.Code, reason francisv1.Reason) {
	t.Helper()
	if connect.CodeOf(err) != code || fault.Detail(err).GetReason() != reason || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
		t.Errorf("error %v with %v, want code %v, reason %v and that nothing happened", err, fault.Detail(err), code, reason)
	}
}

// What a turn does to tasks travels with its record, in order, though its state is
// unchanged.
func TestTurnStages(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			_, alarm := turn.Invoke(ctx, later(actor.Later{Alarm: "tick", Timing: after(time.Hour)}))
			_, job := turn.Invoke(ctx, later(actor.Later{Job: "j1"}))
			return errors.Join(alarm, job, turn.Change(ctx, deletion("old")))
		}
		call := s.call(0)
		s.wantWaiting(call)
		s.apply()
		wantSum(t, call, 0)
		changes := s.record().GetChanges()
		if len(changes) != 3 || changes[0].GetSet().GetKey().GetAlarm() != "tick" || changes[1].GetSet().GetKey().GetJob() != "j1" || changes[2].GetDelete().GetAlarm() != "old" {
			t.Fatalf("the record carries the changes %v", changes)
		}
		want := &runtimev1.Task{
			Key: &runtimev1.TaskKey{Type: "probe", Id: "id2", Name: &runtimev1.TaskKey_Alarm{Alarm: "tick"}}, Procedure: addProcedure,
			Request: []byte{8, 5}, Timing: after(time.Hour),
			Retry: &runtimev1.Retry{Attempts: 5, InitialBackoff: durationpb.New(time.Second), MaxBackoff: durationpb.New(5 * time.Minute), Multiplier: 2},
		}
		if !proto.Equal(changes[0].GetSet(), want) {
			t.Errorf("the task is %v, want %v", changes[0].GetSet(), want)
		}
		if len(s.changes) > 0 {
			t.Errorf("the turn changed tasks apart from its record: %v", s.changes)
		}
	})
}

// Records use the memory of earlier ones, and carry nothing of them.
func TestRecordsCarryNothingOfEarlierOnes(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = staged(1, 0)
		first := s.add(&behaviourv1.AddRequest{In: 1}, sdk.WithIdempotencyKey("k"))
		s.act = nil
		s.apply()
		wantSum(t, first, 1)
		if full := s.record(); len(full.GetKeys()) != 1 || len(full.GetChanges()) != 1 || full.GetBase() != nil {
			t.Fatalf("the first record is %v", full)
		}
		for sequence := uint64(2); sequence < 5; sequence++ { // more than an activation has at a time
			call := s.call(1)
			s.apply()
			wantSum(t, call, int64(sequence))
			want := &runtimev1.Record{
				Actor: &runtimev1.Actor{Type: "probe", Id: "id1"}, Fence: s.records[0].GetFence(), Message: "behaviour.v1.ProbeState", Data: []byte{8, byte(sequence)},
				Base:     &runtimev1.Identity{Activation: s.records[0].GetIdentity().GetActivation(), Sequence: sequence - 1},
				Identity: &runtimev1.Identity{Activation: s.records[0].GetIdentity().GetActivation(), Sequence: sequence},
			}
			if got := s.record(); !proto.Equal(got, want) {
				t.Errorf("record %d is %v, want %v", sequence, got, want)
			}
		}
	})
}

// Nothing of a turn that fails is staged.
func TestFailedTurnStagesNothing(t *testing.T) {
	onStage(t, func(s *stage) {
		stages := staged(1, 0)
		s.act = func(ctx context.Context, turn actor.Turn, req *behaviourv1.AddRequest) error {
			if err := stages(ctx, turn, req); err != nil {
				return err
			}
			if req.GetIn() == 2 {
				panic("no")
			}
			return errors.New("no")
		}
		for _, in := range []int64{1, 2} {
			if got := <-s.call(in); got.err == nil {
				t.Error("the turn succeeded")
			}
		}
		s.wantSent(0)
	})
}

// A turn stages while its method runs, and not through what it left behind.
func TestStagingEndsWithTheMethod(t *testing.T) {
	onStage(t, func(s *stage) {
		var left actor.Turn
		s.act = func(_ context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			left = turn
			return nil
		}
		<-s.call(0)
		_, err := left.Invoke(context.Background(), later(actor.Later{Job: "j1"}))
		wantFault(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_TURN_OVER)
		wantFault(t, left.Change(context.Background(), deletion("a")), connect.CodeFailedPrecondition, francisv1.Reason_REASON_TURN_OVER)
		s.wantSent(0)
	})
}

// A turn does so much to tasks, and not more.
func TestStagingIsBounded(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = staged(limit.MaxChanges+1, 0)
		got := <-s.call(0)
		wantFault(t, got.err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE)
		s.act = staged(3, 1<<20)
		got = <-s.call(0)
		wantFault(t, got.err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE)
		s.wantSent(0)
	})
}

// reviving makes turns revive so many dead letters.
func reviving(letters int) func(context.Context, actor.Turn, *behaviourv1.AddRequest) error {
	return func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
		for n := range letters {
			if err := turn.Change(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Revive{Revive: deletion(fmt.Sprint("a", n)).GetDelete()}}); err != nil {
				return err
			}
		}
		return nil
	}
}

// The runtime takes no record that revives more dead letters than limit.MaxRevived, whether
// one turn does or several that accumulate.
func TestRevivalsAreBounded(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = reviving(limit.MaxRevived + 1)
		got := <-s.call(1)
		wantFault(t, got.err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE)
		s.wantSent(0)

		s.act = reviving(limit.MaxRevived)
		first := s.call(1)
		s.act = reviving(limit.MaxRevived/2 + 1)
		second, third := s.call(1), s.call(1)
		for n, done := range []<-chan outcome{first, second, third} {
			s.wantSent(n + 1)
			s.apply()
			wantSum(t, done, int64(n+1))
		}
		for _, record := range s.records {
			if got := len(record.GetChanges()); got > limit.MaxRevived {
				t.Errorf("a record revives %d dead letters", got)
			}
		}
	})
}

// What does not fit into the next record waits until that has been sent.
func TestStagingWaitsForRoom(t *testing.T) {
	for name, size := range map[string]int{"changes": 0, "bytes": 3 << 10} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.act = staged(600, size)
				first, second, third := s.call(1), s.call(1), s.call(1)
				s.wantWaiting(first, second, third)
				s.wantSent(1)
				s.apply() // the second record leaves with the second turn alone
				wantSum(t, first, 1)
				s.wantSent(2)
				s.apply()
				wantSum(t, second, 2)
				s.wantSent(3)
				s.apply()
				wantSum(t, third, 3)
				for _, record := range s.records {
					if got := len(record.GetChanges()); got != 600 {
						t.Errorf("a record has %d changes, want 600", got)
					}
				}
			})
		})
	}
}

// From outside a call for later is stored at once.
func TestScheduleFromOutside(t *testing.T) {
	onStage(t, func(s *stage) {
		service := s.host.Service()
		ctx := actor.NewMetadataContext(context.Background(), actor.Metadata{"tenant": "acme"})
		keyed := later(actor.Later{})
		keyed.Key = "k"
		for range 2 {
			if reply, err := service.Invoke(ctx, keyed); reply != nil || err != nil {
				t.Errorf("the call was answered with %v, %v", reply, err)
			}
		}
		first, second := s.changes[0].GetSet(), s.changes[1].GetSet()
		if first.GetKey().GetJob() == "" || first.GetIdempotencyKey() != "k" || first.GetMetadata()["tenant"] != "acme" || !proto.Equal(first, second) {
			t.Errorf("a keyed job was set as %v and %v", first, second)
		}
		s.change = func() (runtimev1.ChangeResponse_Result, error) { return runtimev1.ChangeResponse_RESULT_CONFLICT, nil }
		_, err := service.Invoke(ctx, keyed)
		wantFault(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY)
		s.change = func() (runtimev1.ChangeResponse_Result, error) { return runtimev1.ChangeResponse_RESULT_NOT_FOUND, nil }
		wantFault(t, service.Change(ctx, deletion("a")), connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK)
		s.change = func() (runtimev1.ChangeResponse_Result, error) {
			return 0, fmt.Errorf("%w: %w", host.ErrUnsent, context.DeadlineExceeded)
		}
		wantFault(t, service.Change(ctx, deletion("a")), connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE)
		s.change = func() (runtimev1.ChangeResponse_Result, error) { return 0, errors.New("lost") }
		if err := service.Change(ctx, deletion("a")); sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
			t.Errorf("a change that was not answered failed with %v", err)
		}
	})
}

// What could never be delivered is refused at the call, from outside and in a turn.
func TestScheduleRefusesBadInput(t *testing.T) {
	for name, test := range map[string]struct {
		change func(c *actor.Call)
		code   connect.Code
		reason francisv1.Reason
	}{
		"malformed id":    {func(c *actor.Call) { c.ID = "" }, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID},
		"unknown type":    {func(c *actor.Call) { c.Type = "other" }, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TYPE},
		"unknown method":  {func(c *actor.Call) { c.Procedure = "/x/Y" }, connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD},
		"a view":          {func(c *actor.Call) { c.Procedure = readProcedure }, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK},
		"another request": {func(c *actor.Call) { c.Request = &behaviourv1.ReadRequest{} }, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED},
		"no request":      {func(c *actor.Call) { c.Request = nil }, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED},
		"a damaged body":  {func(c *actor.Call) { c.Codec, c.Body = 1, []byte{0xff} }, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED},
		"too large": {func(c *actor.Call) {
			c.Request = &behaviourv1.AddRequest{Script: &behaviourv1.Script{Fail: strings.Repeat("x", limit.MaxTaskRequest)}}
		}, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE},
		"malformed name":   {func(c *actor.Call) { c.Later.Alarm = "\n" }, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK},
		"no name":          {func(c *actor.Call) { c.Later = &actor.Later{} }, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK},
		"alarm with a key": {func(c *actor.Call) { c.Key = "k" }, connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY},
		"malformed timing": {func(c *actor.Call) { c.Later.Timing = after(-time.Second) }, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				call := later(actor.Later{Alarm: "a"})
				test.change(&call)
				_, err := s.host.Service().Invoke(context.Background(), call)
				wantFault(t, err, test.code, test.reason)
				s.act = func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
					_, err := turn.Invoke(ctx, call)
					wantFault(t, err, test.code, test.reason)
					return nil
				}
				<-s.call(0)
				s.wantSent(0)
				if len(s.changes) > 0 {
					t.Errorf("it was stored: %v", s.changes)
				}
			})
		})
	}
}

// A view changes no tasks, however it tries.
func TestViewSchedulesNothing(t *testing.T) {
	onStage(t, func(s *stage) {
		s.view = func(ctx context.Context, view actor.Turn) error {
			for _, caller := range []actor.Caller{view, s.host.Service()} {
				_, err := caller.Invoke(ctx, later(actor.Later{Job: "j"}))
				wantFault(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW)
				wantFault(t, caller.Change(ctx, deletion("a")), connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW)
			}
			return nil
		}
		_, err := s.host.Service().Invoke(context.Background(), actor.Call{
			Type: "probe", ID: "id1", Procedure: readProcedure, View: true, Request: &behaviourv1.ReadRequest{}, Reply: (*behaviourv1.ReadResponse)(nil),
		})
		if err != nil || len(s.changes) > 0 {
			t.Errorf("the view ended with %v, and changed %v", err, s.changes)
		}
	})
}

// Lists are read when what earlier turns did is durable.
func TestTurnListsWhatIsDurable(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.call(1)
		s.act = func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			_, err := turn.List(ctx, &runtimev1.ListRequest{Type: "probe", Id: "id1"})
			return err
		}
		second := s.call(0)
		if s.listed != 0 {
			t.Error("the list was read before the first turn was durable")
		}
		s.apply()
		wantSum(t, first, 1)
		wantSum(t, second, 1)
		if s.listed != 1 {
			t.Errorf("the list was read %d times, want once", s.listed)
		}
	})
}
