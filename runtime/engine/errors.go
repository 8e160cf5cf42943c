package engine

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
)

// coded turns whatever a request of a worker failed with into the one type of our
// errors. The text of what nobody expected goes to the log alone.
func (e *Engine) coded(worker string, err error) error {
	if err == nil {
		return nil
	}
	if coded, ok := errors.AsType[*connect.Error](err); ok {
		return coded
	}
	if coded := expected(worker, err); coded != nil {
		return coded
	}
	e.log.Error("a request of a worker failed", "worker", worker, "error", err)
	return fault.StoreFailed("the store failed; the runtime's log has the cause")
}

// expected is the error for a cause that has a name, nil for any other.
func expected(worker string, err error) *connect.Error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Interrupted(err)
	case errors.Is(err, store.ErrDead):
		return fault.WorkerDead(worker)
	case errors.Is(err, store.ErrInvalid):
		return fault.Malformed(connect.CodeInvalidArgument, err.Error())
	case errors.Is(err, store.ErrFull):
		return fault.StoreFull(store.ErrFull.Error())
	case errors.Is(err, store.ErrDamaged):
		return fault.StoreDamaged(store.ErrDamaged.Error())
	case errors.Is(err, store.ErrFatal):
		return fault.StoreFailed(store.ErrFatal.Error())
	case errors.Is(err, store.ErrAway):
		return fault.StoreFailed(store.ErrAway.Error())
	case errors.Is(err, store.ErrClosed):
		return fault.RuntimeStopping()
	}
	return nil
}
