// Package fault makes the errors that Francis raises: each is a *connect.Error
// with one francis.v1.ErrorDetail, the same in process and on the wire, so that a
// caller always knows whether it may try again.
package fault

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

const (
	nothing = francisv1.Outcome_OUTCOME_NOTHING_HAPPENED
	unknown = francisv1.Outcome_OUTCOME_UNKNOWN
)

// detailName is how an error names a detail of ours.
const detailName = "francis.v1.ErrorDetail"

// New makes an error with a detail. The message may hold what came from outside:
// gRPC would drop code and detail of one that is not valid UTF-8.
func New(code connect.Code, detail *francisv1.ErrorDetail, message string) *connect.Error {
	err := connect.NewError(code, strings.ToValidUTF8(message, "\uFFFD"))
	packed, packErr := connectproto.NewErrorDetail(detail)
	if packErr != nil { // only a message with invalid UTF-8 fails to encode
		return err
	}
	return err.WithDetail(packed)
}

// Detail returns the detail that err carries, nil when it has none.
func Detail(err error) *francisv1.ErrorDetail {
	coded, ok := codedIn(err)
	if !ok {
		return nil
	}
	for _, packed := range coded.Details() {
		if packed.Type != detailName {
			continue
		}
		if message, err := connectproto.UnmarshalErrorDetail(packed); err == nil {
			if detail, ok := message.(*francisv1.ErrorDetail); ok {
				return detail
			}
		}
	}
	return nil
}

// codedIn returns the *connect.Error in err. A nil one is none: it is what a method
// returns that declared a variable of this type and had no error.
func codedIn(err error) (*connect.Error, bool) {
	coded, ok := errors.AsType[*connect.Error](err)
	return coded, ok && coded != nil
}

func refused(code connect.Code, reason francisv1.Reason, message string) *connect.Error {
	return New(code, &francisv1.ErrorDetail{Reason: reason, Outcome: nothing}, message)
}

// UnknownType is the error of a call to a type that no host serves.
func UnknownType(typ string, known []string) *connect.Error {
	have := "none is registered"
	if len(known) > 0 {
		have = "registered: " + strings.Join(known, ", ")
	}
	return refused(connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TYPE,
		"no host serves the actor type "+quote(typ)+" ("+have+"); register it, or check the spelling")
}

// UnknownMethod is the error of a call to a method that the actor type lacks.
func UnknownMethod(typ, method string) *connect.Error {
	return refused(connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD,
		"actor type "+quote(typ)+" has no method "+quote(method)+"; check the spelling, or update the host that serves it")
}

// NoEndpoint is the error of a request that names no method at all.
func NoEndpoint(httpMethod, path string) *connect.Error {
	return refused(connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD,
		"there is no endpoint "+httpMethod+" "+path+"; call POST /invoke/{type}/{id}/{method}, or POST /{package.Service}/{Method} with the header Francis-Actor-Id")
}

// NoTaskEndpoint is the error of a request below /alarm or /job that names nothing.
func NoTaskEndpoint(httpMethod, path string) *connect.Error {
	return refused(connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD,
		"there is no endpoint "+httpMethod+" "+path+"; there are POST /alarm/{type}/{id}/{name} and /job/{type}/{id}, GET of both and of /job/{type}/{id}/{jobId}, DELETE of one, and POST /job/{type}/{id}/{jobId}/retry")
}

// Unreadable is the error of a request that could not be received: one of ours says why
// itself.
func Unreadable(err error) *connect.Error {
	coded, ok := codedIn(err)
	switch {
	case !ok:
		return Malformed(connect.CodeInvalidArgument, "the request cannot be read")
	case Detail(coded) != nil:
		return coded
	}
	reason := francisv1.Reason_REASON_MALFORMED
	if coded.Code() == connect.CodeResourceExhausted {
		reason = francisv1.Reason_REASON_TOO_LARGE
	}
	return refused(coded.Code(), reason, coded.Message())
}

// Unimplemented is the answer of a method that its actor does not implement.
func Unimplemented(procedure string) *connect.Error {
	return refused(connect.CodeUnimplemented, francisv1.Reason_REASON_UNKNOWN_METHOD,
		"the actor does not implement "+procedure)
}

// InvalidID is the error of a call whose actor id is missing, malformed or given
// twice with different values.
func InvalidID(message string) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_ID, message)
}

// QueueFull is the error of a call that would be one too many to wait. After that time
// there will be room.
func QueueFull(typ, id string, waiting int, after time.Duration) *connect.Error {
	return New(connect.CodeResourceExhausted, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_QUEUE_FULL, Outcome: nothing,
		Retryable: true, RetryDelay: durationpb.New(after),
	}, plural(waiting, "call waits", "calls wait")+" for "+typ+"/"+id+" already; try again, or raise max_pending")
}

// Cycle is the error of a call to an actor that waits for it.
func Cycle(path []string) *connect.Error {
	return New(connect.CodeFailedPrecondition, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_CYCLE, Outcome: nothing, Path: path,
	}, "the call would wait for itself: "+strings.Join(path, " → ")+"; break the cycle, or do one step later as work of its own")
}

// ChainTooDeep is the error of a call that makes its chain longer than allowed.
func ChainTooDeep(path []string, depth int) *connect.Error {
	return New(connect.CodeFailedPrecondition, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_CHAIN_TOO_DEEP, Outcome: nothing, Path: path,
	}, "the chain of calls is longer than "+plural(depth, "actor", "actors")+": "+abridged(path))
}

// NotAView is the error of a view that calls a method which is none.
func NotAView(caller, procedure string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_A_VIEW,
		"a view of "+caller+" called "+procedure+", which is no view; call it from a turn, or declare it with idempotency_level = NO_SIDE_EFFECTS")
}

// TurnOver is the error of a call through a turn or view that has ended.
func TurnOver(actor string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_TURN_OVER,
		"the turn of "+actor+" that makes this call is over; a turn calls only while its method runs")
}

// EndedWaiting is the error of a call whose context ended with cause before the
// method ran: nothing happened.
func EndedWaiting(cause error) *connect.Error {
	code, verb := endedBy(cause)
	return New(code, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_DEADLINE, Outcome: nothing, Retryable: true,
	}, verb+" while it waited for the actor")
}

// EndedJoining is EndedWaiting for a call to a host that has not joined its cluster yet.
func EndedJoining(cause error) *connect.Error {
	code, verb := endedBy(cause)
	return New(code, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_DEADLINE, Outcome: nothing, Retryable: true,
	}, verb+" while it waited for the host to join the cluster; Run does that, and the host's log says what is in its way")
}

// EndedRunning is the error of a call whose context ended with cause while the
// method ran: the outcome is unknown.
func EndedRunning(cause error) *connect.Error {
	code, verb := endedBy(cause)
	return New(code, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_DEADLINE, Outcome: unknown,
	}, verb+" while the method ran")
}

// ShuttingDown is the error of a call that reaches a host which stops.
func ShuttingDown() *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_SHUTTING_DOWN, Outcome: nothing, Retryable: true,
	}, "the host is shutting down")
}

// Closed is the error of a call through a client that was closed.
func Closed() *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_SHUTTING_DOWN, "the client is closed; dial again")
}

// TooLarge is the error of a message, state or metadata over its limit.
func TooLarge(what string, size, limit int) *connect.Error {
	return refused(connect.CodeResourceExhausted, francisv1.Reason_REASON_TOO_LARGE,
		what+" has "+plural(size, "byte", "bytes")+"; at most "+plural(limit, "is", "are")+" allowed")
}

// StateMismatch is the error of an actor whose stored state does not fit its
// contract. The stored state stays as it is.
func StateMismatch(actor, why string) *connect.Error {
	return refused(connect.CodeDataLoss, francisv1.Reason_REASON_STATE_MISMATCH,
		"the stored state of "+actor+" does not fit the contract: "+why)
}

// StateDamaged is the error of an actor whose stored state, or one of its keys, does not fit
// its checksum. It stays as it is.
func StateDamaged(actor string) *connect.Error {
	return refused(connect.CodeDataLoss, francisv1.Reason_REASON_STATE_MISMATCH,
		"the stored state of "+actor+" is damaged: its checksum is wrong; restore the store from a backup, or delete the actor (sdk.Delete), which then begins anew")
}

// Malformed is the error of a message that cannot be decoded or encoded.
func Malformed(code connect.Code, message string) *connect.Error {
	return refused(code, francisv1.Reason_REASON_MALFORMED, message)
}

// WrongReply is the error of a call whose reply is of no use to its caller. The
// turn that made the reply may have been committed.
func WrongReply(message string) *connect.Error {
	return New(connect.CodeInternal, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_MALFORMED, Outcome: unknown,
	}, message)
}

// Panicked is the error of a turn whose method or constructor panicked.
func Panicked(procedure, callID string) *connect.Error {
	return New(connect.CodeInternal, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_PANICKED, Outcome: nothing, CallId: callID,
	}, procedure+" panicked; the worker's log has the stack under call "+callID)
}

// CommitUnanswered is the error of a turn whose commit brought no answer.
func CommitUnanswered(actor, callID string) *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_COMMIT_FAILED, Outcome: unknown, CallId: callID,
	}, "the commit of "+actor+" was not answered; the worker's log has the cause under call "+callID)
}

// Superseded is the error of a turn whose worker no longer owned the actor when it
// ended.
func Superseded(actor string) *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_COMMIT_FAILED, Outcome: nothing, Retryable: true,
	}, actor+" has moved to another worker while the method ran; try again")
}

func quote(s string) string { return strconv.Quote(s) }

// plural is "1 byte is" or "2 bytes are".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// abridged is a path with its middle left out.
func abridged(path []string) string {
	const ends = 4
	if len(path) > 2*ends {
		path = slices.Concat(path[:ends], []string{"…"}, path[len(path)-ends:])
	}
	return strings.Join(path, " → ")
}
