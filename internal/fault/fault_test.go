package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// wantFault checks all that a caller sees of an error.
func wantFault(t *testing.T, err *connect.Error, code connect.Code, message string, detail *francisv1.ErrorDetail) {
	t.Helper()
	if err.Code() != code || err.Message() != message {
		t.Errorf("error %v: %s\nwant  %v: %s", err.Code(), err.Message(), code, message)
	}
	if got := Detail(err); !proto.Equal(got, detail) {
		t.Errorf("detail %v\nwant   %v", got, detail)
	}
	if n := count(err); n != 1 {
		t.Errorf("the error has %d details of ours, want 1", n)
	}
	if err.IsRemote() {
		t.Error("the error counts as a peer's verdict: no server would forward it")
	}
}

// count is how many details of ours an error has.
func count(err *connect.Error) int {
	n := 0
	for _, detail := range err.Details() {
		if detail.Type == detailName {
			n++
		}
	}
	return n
}

func TestConstructors(t *testing.T) {
	t.Parallel()
	var long []string
	for i := range 65 {
		long = append(long, fmt.Sprintf("t/%d", i))
	}
	nothingFor := func(reason francisv1.Reason) *francisv1.ErrorDetail {
		return &francisv1.ErrorDetail{Reason: reason, Outcome: nothing}
	}
	tests := map[string]struct {
		err     *connect.Error
		code    connect.Code
		message string
		detail  *francisv1.ErrorDetail
	}{
		"not active": {
			NotActive("cart/1"), connect.CodeFailedPrecondition,
			"cart/1 is not in memory, and the call is only for an actor that is",
			nothingFor(francisv1.Reason_REASON_NOT_ACTIVE),
		},
		"not by a gateway": {
			NotByGateway("lists no actors", "list them in a worker"), connect.CodePermissionDenied,
			"a gateway lists no actors, since it serves whoever reaches it; list them in a worker",
			nothingFor(francisv1.Reason_REASON_UNSPECIFIED),
		},
		"a view that deletes": {
			ViewDeletes("cart/1"), connect.CodeFailedPrecondition, "a view of cart/1 wants to delete the actor; do it in a turn",
			nothingFor(francisv1.Reason_REASON_NOT_A_VIEW),
		},
		"a deletion of too much": {
			TooManyTasks("cart/1", 10_000), connect.CodeResourceExhausted,
			"cart/1 has more than 10000 alarms, jobs and dead letters, which are too many to be deleted with it at once; delete some of them first",
			nothingFor(francisv1.Reason_REASON_TOO_LARGE),
		},
		"unknown type": {
			UnknownType("crt", []string{"cart", "stock"}), connect.CodeNotFound,
			`no host serves the actor type "crt" (registered: cart, stock); register it, or check the spelling`,
			nothingFor(francisv1.Reason_REASON_UNKNOWN_TYPE),
		},
		"unknown type of an empty host": {
			UnknownType("a\n\xff", nil), connect.CodeNotFound,
			`no host serves the actor type "a\n\xff" (none is registered); register it, or check the spelling`,
			nothingFor(francisv1.Reason_REASON_UNKNOWN_TYPE),
		},
		"unknown method": {
			UnknownMethod("cart", "ad"), connect.CodeUnimplemented,
			`actor type "cart" has no method "ad"; check the spelling, or update the host that serves it`,
			nothingFor(francisv1.Reason_REASON_UNKNOWN_METHOD),
		},
		"no endpoint": {
			NoEndpoint("GET", "/x"), connect.CodeUnimplemented,
			`there is no endpoint GET /x; call POST /invoke/{type}/{id}/{method}, or POST /{package.Service}/{Method} with the header Francis-Actor-Id`,
			nothingFor(francisv1.Reason_REASON_UNKNOWN_METHOD),
		},
		"no endpoint at a path that is not UTF-8": {
			NoEndpoint("GET", "/\xff"), connect.CodeUnimplemented,
			"there is no endpoint GET /\uFFFD; call POST /invoke/{type}/{id}/{method}, or POST /{package.Service}/{Method} with the header Francis-Actor-Id",
			nothingFor(francisv1.Reason_REASON_UNKNOWN_METHOD),
		},
		"no endpoint for tasks": {
			NoTaskEndpoint("PUT", "/job/a/1"), connect.CodeUnimplemented,
			`there is no endpoint PUT /job/a/1; there are POST /alarm/{type}/{id}/{name} and /job/{type}/{id}, GET of both and of /job/{type}/{id}/{jobId}, DELETE of one, and POST /job/{type}/{id}/{jobId}/retry`,
			nothingFor(francisv1.Reason_REASON_UNKNOWN_METHOD),
		},
		"invalid task": {
			InvalidTask("no"), connect.CodeInvalidArgument, "no", nothingFor(francisv1.Reason_REASON_INVALID_TASK),
		},
		"unknown task": {
			UnknownTask("alarm x", "a/1"), connect.CodeNotFound,
			"a/1 has no alarm x", nothingFor(francisv1.Reason_REASON_UNKNOWN_TASK),
		},
		"unreadable": {
			Unreadable(connect.NewError(connect.CodeInvalidArgument, "unmarshal message")), connect.CodeInvalidArgument,
			"unmarshal message", nothingFor(francisv1.Reason_REASON_MALFORMED),
		},
		"unreadable for its size": {
			Unreadable(connect.NewError(connect.CodeResourceExhausted, "too large")), connect.CodeResourceExhausted,
			"too large", nothingFor(francisv1.Reason_REASON_TOO_LARGE),
		},
		"unreadable without a code": {
			Unreadable(errors.New("secret")), connect.CodeInvalidArgument,
			"the request cannot be read", nothingFor(francisv1.Reason_REASON_MALFORMED),
		},
		"unimplemented": {
			Unimplemented("/p.S/M"), connect.CodeUnimplemented,
			"the actor does not implement /p.S/M", nothingFor(francisv1.Reason_REASON_UNKNOWN_METHOD),
		},
		"invalid id": {
			InvalidID("the id is odd"), connect.CodeInvalidArgument,
			"the id is odd", nothingFor(francisv1.Reason_REASON_INVALID_ID),
		},
		"queue full": {
			QueueFull("cart", "1", 1024, 50*time.Millisecond), connect.CodeResourceExhausted,
			"1024 calls wait for cart/1 already; try again, or raise max_pending",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_QUEUE_FULL, Outcome: nothing, Retryable: true, RetryDelay: durationpb.New(50 * time.Millisecond)},
		},
		"queue full with one": {
			QueueFull("cart", "1", 1, 50*time.Millisecond), connect.CodeResourceExhausted,
			"1 call waits for cart/1 already; try again, or raise max_pending",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_QUEUE_FULL, Outcome: nothing, Retryable: true, RetryDelay: durationpb.New(50 * time.Millisecond)},
		},
		"cycle": {
			Cycle([]string{"cart/1", "stock/9", "cart/1"}), connect.CodeFailedPrecondition,
			"the call would wait for itself: cart/1 → stock/9 → cart/1; break the cycle, or do one step later as work of its own",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_CYCLE, Outcome: nothing, Path: []string{"cart/1", "stock/9", "cart/1"}},
		},
		"chain too deep": {
			ChainTooDeep(long, 64), connect.CodeFailedPrecondition,
			"the chain of calls is longer than 64 actors: t/0 → t/1 → t/2 → t/3 → … → t/61 → t/62 → t/63 → t/64",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_CHAIN_TOO_DEEP, Outcome: nothing, Path: long},
		},
		"short chain too deep": {
			ChainTooDeep(long[:2], 1), connect.CodeFailedPrecondition,
			"the chain of calls is longer than 1 actor: t/0 → t/1",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_CHAIN_TOO_DEEP, Outcome: nothing, Path: long[:2]},
		},
		"not a view": {
			NotAView("cart/1", "/p.S/M"), connect.CodeFailedPrecondition,
			"a view of cart/1 called /p.S/M, which is no view; call it from a turn, or declare it with idempotency_level = NO_SIDE_EFFECTS",
			nothingFor(francisv1.Reason_REASON_NOT_A_VIEW),
		},
		"turn over": {
			TurnOver("cart/1"), connect.CodeFailedPrecondition,
			"the turn of cart/1 that makes this call is over; a turn calls only while its method runs",
			nothingFor(francisv1.Reason_REASON_TURN_OVER),
		},
		"shutting down": {
			ShuttingDown(), connect.CodeUnavailable, "the host is shutting down",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_SHUTTING_DOWN, Outcome: nothing, Retryable: true},
		},
		"too large": {
			TooLarge("the state of cart/1", 3, 2), connect.CodeResourceExhausted,
			"the state of cart/1 has 3 bytes; at most 2 are allowed", nothingFor(francisv1.Reason_REASON_TOO_LARGE),
		},
		"too large by the smallest measure": {
			TooLarge("it", 1, 1), connect.CodeResourceExhausted,
			"it has 1 byte; at most 1 is allowed", nothingFor(francisv1.Reason_REASON_TOO_LARGE),
		},
		"state mismatch": {
			StateMismatch("cart/1", "it is odd"), connect.CodeDataLoss,
			"the stored state of cart/1 does not fit the contract: it is odd", nothingFor(francisv1.Reason_REASON_STATE_MISMATCH),
		},
		"damaged state": {
			StateDamaged("cart/1"), connect.CodeDataLoss,
			"the stored state of cart/1 is damaged: its checksum is wrong; restore the store from a backup, or delete the actor (sdk.Delete), which then begins anew",
			nothingFor(francisv1.Reason_REASON_STATE_MISMATCH),
		},
		"malformed": {
			Malformed(connect.CodeInternal, "the reply is odd"), connect.CodeInternal,
			"the reply is odd", nothingFor(francisv1.Reason_REASON_MALFORMED),
		},
		"wrong reply": {
			WrongReply("the reply is odd"), connect.CodeInternal,
			"the reply is odd", &francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_MALFORMED, Outcome: unknown},
		},
		"panicked": {
			Panicked("/p.S/M", "17"), connect.CodeInternal,
			"/p.S/M panicked; the worker's log has the stack under call 17",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_PANICKED, Outcome: nothing, CallId: "17"},
		},
		"commit unanswered": {
			CommitUnanswered("cart/1", "17"), connect.CodeUnavailable,
			"the commit of cart/1 was not answered; the worker's log has the cause under call 17",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_COMMIT_FAILED, Outcome: unknown, CallId: "17"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, test.err, test.code, test.message, test.detail)
		})
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err       *connect.Error
		code      connect.Code
		message   string
		outcome   francisv1.Outcome
		retryable bool
	}{
		"deadline while waiting":  {EndedWaiting(context.DeadlineExceeded), connect.CodeDeadlineExceeded, "the deadline passed while it waited for the actor", nothing, true},
		"deadline while joining":  {EndedJoining(context.DeadlineExceeded), connect.CodeDeadlineExceeded, "the deadline passed while it waited for the host to join the cluster; Run does that, and the host's log says what is in its way", nothing, true},
		"deadline while running":  {EndedRunning(context.DeadlineExceeded), connect.CodeDeadlineExceeded, "the deadline passed while the method ran", unknown, false},
		"cancelled while waiting": {EndedWaiting(context.Canceled), connect.CodeCanceled, "the call was cancelled while it waited for the actor", nothing, true},
		"cancelled while running": {EndedRunning(context.Canceled), connect.CodeCanceled, "the call was cancelled while the method ran", unknown, false},
		"a wrapped cause":         {EndedRunning(fmt.Errorf("x: %w", context.Canceled)), connect.CodeCanceled, "the call was cancelled while the method ran", unknown, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, test.err, test.code, test.message,
				&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_DEADLINE, Outcome: test.outcome, Retryable: test.retryable})
		})
	}
}

func TestLinkLost(t *testing.T) {
	t.Parallel()
	lost := &francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_LINK_LOST, Outcome: unknown}
	deadline := &francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_DEADLINE, Outcome: unknown}
	tests := map[string]struct {
		err    error
		code   connect.Code
		text   string
		detail *francisv1.ErrorDetail
	}{
		"our context was cancelled": {connect.NewError(connect.CodeCanceled, "x").WithCause(context.Canceled), connect.CodeCanceled, "the call was cancelled while the method ran", deadline},
		"our deadline passed":       {context.DeadlineExceeded, connect.CodeDeadlineExceeded, "the deadline passed while the method ran", deadline},
		"the stream was reset":      {connect.NewError(connect.CodeCanceled, "x"), connect.CodeUnavailable, "the connection to the actor's worker was lost while the method ran", lost},
		"the connection broke":      {connect.NewError(connect.CodeInternal, "incomplete envelope"), connect.CodeUnavailable, "the connection to the actor's worker was lost while the method ran", lost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, LinkLost(test.err), test.code, test.text, test.detail)
		})
	}
}

func TestDetailOfForeignErrors(t *testing.T) {
	t.Parallel()
	foreign, err := connectproto.NewErrorDetail(wrapperspb.String("x"))
	if err != nil {
		t.Fatal(err)
	}
	base := connect.NewError(connect.CodeAborted, "x")
	for name, err := range map[string]error{
		"none":                              nil,
		"plain":                             errors.New("x"),
		"without details":                   base,
		"a nil pointer":                     (*connect.Error)(nil),
		"with a foreign detail":             base.WithDetail(foreign),
		"with a detail that is not ours":    base.WithDetail(&connect.ErrorDetail{Type: "x.Unknown", Value: []byte{1}}),
		"with a broken detail of ours":      base.WithDetail(&connect.ErrorDetail{Type: detailName, Value: []byte{0xff}}),
		"with a detail that only sounds so": base.WithDetail(&connect.ErrorDetail{Type: "francis.v1.ErrorDetai"}),
	} {
		if detail := Detail(err); detail != nil {
			t.Errorf("%s: the detail %v", name, detail)
		}
	}
	// Ours is found behind others, and through wraps.
	ours, err := connectproto.NewErrorDetail(&francisv1.ErrorDetail{CallId: "17"})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"after a foreign one": base.WithDetail(foreign).WithDetail(ours),
		"after a broken one":  base.WithDetail(&connect.ErrorDetail{Type: detailName, Value: []byte{0xff}}).WithDetail(ours),
		"in a wrap":           fmt.Errorf("x: %w", base.WithDetail(ours)),
		"in a join":           errors.Join(errors.New("x"), base.WithDetail(ours)),
		"of a peer":           base.WithDetail(ours).WithRemote(),
	} {
		if got := Detail(err).GetCallId(); got != "17" {
			t.Errorf("%s: the detail of ours was not found", name)
		}
	}
}

func TestHidden(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"plain":              {errors.New("secret"), true},
		"a wrapped plain":    {fmt.Errorf("x: %w", errors.New("secret")), true},
		"a nil pointer":      {(*connect.Error)(nil), true},
		"coded":              {connect.NewError(connect.CodeAborted, "x"), false},
		"a wrapped coded":    {fmt.Errorf("secret: %w", connect.NewError(connect.CodeAborted, "x")), false},
		"deadline":           {context.DeadlineExceeded, false},
		"a wrapped deadline": {fmt.Errorf("x: %w", context.Canceled), false},
	} {
		if got := Hidden(test.err); got != test.want {
			t.Errorf("%s: hidden %v, want %v", name, got, test.want)
		}
	}
}

func TestMethod(t *testing.T) {
	t.Parallel()
	failed := francisv1.Reason_REASON_METHOD_FAILED
	const hidden = "the actor failed; the worker's log has the cause under call 17"
	logged := &francisv1.ErrorDetail{Reason: failed, Outcome: nothing, CallId: "17"}
	tests := map[string]struct {
		err     error
		code    connect.Code
		message string
		detail  *francisv1.ErrorDetail
	}{
		"plain":         {errors.New("secret"), connect.CodeUnknown, hidden, logged},
		"a nil pointer": {(*connect.Error)(nil), connect.CodeUnknown, hidden, logged},
		"coded": {
			connect.NewError(connect.CodeOutOfRange, "as told"), connect.CodeOutOfRange, "as told",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
		"coded, not UTF-8": {
			connect.NewError(connect.CodeOutOfRange, "bad \xff"), connect.CodeOutOfRange, "bad \uFFFD",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
		"coded with a cause": {
			connect.NewError(connect.CodeOutOfRange, "as told").WithCause(errors.New("secret")), connect.CodeOutOfRange, "as told",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
		"wrapped": {
			fmt.Errorf("secret: %w", connect.NewError(connect.CodeOutOfRange, "as told")), connect.CodeOutOfRange, "as told",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
		"of a peer without a verdict": {
			connect.NewError(connect.CodeUnavailable, "away").WithRemote(), connect.CodeUnavailable, "away",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
		"of a peer that may be asked again": {
			QueueFull("cart", "1", 2, 50*time.Millisecond).WithRemote(), connect.CodeResourceExhausted, "2 calls wait for cart/1 already; try again, or raise max_pending",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_QUEUE_FULL, Outcome: nothing, Retryable: true, RetryDelay: durationpb.New(50 * time.Millisecond)},
		},
		"of a peer's cycle": {
			Cycle([]string{"a/1", "a/1"}).WithRemote(), connect.CodeFailedPrecondition,
			"the call would wait for itself: a/1 → a/1; break the cycle, or do one step later as work of its own",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_CYCLE, Outcome: nothing, Path: []string{"a/1", "a/1"}},
		},
		// What became of another actor is no matter of this one's state: its own turn
		// was rolled back.
		"of a peer whose outcome is unknown": {
			CommitUnanswered("cart/1", "99").WithRemote(), connect.CodeUnavailable,
			"the commit of cart/1 was not answered; the worker's log has the cause under call 99",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_COMMIT_FAILED, Outcome: nothing, CallId: "99"},
		},
		"deadline": {
			fmt.Errorf("secret: %w", context.DeadlineExceeded), connect.CodeDeadlineExceeded, "the deadline passed, and the method gave up",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
		"cancelled": {
			context.Canceled, connect.CodeCanceled, "the call was cancelled, and the method gave up",
			&francisv1.ErrorDetail{Reason: failed, Outcome: nothing},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Method(test.err, failed, "17")
			wantFault(t, got, test.code, test.message, test.detail)
			if text := fmt.Sprintf("%v %+v %v", got, got, got.Unwrap()); strings.Contains(text, "secret") {
				t.Errorf("the error gives its text away: %s", text)
			}
		})
	}
}

func TestMethodKeepsOtherDetails(t *testing.T) {
	t.Parallel()
	var texts []string
	err := QueueFull("cart", "1", 2, 50*time.Millisecond)
	for _, text := range []string{"one", "two"} {
		packed, packErr := connectproto.NewErrorDetail(wrapperspb.String(text))
		if packErr != nil {
			t.Fatal(packErr)
		}
		err = err.WithDetail(packed)
	}
	for _, detail := range Method(err, francisv1.Reason_REASON_METHOD_FAILED, "").Details() {
		if message, err := connectproto.UnmarshalErrorDetail(detail); err == nil {
			if text, ok := message.(*wrapperspb.StringValue); ok {
				texts = append(texts, text.GetValue())
			}
		}
	}
	if !slices.Equal(texts, []string{"one", "two"}) {
		t.Errorf("the details %q, want one and two", texts)
	}
}

func TestReceived(t *testing.T) {
	t.Parallel()
	coded := QueueFull("cart", "1", 2, 50*time.Millisecond).WithRemote()
	for _, err := range []error{coded, fmt.Errorf("x: %w", coded)} {
		if got := Received(err); got != coded {
			t.Errorf("the verdict %v of the other side became %v", err, got)
		}
	}
	tests := map[string]struct {
		err     error
		code    connect.Code
		message string
		detail  *francisv1.ErrorDetail
	}{
		"a broken line": {errors.New("connection refused"), connect.CodeUnavailable, "connection refused", &francisv1.ErrorDetail{Outcome: unknown}},
		"a nil pointer": {(*connect.Error)(nil), connect.CodeUnavailable, "unknown", &francisv1.ErrorDetail{Outcome: unknown}},
		"deadline": {
			fmt.Errorf("x: %w", context.DeadlineExceeded), connect.CodeDeadlineExceeded, "the deadline passed while the method ran",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_DEADLINE, Outcome: unknown},
		},
		"cancelled": {
			context.Canceled, connect.CodeCanceled, "the call was cancelled while the method ran",
			&francisv1.ErrorDetail{Reason: francisv1.Reason_REASON_DEADLINE, Outcome: unknown},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, Received(test.err), test.code, test.message, test.detail)
		})
	}
}
