package fault

import (
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// keysDelay is the advice to a call that finds too many young keys: the oldest of
// them make room within minutes, not sooner.
const keysDelay = 10 * time.Second

// InvalidKey is the error of a call whose idempotency key is malformed.
func InvalidKey(message string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY, message)
}

// KeyConflict is the error of a call whose idempotency key was used before, for
// another method or request.
func KeyConflict(actor, procedure string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY,
		"the idempotency key of the call of "+procedure+" was used for another method or request of "+actor+"; give each new call a key of its own")
}

// TooManyKeys is the error of a call that would be one key too many.
func TooManyKeys(actor string, keys int) *connect.Error {
	return New(connect.CodeResourceExhausted, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_TOO_MANY_KEYS, Outcome: nothing,
		Retryable: true, RetryDelay: durationpb.New(keysDelay),
	}, actor+" has "+plural(keys, "idempotency key", "idempotency keys")+" that are younger than ten minutes; call without a key, or less often")
}

// NoView is the error of a call that its caller takes for a view, and may therefore
// send twice, of a method that is none.
func NoView(procedure string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW,
		procedure+" is no view, and the caller's contract says that it is; generate the code of caller and actor from one contract")
}
