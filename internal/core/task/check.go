package task

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/schedule"
)

// maxProcedure is the largest name of a method, in bytes.
const maxProcedure = 1024

// CheckChange reports what of a change is not well formed.
func CheckChange(change *runtimev1.TaskChange) error {
	switch change := change.GetChange().(type) {
	case *runtimev1.TaskChange_Set:
		return Check(change.Set)
	case *runtimev1.TaskChange_Delete:
		return CheckKey(change.Delete)
	case *runtimev1.TaskChange_Revive:
		return CheckKey(change.Revive)
	case *runtimev1.TaskChange_Bury:
		return CheckKey(change.Bury)
	default:
		return errors.New("the change of a task says nothing that this version knows")
	}
}

// Check reports what of a task is not well formed, whatever the time is: whether it has a
// time ahead, schedule.Check says.
func Check(task *runtimev1.Task) error {
	if err := CheckKey(task.GetKey()); err != nil {
		return err
	}
	for _, check := range []func(*runtimev1.Task) error{checkMethod, checkTiming, checkRetry, checkAttached} {
		if err := check(task); err != nil {
			return fmt.Errorf("%s: %w", Describe(task.GetKey()), err)
		}
	}
	return nil
}

// CheckKey reports what of the name of a task is not well formed.
func CheckKey(key *runtimev1.TaskKey) error {
	if err := name.CheckType(key.GetType()); err != nil {
		return err
	}
	if err := name.CheckID(key.GetId()); err != nil {
		return err
	}
	switch which := key.GetName().(type) {
	case *runtimev1.TaskKey_Alarm:
		return name.CheckAlarm(which.Alarm)
	case *runtimev1.TaskKey_Job:
		return name.CheckJob(which.Job)
	default:
		return errors.New("it is named neither an alarm nor a job")
	}
}

// Describe names a task, for people.
func Describe(key *runtimev1.TaskKey) string {
	if alarm, ok := key.GetName().(*runtimev1.TaskKey_Alarm); ok {
		return fmt.Sprintf("the alarm %q of %s/%s", alarm.Alarm, key.GetType(), key.GetId())
	}
	return fmt.Sprintf("the job %q of %s/%s", key.GetJob(), key.GetType(), key.GetId())
}

func checkMethod(task *runtimev1.Task) error {
	if err := checkProcedure(task.GetProcedure()); err != nil {
		return err
	}
	if task.GetOnDeath() != "" {
		if err := checkProcedure(task.GetOnDeath()); err != nil {
			return err
		}
	}
	if n := len(task.GetRequest()); n > limit.MaxTaskRequest {
		return fmt.Errorf("the request has %d bytes; at most %d are allowed for what is called later", n, limit.MaxTaskRequest)
	}
	return nil
}

func checkProcedure(s string) error {
	service, method, ok := strings.Cut(strings.TrimPrefix(s, "/"), "/")
	if !ok || s[0] != '/' || service == "" || method == "" || strings.Contains(method, "/") || len(s) > maxProcedure || !utf8.ValidString(s) {
		return fmt.Errorf("the method %.100q is not of the form /package.Service/Method", s)
	}
	return nil
}

func checkTiming(task *runtimev1.Task) error { return schedule.CheckForm(task.GetTiming()) }

func checkRetry(task *runtimev1.Task) error {
	retry := task.GetRetry()
	initial, longest := retry.GetInitialBackoff().AsDuration(), retry.GetMaxBackoff().AsDuration()
	err := errors.Join(
		limit.CheckAttempts(int(retry.GetAttempts())), limit.CheckMultiplier(retry.GetMultiplier()),
		limit.CheckBackoff("initial_backoff", initial), limit.CheckBackoff("max_backoff", longest),
	)
	if err == nil && initial > longest {
		return fmt.Errorf("initial_backoff, %v, is longer than max_backoff, %v", initial, longest)
	}
	return err
}

func checkAttached(task *runtimev1.Task) error {
	if key := task.GetIdempotencyKey(); key != "" {
		if err := name.CheckKey(key); err != nil {
			return err
		}
	}
	size := 0
	for key, value := range task.GetMetadata() {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return errors.New("its metadata is not valid UTF-8")
		}
		size += len(key) + len(value)
	}
	if size > limit.MaxMetadata {
		return fmt.Errorf("its metadata has %d bytes; at most %d are allowed", size, limit.MaxMetadata)
	}
	return nil
}
