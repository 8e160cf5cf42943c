package fault

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// Hidden reports whether the text of err, returned by an actor's method, stays on
// the worker: it does unless the actor's author made a *connect.Error of it or it
// says that the context ended.
func Hidden(err error) bool {
	_, coded := codedIn(err)
	return !coded && !ended(err)
}

// Method turns what a method or constructor returned into the error that its
// caller sees. The turn was rolled back, so nothing happened; code, message and
// details of a *connect.Error are kept, and the text of any other error is
// replaced by the call id under which the worker logged it.
func Method(err error, reason francisv1.Reason, callID string) *connect.Error {
	coded, ok := codedIn(err)
	switch {
	case ok:
		return relayed(coded, reason)
	case ended(err):
		code, verb := endedBy(err)
		return refused(code, reason, verb+", and the method gave up")
	}
	return New(connect.CodeUnknown, &francisv1.ErrorDetail{
		Reason: reason, Outcome: nothing, CallId: callID,
	}, "the actor failed; the worker's log has the cause under call "+callID)
}

// Relayed is the error of a forwarded call, for the caller that it is relayed to:
// what the other worker said, made again because a transport does not forward the
// verdict of a peer as its own.
func Relayed(err error) *connect.Error {
	received := Received(err)
	again := connect.NewError(received.Code(), received.Message())
	for _, detail := range received.Details() {
		again = again.WithDetail(detail)
	}
	return again
}

// LinkLost is the error of a forwarded call that brought no verdict: this side's
// context ended, or the connection broke, which transports report by various codes.
func LinkLost(err error) *connect.Error {
	if ended(err) {
		return EndedRunning(err)
	}
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_LINK_LOST, Outcome: unknown,
	}, "the connection to the actor's worker was lost while the method ran")
}

// Received turns what a transport returned into the one type of our errors. An
// error without a verdict of the other side says nothing of the outcome.
func Received(err error) *connect.Error {
	if coded, ok := codedIn(err); ok {
		return coded
	}
	if ended(err) {
		return EndedRunning(err)
	}
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{Outcome: unknown}, err.Error())
}

func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// endedBy is how an error says that a context ended.
func endedBy(cause error) (connect.Code, string) {
	if errors.Is(cause, context.Canceled) {
		return connect.CodeCanceled, "the call was cancelled"
	}
	return connect.CodeDeadlineExceeded, "the deadline passed"
}

// relayed is a new error with the code, message and details of coded, so that one
// received from a peer reaches the next caller too. Its own verdict replaces any
// that came with it: what another actor did is no matter of this one's state.
func relayed(coded *connect.Error, reason francisv1.Reason) *connect.Error {
	detail := &francisv1.ErrorDetail{Reason: reason, Outcome: nothing}
	if inner := Detail(coded); inner != nil {
		detail.Path, detail.CallId = inner.GetPath(), inner.GetCallId()
		detail.Reason = inner.GetReason()
		detail.Retryable, detail.RetryDelay = inner.GetRetryable(), inner.GetRetryDelay()
	}
	err := New(coded.Code(), detail, coded.Message())
	for _, other := range coded.Details() {
		if other.Type != detailName {
			err = err.WithDetail(other)
		}
	}
	return err
}
