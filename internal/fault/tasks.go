package fault

import (
	"strconv"

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

// TaskGoesOn is the error of who wants to revive a dead letter while the task goes on.
func TaskGoesOn(what, actor string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_INVALID_TASK,
		"the "+what+" of "+actor+" was set again or goes on: delete it first, or bury its dead letter")
}

// ChangeUnanswered is the error of a change of an alarm or a job that brought no answer.
func ChangeUnanswered() *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_LINK_LOST, Outcome: unknown,
	}, "the connection to the runtime was lost before it had answered; look whether the alarm or job is there")
}

// ViewLater is the error of a call that would let a view be called later.
func ViewLater(procedure string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK,
		procedure+" is a view, of which nothing is left when it is called later; schedule or enqueue a turn")
}

// ViewChanges is the error of a view that would change an alarm or a job.
func ViewChanges(caller string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW,
		"a view of "+caller+" wants to change an alarm or a job; do it in a turn")
}

// ViewDeletes is the error of a view that would delete its actor.
func ViewDeletes(caller string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW,
		"a view of "+caller+" wants to delete the actor; do it in a turn")
}

// TooManyTasks is the error of a deletion of an actor that has too many alarms and jobs.
func TooManyTasks(actor string, limit int) *connect.Error {
	return refused(connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE,
		actor+" has more than "+strconv.Itoa(limit)+" alarms, jobs and dead letters, which are too many to be deleted with it at once; delete some of them first")
}

// ViewHalts is the error of a view that would halt an actor.
func ViewHalts(caller string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW,
		"a view of "+caller+" wants to halt an actor; do it in a turn")
}

// TooManyChanges is the error of a turn that would change one alarm or job too many.
func TooManyChanges(actor string, limit int) *connect.Error {
	return refused(connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE,
		"a turn of "+actor+" changes "+plural(limit, "alarm or job", "alarms and jobs")+" already, which is the most; let a job do the rest")
}

// TooManyRevivals is the error of a turn that would retry one dead letter too many.
func TooManyRevivals(actor string, limit int) *connect.Error {
	return refused(connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE,
		"a turn of "+actor+" retries "+plural(limit, "dead letter", "dead letters")+" already, which is the most; let a job do the rest")
}

// JobConflict is the error of a call that enqueues a job whose idempotency key belongs to
// another one, which still waits.
func JobConflict(actor, procedure string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_IDEMPOTENCY_KEY,
		"the idempotency key of the job for "+procedure+" belongs to a job of "+actor+" that has another method or request; give each new job a key of its own")
}
