package fault

import (
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// overloadDelay is the advice of a gateway that has too much under way.
const overloadDelay = 500 * time.Millisecond

// Overloaded is the error of a call that a gateway does not take on.
func Overloaded() *connect.Error {
	return New(connect.CodeResourceExhausted, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_QUEUE_FULL, Outcome: nothing,
		Retryable: true, RetryDelay: durationpb.New(overloadDelay),
	}, "the gateway has too many calls under way; try again, or add workers")
}
