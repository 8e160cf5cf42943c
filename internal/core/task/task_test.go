package task_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/task"
)

var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// job is a job with three attempts.
func job() *runtimev1.Task {
	return &runtimev1.Task{
		Key:       &runtimev1.TaskKey{Type: "cart", Id: "1", Name: &runtimev1.TaskKey_Job{Job: "a"}},
		Procedure: "/shop.v1.Cart/Ship", Request: []byte("request"),
		Retry: &runtimev1.Retry{Attempts: 3, InitialBackoff: durationpb.New(time.Second), MaxBackoff: durationpb.New(time.Minute), Multiplier: 2},
	}
}

// A job that fails is tried again, later each time, and then it is a dead letter.
func TestFail(t *testing.T) {
	t.Parallel()
	s := task.Set(job(), epoch, 1, 0)
	for attempt, backoff := range []time.Duration{time.Second, 2 * time.Second} {
		next, dead, notice := task.Fail(s, &runtimev1.Failure{Error: "boom"}, epoch, s.GetRevision()+1, 0)
		if dead != nil || notice != nil {
			t.Fatalf("dead after attempt %d", attempt+1)
		}
		if got := next.GetDue().AsTime().Sub(epoch); got != backoff || next.GetFailures() != uint32(attempt+1) || next.GetError() != "boom" {
			t.Fatalf("after attempt %d: due after %v, want %v: %v", attempt+1, got, backoff, next)
		}
		s = next
	}
	next, dead, notice := task.Fail(s, &runtimev1.Failure{Error: "boom"}, epoch, 9, 0)
	if next != nil || notice != nil || dead.GetFailures() != 3 || !dead.GetDied().AsTime().Equal(epoch) || dead.GetRevision() != 9 {
		t.Errorf("after the last attempt: next %v, dead %v, notice %v", next, dead, notice)
	}
}
