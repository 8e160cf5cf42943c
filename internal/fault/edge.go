package fault

import (
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// overloadDelay is the advice of who has too much under way.
const overloadDelay = 500 * time.Millisecond

// Overloaded is the error of a call that a gateway, a host or a link does not take on.
func Overloaded() *connect.Error {
	return New(connect.CodeResourceExhausted, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_QUEUE_FULL, Outcome: nothing,
		Retryable: true, RetryDelay: durationpb.New(overloadDelay),
	}, "too many calls are under way here; try again, or add workers")
}

// TooSlow is the error of a request whose body did not come on at its pace.
func TooSlow(each time.Duration) *connect.Error {
	return refused(connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE,
		fmt.Sprintf("the request did not arrive: %v brought less than 64 KiB of it, and not its end", each))
}

// Unreached is the error of a call to a gateway that could not be dialled.
func Unreached(cause error) *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_LINK_LOST, Outcome: nothing, Retryable: true,
	}, "the gateway cannot be reached: "+cause.Error())
}

// Starting is the error of a call that a gateway cannot place, because its host does not
// know the cluster yet, or leaves it.
func Starting() *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_SHUTTING_DOWN, Outcome: nothing, Retryable: true,
	}, "the host is starting or stopping, and does not know this actor type; try again, or ask another worker")
}

// NotByGateway is the error of what only workers may do, asked of a gateway: it says what
// to do instead.
func NotByGateway(what, instead string) *connect.Error {
	return refused(connect.CodePermissionDenied, francisv1.Reason_REASON_UNSPECIFIED, "a gateway "+what+", since it serves whoever reaches it; "+instead)
}
