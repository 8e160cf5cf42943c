package fault

import (
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// storeDelay is the advice of a runtime whose store fails: nothing heals sooner.
const storeDelay = time.Second

// WorkerDead is the error of a request by a worker that is no member any more.
func WorkerDead(worker string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD,
		"worker "+quote(worker)+" is dead or was never admitted; join again, under a new id")
}

// NotActive is the error of a call that is only for an actor in memory.
func NotActive(actor string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_NOT_ACTIVE,
		actor+" is not in memory, and the call is only for an actor that is")
}

// TypeConflict is the error of a worker that serves an actor type by another
// contract than the worker other does.
func TypeConflict(typ, service, known, other string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_TYPE_CONFLICT,
		"actor type "+quote(typ)+" is "+known+" on worker "+quote(other)+", and "+service+" here; give one of the contracts another type, or stop the workers that serve the old one first")
}

// ServiceConflict is the error of a worker that serves an actor type by the contract
// by which the worker other serves another type.
func ServiceConflict(service, known, typ, other string) *connect.Error {
	return refused(connect.CodeFailedPrecondition, francisv1.Reason_REASON_TYPE_CONFLICT,
		service+" is the contract of actor type "+quote(known)+" on worker "+quote(other)+", and of "+quote(typ)+" here; give this one a contract of its own, or stop the workers that serve the old one first")
}

// AddressTaken is the error of a worker whose address belongs to the worker other,
// which answers there.
func AddressTaken(address, other string) *connect.Error {
	return refused(connect.CodeAlreadyExists, francisv1.Reason_REASON_ADDRESS_TAKEN,
		"worker "+quote(other)+" answers at "+address+"; give this one an address of its own, or stop the other")
}

// Unauthenticated is the error of a request whose connection proves no worker.
func Unauthenticated(why string) *connect.Error {
	return refused(connect.CodeUnauthenticated, francisv1.Reason_REASON_UNSPECIFIED,
		"the connection does not prove which worker it is: "+why)
}

// TooMany is the error of a request that carries more of something than allowed.
func TooMany(what string, n, limit int) *connect.Error {
	return refused(connect.CodeInvalidArgument, francisv1.Reason_REASON_TOO_LARGE,
		"the request carries "+strconv.Itoa(n)+" "+what+"; at most "+strconv.Itoa(limit)+" are allowed")
}

// TooManyLinks is the error of a worker that opens one link too many.
func TooManyLinks(limit int) *connect.Error {
	return New(connect.CodeResourceExhausted, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_TOO_LARGE, Outcome: nothing, Retryable: true,
	}, "the worker has "+plural(limit, "link", "links")+" already; end those that it does not use")
}

// CertificateRefused is the error of a worker whose certificate could not be signed.
func CertificateRefused() *connect.Error {
	return refused(connect.CodeInternal, francisv1.Reason_REASON_UNSPECIFIED,
		"the certificate could not be signed; the runtime's log has the cause")
}

// NotOffered is the error of a request for something that this runtime is not set
// up for.
func NotOffered(what string) *connect.Error {
	return refused(connect.CodeUnimplemented, francisv1.Reason_REASON_UNSPECIFIED, "this runtime does not "+what)
}

// RuntimeStopping is the error of a request that reaches a runtime which stops.
func RuntimeStopping() *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_SHUTTING_DOWN, Outcome: nothing, Retryable: true,
	}, "the runtime is shutting down")
}

// StoreFull is the error of a write for which the store has no room.
func StoreFull(message string) *connect.Error {
	return New(connect.CodeResourceExhausted, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_STORE_FULL, Outcome: nothing,
		Retryable: true, RetryDelay: durationpb.New(storeDelay),
	}, message)
}

// StoreDamaged is the error of a request that meets something damaged in the store.
func StoreDamaged(message string) *connect.Error {
	return refused(connect.CodeDataLoss, francisv1.Reason_REASON_STORE_FAILED, message)
}

// StoreUnfit reports whether err says that the store has no room, or is damaged: the caller
// shall know it by name, and decide when to try again.
func StoreUnfit(err error) bool {
	return Detail(err).GetReason() == francisv1.Reason_REASON_STORE_FULL || connect.CodeOf(err) == connect.CodeDataLoss
}

// StoreFailed is the error of a request during which the store failed. A request of
// a worker to the runtime may always be sent again: it tells what became of the
// first.
func StoreFailed(message string) *connect.Error {
	return New(connect.CodeUnavailable, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_STORE_FAILED, Outcome: unknown,
		Retryable: true, RetryDelay: durationpb.New(storeDelay),
	}, message)
}

// Interrupted is the error of a request to the runtime whose context ended with
// cause.
func Interrupted(cause error) *connect.Error {
	code, verb := endedBy(cause)
	return New(code, &francisv1.ErrorDetail{
		Reason: francisv1.Reason_REASON_DEADLINE, Outcome: unknown, Retryable: true,
	}, verb+" before the runtime had answered")
}
