package sdk

import (
	"context"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

const (
	// firstPause and longestPause bound the pauses between attempts, before jitter: each
	// is twice as long as the one before. A call that meets a move of its actor waits for
	// it in the host; these are for what the host gives back.
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
	// overloadAttempts is how often a call is sent to somebody who is overloaded: as
	// often as gRPC's retry policy allows at most (gRFC A6).
	overloadAttempts = 5
)

// invoke sends a call, and again where that is safe: after a failure that says that
// nothing happened and that it may pass; and, for a view or a call with an idempotency
// key, also where nobody knows what happened.
func invoke(ctx context.Context, caller Caller, call *actor.Call) (proto.Message, error) {
	var ends time.Time
	if call.Timeout > 0 {
		ends = time.Now().Add(call.Timeout)
	}
	reply, err := caller.Invoke(ctx, *call)
	if err == nil || call.Once || !repeatable(err, *call) {
		return reply, err
	}
	return repeat(ctx, attempts{caller: caller, call: *call, ends: ends}, err)
}

// repeatable reports whether a call that failed with err may be sent again. One whose time
// is over is not.
func repeatable(err error, call actor.Call) bool {
	if fault.Detail(err).GetReason() == francisv1.Reason_REASON_DEADLINE {
		return false
	}
	if OutcomeOf(err) == OutcomeNothingHappened {
		return Retryable(err)
	}
	return (call.View || call.Key != "") && connect.CodeOf(err) == connect.CodeUnavailable
}

// attempts are those of one call after the first.
type attempts struct {
	caller Caller
	call   actor.Call
	// ends is when the timeout of the call is over; zero for none.
	ends time.Time
	// doubt is the last failure that left open whether a turn happened; nil for none. No
	// later attempt that did not happen answers that.
	doubt error
}

// repeat sends a call that failed with err until it succeeds, fails for good, or its
// time is over.
func repeat(ctx context.Context, a attempts, err error) (proto.Message, error) {
	if a.ends.IsZero() {
		a.ends = time.Now().Add(limit.CallTimeout) // for a context that never ends
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	overloads := 0
	for {
		a.failed(err)
		if connect.CodeOf(err) == connect.CodeResourceExhausted {
			overloads++
		}
		advised := RetryAfter(err)
		pause := pauses.NextBackOff() + advised + rand.N(advised/2+1) // those who were refused together do not come back together
		left := time.Until(a.ends) - pause
		if !repeatable(err, a.call) || overloads == overloadAttempts || left <= 0 || outlasts(ctx, pause) || !deadline.Sleep(ctx, pause) {
			return nil, a.told(err)
		}
		if a.call.Timeout > 0 {
			a.call.Timeout = left
		}
		var reply proto.Message
		if reply, err = a.caller.Invoke(ctx, a.call); err == nil {
			return reply, nil
		}
	}
}

// failed remembers an attempt that leaves open whether the call happened.
func (a *attempts) failed(err error) {
	if !a.call.View && OutcomeOf(err) == OutcomeUnknown {
		a.doubt = err
	}
}

// told is what the caller is told when the last attempt failed with err: where nobody
// knows what became of an earlier one, that this one did not happen is no answer.
func (a *attempts) told(err error) error {
	if a.doubt != nil && OutcomeOf(err) == OutcomeNothingHappened {
		return a.doubt
	}
	return err
}

// outlasts reports whether ctx ends before a pause does.
func outlasts(ctx context.Context, pause time.Duration) bool {
	ends, ok := ctx.Deadline()
	return ok && time.Until(ends) <= pause
}
