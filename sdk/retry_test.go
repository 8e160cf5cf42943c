package sdk_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// flaky is a caller whose calls end as planned, and succeed when the plan is over.
type flaky struct {
	sdk.Caller

	plan  []error
	times []time.Time
	calls []actor.Call
}

func (f *flaky) Invoke(_ context.Context, call actor.Call) (proto.Message, error) {
	f.times, f.calls = append(f.times, time.Now()), append(f.calls, call)
	if len(f.calls) <= len(f.plan) {
		return nil, f.plan[len(f.calls)-1]
	}
	return &francisv1.ErrorDetail{}, nil
}

func times(n int, err error) []error {
	all := make([]error, n)
	for i := range all {
		all[i] = err
	}
	return all
}

func TestProxySendsAgainWhatIsSafe(t *testing.T) {
	t.Parallel()
	var (
		superseded = fault.Superseded("a/1")
		unknown    = fault.CommitUnanswered("a/1", "id")
		full       = fault.QueueFull("a", "1", 8, 50*time.Millisecond)
		foreign    = connect.NewError(connect.CodeUnavailable, "somebody else's")
		failed     = fault.Method(errors.New("no"), francisv1.Reason_REASON_METHOD_FAILED, "id")
		late       = fault.EndedWaiting(context.DeadlineExceeded)
		key        = sdk.WithIdempotencyKey("k")
	)
	for name, test := range map[string]struct {
		plan     []error
		opts     []sdk.CallOption
		view     bool
		attempts int
		succeeds bool
	}{
		"success":                              {attempts: 1, succeeds: true},
		"nothing happened":                     {plan: times(3, superseded), attempts: 4, succeeds: true},
		"nothing happened, once":               {plan: times(3, superseded), opts: []sdk.CallOption{sdk.WithoutRetries()}, attempts: 1},
		"unknown":                              {plan: times(1, unknown), attempts: 1},
		"unknown with a key":                   {plan: times(2, unknown), opts: []sdk.CallOption{key}, attempts: 3, succeeds: true},
		"unknown in a view":                    {plan: times(2, unknown), view: true, attempts: 3, succeeds: true},
		"an error without a verdict":           {plan: times(1, foreign), attempts: 1},
		"an error without a verdict, in view":  {plan: times(1, foreign), view: true, attempts: 2, succeeds: true},
		"the actor's own failure":              {plan: times(1, failed), attempts: 1},
		"the actor's own failure with a key":   {plan: times(1, failed), opts: []sdk.CallOption{key}, attempts: 1},
		"its time is over":                     {plan: times(1, late), attempts: 1},
		"overload that passes":                 {plan: times(4, full), attempts: 5, succeeds: true},
		"overload that stays":                  {plan: times(9, full), attempts: 5},
		"unavailable for as long as one waits": {plan: times(3, superseded), opts: []sdk.CallOption{sdk.WithTimeout(15 * time.Millisecond)}, attempts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				caller := &flaky{plan: test.plan}
				call := sdk.CallTurn[francisv1.ErrorDetail]
				if test.view {
					call = sdk.CallView[francisv1.ErrorDetail]
				}
				_, err := call(t.Context(), sdk.NewRef(caller, "a", "1"), "/a.A/M", &francisv1.ErrorDetail{}, test.opts...)
				if (err == nil) != test.succeeds {
					t.Errorf("the call ended with %v", err)
				}
				if name == "unavailable for as long as one waits" { // jitter decides whether there is a second one
					if len(caller.calls) > test.attempts {
						t.Errorf("%d attempts within the timeout", len(caller.calls))
					}
					return
				}
				if len(caller.calls) != test.attempts {
					t.Errorf("%d attempts, want %d", len(caller.calls), test.attempts)
				}
			})
		})
	}
}

// That a later attempt did not happen is no answer to a caller who wants to know what
// became of the first one, however the attempts end.
func TestProxyTellsTheFirstOutcome(t *testing.T) {
	t.Parallel()
	unknown := fault.CommitUnanswered("a/1", "id")
	for name, plan := range map[string][]error{
		"refused for good":   {unknown, fault.InvalidID("no")},
		"its time is over":   append([]error{unknown}, times(10_000, fault.Superseded("a/1"))...),
		"overload":           append([]error{unknown}, times(9, fault.QueueFull("a", "1", 8, 50*time.Millisecond))...),
		"refused at the end": {unknown, fault.Superseded("a/1"), fault.InvalidID("no")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, err := sdk.CallTurn[francisv1.ErrorDetail](t.Context(), sdk.NewRef(&flaky{plan: plan}, "a", "1"), "/a.A/M", &francisv1.ErrorDetail{}, sdk.WithIdempotencyKey("k"))
				if sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
					t.Errorf("the caller is told %v: %v", sdk.OutcomeOf(err), err)
				}
			})
		})
	}
}

func TestProxyStopsInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limit time.Duration
		opts  []sdk.CallOption
	}{
		"the context's":  {limit: 3 * time.Second},
		"the call's":     {limit: 2 * time.Second, opts: []sdk.CallOption{sdk.WithTimeout(2 * time.Second)}},
		"the default's ": {limit: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if name == "the context's" {
					ctx, cancel = context.WithTimeout(ctx, test.limit)
				}
				defer cancel()
				caller := &flaky{plan: times(10_000, fault.Superseded("a/1"))}
				began := time.Now()
				_, err := sdk.CallTurn[francisv1.ErrorDetail](ctx, sdk.NewRef(caller, "a", "1"), "/a.A/M", &francisv1.ErrorDetail{}, test.opts...)
				if took := time.Since(began); connect.CodeOf(err) != connect.CodeUnavailable || took > test.limit || took < test.limit/2 {
					t.Errorf("the call ended after %v with %v", took, err)
				}
				if n := len(caller.calls); n > 60 {
					t.Errorf("%d attempts", n)
				}
				for i, call := range caller.calls[1:] {
					if test.opts != nil && call.Timeout >= caller.calls[i].Timeout {
						t.Errorf("attempt %d has the timeout %v, the one before %v", i+2, call.Timeout, caller.calls[i].Timeout)
					}
				}
			})
		})
	}
}
