package fault

import (
	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// InvalidTask is the error of a call that would set an alarm or job that is malformed.
func InvalidTask(message string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK, message)
}

// UnknownTask is the error of who wants to change an alarm, a job or a dead letter that is
// not there.
func UnknownTask(what, actor string) *connect.Error {
	return refused(connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK, actor+" has no "+what)
}

// JobConflict is the error of a call that enqueues a job whose idempotency key belongs to
// another one, which still waits.
func JobConflict(actor, procedure string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY,
		"the idempotency key of the job for "+procedure+" belongs to a job of "+actor+" that has another method or request; give each new job a key of its own")
}
