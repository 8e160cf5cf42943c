// Package task says what becomes of a task that is stored: of an alarm or a job that is
// set, completed, failed or given up. It is pure: the time, the revision and the random
// number are arguments, and what it is given is never changed.
//
// Each function answers with the task as it is stored from now on, nil for none. The
// random number is in [0, 1).
package task

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/schedule"
)

// diedAlone is the error of a task whose worker died while it was the only one there.
const diedAlone = "its worker died while it ran alone"

// Set is a task that is set now. It is nil if it is never due, because it has ended.
func Set(task *runtimev1.Task, now time.Time, revision uint64, random float64) *runtimev1.ScheduledTask {
	first, ok := schedule.First(task.GetTiming(), now)
	scheduled := first
	if ok && schedule.Missed(task.GetTiming(), first, now) {
		scheduled, ok = schedule.Next(task.GetTiming(), first, first, now)
	}
	if !ok {
		return nil
	}
	return at(task, first, scheduled, revision, random)
}

// at is a task of which nothing has failed yet.
func at(task *runtimev1.Task, first, scheduled time.Time, revision uint64, random float64) *runtimev1.ScheduledTask {
	jitter := task.GetTiming().GetJitter().AsDuration()
	return &runtimev1.ScheduledTask{
		Task: task, Revision: revision,
		First: timestamppb.New(first), Scheduled: timestamppb.New(scheduled),
		Due: timestamppb.New(scheduled.Add(part(random, jitter))),
	}
}

// Complete is a task whose delivery has succeeded: due at its next time, or nil.
func Complete(s *runtimev1.ScheduledTask, now time.Time, revision uint64, random float64) *runtimev1.ScheduledTask {
	first, scheduled := s.GetFirst().AsTime(), s.GetScheduled().AsTime()
	next, ok := schedule.Next(s.GetTask().GetTiming(), first, scheduled, now)
	if !ok {
		return nil
	}
	return at(s.GetTask(), first, next, revision, random)
}

// Fail is a task whose delivery has failed. It is tried again after a backoff. After its
// last attempt, or a permanent failure, it dies: dead is its dead letter, next the same
// task at its next time, if it repeats, and notice the job that tells its actor, if there
// is a method for it.
func Fail(s *runtimev1.ScheduledTask, failure *runtimev1.Failure, now time.Time, revision uint64, random float64) (next, dead, notice *runtimev1.ScheduledTask) {
	failed := copyOf(s, revision)
	failed.Failures++
	failed.Error = clip(failure.GetError())
	if failure.GetPermanent() || failed.GetFailures() >= failed.GetTask().GetRetry().GetAttempts() {
		return Complete(s, now, revision, random), letter(failed, now), tell(failed, now)
	}
	failed.Alone = false
	failed.Due = timestamppb.New(now.Add(backoff(failed, random)))
	return failed, nil, nil
}

// Strand is a task that was out while its worker died. It is due as before, and runs alone.
// If it did so already, it is to blame: the attempt has failed, as by [Fail].
func Strand(s *runtimev1.ScheduledTask, now time.Time, revision uint64, random float64) (next, dead, notice *runtimev1.ScheduledTask) {
	if s.GetAlone() {
		next, dead, notice = Fail(s, &runtimev1.Failure{Error: diedAlone}, now, revision, random)
		if next != nil && dead == nil {
			next.Alone = true
		}
		return next, dead, notice
	}
	next = copyOf(s, revision)
	next.Alone = true
	return next, nil, nil
}

// Return is a task that was delivered but not run: it is due again after a while, and no
// attempt is counted. One that leaves out what it has missed is due at its next time, if it
// is late; nil if there is none.
func Return(s *runtimev1.ScheduledTask, after time.Duration, now time.Time, revision uint64, random float64) *runtimev1.ScheduledTask {
	if schedule.Missed(s.GetTask().GetTiming(), s.GetDue().AsTime(), now) {
		return Complete(s, now, revision, random)
	}
	returned := copyOf(s, revision)
	returned.Due = timestamppb.New(now.Add(min(max(after, 0), limit.MaxBackoff)))
	return returned
}

// Revive is a dead letter that is a task again: due at once, with all of its attempts.
func Revive(dead *runtimev1.ScheduledTask, now time.Time, revision uint64) *runtimev1.ScheduledTask {
	revived := copyOf(dead, revision)
	revived.Due = timestamppb.New(now)
	revived.Failures, revived.Alone, revived.Error, revived.Died = 0, false, "", nil
	return revived
}

// Same reports whether two tasks of one key ask for the same: the method and the request.
// It tells a repetition from a mistake.
func Same(a, b *runtimev1.Task) bool {
	return a.GetProcedure() == b.GetProcedure() && string(a.GetRequest()) == string(b.GetRequest())
}

// letter is the dead letter of a task: of this one time, whether or not the task goes on.
func letter(failed *runtimev1.ScheduledTask, now time.Time) *runtimev1.ScheduledTask {
	dead := copyOf(failed, failed.GetRevision())
	dead.Task = withTiming(failed.GetTask(), &runtimev1.Timing{First: &runtimev1.Timing_At{At: failed.GetScheduled()}})
	dead.First, dead.Alone, dead.Died = failed.GetScheduled(), false, timestamppb.New(now)
	return dead
}

// copyOf is a stage of the same task under another revision. The task itself is shared.
func copyOf(s *runtimev1.ScheduledTask, revision uint64) *runtimev1.ScheduledTask {
	return &runtimev1.ScheduledTask{
		Task: s.GetTask(), Revision: revision,
		Due: s.GetDue(), Scheduled: s.GetScheduled(), First: s.GetFirst(),
		Failures: s.GetFailures(), Alone: s.GetAlone(), Error: s.GetError(), Died: s.GetDied(),
	}
}

func withTiming(task *runtimev1.Task, timing *runtimev1.Timing) *runtimev1.Task {
	other := &runtimev1.Task{}
	proto.Merge(other, task)
	other.Timing = timing
	return other
}

// backoff is how long a task waits for its next attempt. Up to a fifth of it is left out
// at random, so that what failed together does not come back together.
func backoff(s *runtimev1.ScheduledTask, random float64) time.Duration {
	retry := s.GetTask().GetRetry()
	longest := float64(retry.GetMaxBackoff().AsDuration())
	growth := min(math.Pow(max(1, retry.GetMultiplier()), float64(s.GetFailures()-1)), float64(limit.MaxBackoff))
	whole := time.Duration(min(float64(retry.GetInitialBackoff().AsDuration())*growth, longest))
	return whole - part(random, whole/5)
}

// part is a random part of a duration.
func part(random float64, d time.Duration) time.Duration { return time.Duration(random * float64(d)) }

// clip makes the text of an error fit.
func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), limit.MaxFailure)], "")
}
