package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	foreign, err := connectproto.NewErrorDetail(wrapperspb.String("x"))
	if err != nil {
		t.Fatal(err)
	}
	full := fault.QueueFull("cart", "1", 8, 50*time.Millisecond)
	tests := map[string]struct {
		err       error
		outcome   sdk.Outcome
		retryable bool
		after     time.Duration
	}{
		"nil":                     {nil, sdk.OutcomeUnknown, false, 0},
		"a nil pointer":           {(*connect.Error)(nil), sdk.OutcomeUnknown, false, 0},
		"plain":                   {errors.New("x"), sdk.OutcomeUnknown, false, 0},
		"a context's":             {context.DeadlineExceeded, sdk.OutcomeUnknown, false, 0},
		"Connect's":               {connect.NewError(connect.CodeUnavailable, "x"), sdk.OutcomeUnknown, false, 0},
		"with a foreign detail":   {connect.NewError(connect.CodeUnavailable, "x").WithDetail(foreign), sdk.OutcomeUnknown, false, 0},
		"ours":                    {fault.InvalidID("x"), sdk.OutcomeNothingHappened, false, 0},
		"ours, to be tried again": {full, sdk.OutcomeNothingHappened, true, 50 * time.Millisecond},
		"ours, wrapped":           {fmt.Errorf("x: %w", full), sdk.OutcomeNothingHappened, true, 50 * time.Millisecond},
		"ours, from a peer":       {full.WithRemote(), sdk.OutcomeNothingHappened, true, 50 * time.Millisecond},
		"ours, unknown":           {fault.CommitUnanswered("cart/1", "17"), sdk.OutcomeUnknown, false, 0},
		"ended before it began":   {fault.EndedWaiting(context.Canceled), sdk.OutcomeNothingHappened, true, 0},
		"ended while it ran":      {fault.EndedRunning(context.Canceled), sdk.OutcomeUnknown, false, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sdk.OutcomeOf(test.err); got != test.outcome {
				t.Errorf("outcome %v, want %v", got, test.outcome)
			}
			if got := sdk.Retryable(test.err); got != test.retryable {
				t.Errorf("retryable %v, want %v", got, test.retryable)
			}
			if got := sdk.RetryAfter(test.err); got != test.after {
				t.Errorf("retry after %v, want %v", got, test.after)
			}
		})
	}
}
