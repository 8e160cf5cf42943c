package host_test

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// deleting lets turns that add less than nothing delete their actor.
func deleting(ctx context.Context, turn actor.Turn, req *behaviourv1.AddRequest) error {
	if req.GetIn() < 0 {
		return turn.Delete(ctx)
	}
	return nil
}

// A deleting turn waits for the record before it, has one of its own without a state, and
// lets nobody run on what it leaves until that is answered.
func TestDeletingRecord(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = deleting
		first, second, third := s.call(1), s.call(-1), s.call(5)
		s.wantSent(1)
		s.apply()
		s.wantSent(2)
		s.wantWaiting(second, third)
		deletion, before := s.record(), s.records[0].GetIdentity()
		if !deletion.GetDeletes() || deletion.GetMessage() != "" || len(deletion.GetData()) > 0 ||
			deletion.GetBase().GetSequence() != before.GetSequence() || deletion.GetIdentity().GetActivation() != before.GetActivation() {
			t.Errorf("the record of the deletion is %v, after %v", deletion, before)
		}
		if n := s.ran.Load(); n != 2 {
			t.Errorf("%d turns ran before the deletion was answered, want 2", n)
		}
		s.apply()
		s.wantSent(3)
		if r := s.record(); r.GetDeletes() || r.GetMessage() == "" || r.GetIdentity().GetActivation() == before.GetActivation() {
			t.Errorf("the record after the deletion is %v", r)
		}
		s.apply()
		for _, done := range []<-chan outcome{first, second, third} {
			if got := <-done; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

// A deletion of too much is refused, and nobody else fails with it.
func TestRefusedDeletion(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = deleting
		first, second, third := s.call(1), s.call(-1), s.call(1)
		s.apply()
		s.answer(runtimev1.Verdict_VERDICT_TOO_MANY_TASKS)
		s.apply()
		for _, done := range []<-chan outcome{first, third} {
			if got := <-done; got.err != nil {
				t.Error(got.err)
			}
		}
		wantFault(t, (<-second).err, connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE)
	})
}

// A turn that fails after it has deleted its actor has deleted nothing.
func TestFailedDeletion(t *testing.T) {
	onStage(t, func(s *stage) {
		s.act = func(ctx context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			return errors.Join(turn.Delete(ctx), errors.New("no"))
		}
		if got := <-s.call(1); got.err == nil {
			t.Error("the turn did not fail")
		}
		s.wantSent(0)
		s.act = nil
		done := s.call(1)
		if r := s.record(); r.GetDeletes() || r.GetMessage() == "" {
			t.Errorf("the next record is %v", r)
		}
		s.apply()
		if got := <-done; got.err != nil || got.sum != 1 {
			t.Errorf("the next turn says %d, %v", got.sum, got.err)
		}
	})
}

// From outside the actor's own code is not needed, whether it is in memory or not.
func TestDeletionFromOutside(t *testing.T) {
	onStage(t, func(s *stage) {
		remove := func() <-chan outcome {
			return inBackground(func() (int64, error) {
				return 0, sdk.Delete(context.Background(), behaviourv1francis.NewProbeActorProxy(s.host.Service(), "id1").Ref)
			})
		}
		s.refuse = errors.New("it cannot be constructed")
		cold := remove()
		s.wantSent(1)
		if !s.record().GetDeletes() {
			t.Errorf("the record is %v", s.record())
		}
		s.apply()
		if got := <-cold; got.err != nil {
			t.Error(got.err)
		}
		if got := <-s.call(1); got.err == nil {
			t.Error("an actor without instance was called")
		}
		s.refuse = nil
		warm := s.call(1)
		s.apply()
		if got := <-warm; got.err != nil || got.sum != 1 {
			t.Errorf("the turn says %d, %v", got.sum, got.err)
		}
		again := remove()
		s.wantSent(3)
		s.apply()
		if got := <-again; got.err != nil {
			t.Error(got.err)
		}
	})
}

// A view deletes nothing, and neither does a turn that is over.
func TestDeletionNeedsATurn(t *testing.T) {
	onStage(t, func(s *stage) {
		s.view = func(ctx context.Context, turn actor.Turn) error { return turn.Delete(ctx) }
		_, err := behaviourv1francis.NewProbeActorProxy(s.host.Service(), "id1").Read(context.Background(), &behaviourv1.ReadRequest{})
		wantFault(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW)
		var kept actor.Turn
		s.act = func(_ context.Context, turn actor.Turn, _ *behaviourv1.AddRequest) error {
			kept = turn
			return nil
		}
		<-s.call(0)
		wantFault(t, kept.Delete(context.Background()), connect.CodeFailedPrecondition, francisv1.Reason_REASON_TURN_OVER)
		s.wantSent(0)
	})
}
