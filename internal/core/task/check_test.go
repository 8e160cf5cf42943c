package task_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/task"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*runtimev1.Task)
		want   string // empty for none
	}{
		"a job":               {func(*runtimev1.Task) {}, ""},
		"an alarm":            {alarm, ""},
		"a method for deaths": {told, ""},
		"a key":               {func(made *runtimev1.Task) { made.IdempotencyKey = "order 7" }, ""},
		"the largest request": {func(made *runtimev1.Task) { made.Request = make([]byte, limit.MaxTaskRequest) }, ""},

		"no key":         {func(made *runtimev1.Task) { made.Key = nil }, "the actor type is empty"},
		"no actor":       {func(made *runtimev1.Task) { made.Key.Id = "" }, "the actor id is empty"},
		"no name":        {func(made *runtimev1.Task) { made.Key.Name = nil }, "it is named neither an alarm nor a job"},
		"an empty alarm": {alarmNamed(""), "the name of the alarm is empty"},
		"an alarm too long": {
			alarmNamed(strings.Repeat("a", 129)), "the name of the alarm has 129 bytes; at most 128 are allowed",
		},
		"an alarm no path has": {alarmNamed(".."), `the name of the alarm ".." is no valid path segment`},
		"a job with a newline": {
			func(made *runtimev1.Task) { made.Key.Name = &runtimev1.TaskKey_Job{Job: "a\nb"} }, `the id of the job "a\nb" has a control character`,
		},
		"no method":        {method(""), `the job "a" of cart/1: the method "" is not of the form /package.Service/Method`},
		"half a method":    {method("/shop.v1.Cart"), `the job "a" of cart/1: the method "/shop.v1.Cart" is not of the form /package.Service/Method`},
		"a bare method":    {method("shop.v1.Cart/Ship"), `the job "a" of cart/1: the method "shop.v1.Cart/Ship" is not of the form /package.Service/Method`},
		"too many slashes": {method("/a/b/c"), `the job "a" of cart/1: the method "/a/b/c" is not of the form /package.Service/Method`},
		"a bad method for deaths": {
			func(made *runtimev1.Task) { made.OnDeath = "/" }, `the job "a" of cart/1: the method "/" is not of the form /package.Service/Method`,
		},
		"a request too large": {
			func(made *runtimev1.Task) { made.Request = make([]byte, limit.MaxTaskRequest+1) },
			fmt.Sprintf(`the job "a" of cart/1: the request has %d bytes; at most %d are allowed for what is called later`, limit.MaxTaskRequest+1, limit.MaxTaskRequest),
		},
		"a bad timing": {after(-time.Second), `the job "a" of cart/1: the delay is -1s; it must be between 0s and 876600h0m0s`},
		"no attempt": {
			func(made *runtimev1.Task) { made.Retry.Attempts = 0 }, `the job "a" of cart/1: max_attempts is 0; it must be between 1 and 1000`,
		},
		"no growth": {
			func(made *runtimev1.Task) { made.Retry.Multiplier = math.NaN() }, `the job "a" of cart/1: multiplier is NaN; it must be between 1 and 100`,
		},
		"a backoff that is too short": {
			func(made *runtimev1.Task) { made.Retry.InitialBackoff = nil }, `the job "a" of cart/1: initial_backoff is 0s; it must be between 1ms and 24h0m0s`,
		},
		"a backoff that shrinks": {
			func(made *runtimev1.Task) { made.Retry.InitialBackoff = durationpb.New(time.Hour) },
			`the job "a" of cart/1: initial_backoff, 1h0m0s, is longer than max_backoff, 1m0s`,
		},
		"a bad key": {
			func(made *runtimev1.Task) { made.IdempotencyKey = " " }, `the job "a" of cart/1: the idempotency key " " begins or ends with white space`,
		},
		"much metadata": {
			func(made *runtimev1.Task) {
				made.Metadata = map[string]string{"a": strings.Repeat("b", limit.MaxMetadata)}
			},
			`the job "a" of cart/1: its metadata has 4097 bytes; at most 4096 are allowed`,
		},
		"no text": {func(made *runtimev1.Task) { made.Metadata = map[string]string{"a": "\xff"} }, `the job "a" of cart/1: its metadata is not valid UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := task.CheckChange(&runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: job(test.change)}}); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("error %q\nwant  %q", got, test.want)
			}
		})
	}
}

func alarmNamed(s string) func(*runtimev1.Task) {
	return func(made *runtimev1.Task) { made.Key.Name = &runtimev1.TaskKey_Alarm{Alarm: s} }
}

func method(s string) func(*runtimev1.Task) {
	return func(made *runtimev1.Task) { made.Procedure = s }
}

func TestCheckChange(t *testing.T) {
	t.Parallel()
	key := job().GetKey()
	for name, change := range map[string]func(*runtimev1.TaskKey) *runtimev1.TaskChange{
		"delete": func(key *runtimev1.TaskKey) *runtimev1.TaskChange {
			return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: key}}
		},
		"revive": func(key *runtimev1.TaskKey) *runtimev1.TaskChange {
			return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Revive{Revive: key}}
		},
		"bury": func(key *runtimev1.TaskKey) *runtimev1.TaskChange {
			return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Bury{Bury: key}}
		},
	} {
		if err := task.CheckChange(change(key)); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
		if task.CheckChange(change(nil)) == nil || task.CheckChange(change(&runtimev1.TaskKey{Type: "cart", Id: "1"})) == nil {
			t.Errorf("%s of nothing is accepted", name)
		}
	}
	if task.CheckChange(nil) == nil || task.CheckChange(&runtimev1.TaskChange{}) == nil || task.CheckChange(&runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{}}) == nil {
		t.Error("a change of nothing is accepted")
	}
}
