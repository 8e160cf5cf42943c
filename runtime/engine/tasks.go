package engine

import (
	"context"
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
)

// Settle ends deliveries that no record completes.
func (w *Worker) Settle(ctx context.Context, req *runtimev1.SettleRequest) (*runtimev1.SettleResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.SettleResponse, error) {
		if err := checkSettlements(req.GetSettlements()); err != nil {
			return nil, err
		}
		verdicts, moved, err := e.store.Settle(ctx, w.id, req.GetSettlements())
		e.tasks.settled(req.GetSettlements(), verdicts, moved, err)
		return &runtimev1.SettleResponse{Verdicts: verdicts}, err
	})
}

// Change changes tasks of any actors.
func (w *Worker) Change(ctx context.Context, req *runtimev1.ChangeRequest) (*runtimev1.ChangeResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.ChangeResponse, error) {
		if err := checkChanges(req.GetChanges()); err != nil {
			return nil, err
		}
		keeps, err := e.after(ctx, req.GetMark())
		if err != nil {
			return nil, err
		}
		if e.board.gone(w.id) {
			return nil, store.ErrDead
		}
		results, moved, err := keeps.Change(ctx, req.GetChanges())
		e.tasks.moved(moved, err)
		return &runtimev1.ChangeResponse{Results: results, Mark: e.marks.seal(moved.Point)}, e.found(ctx, req.GetMark(), err)
	})
}

// List lists tasks or dead letters.
func (w *Worker) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.ListResponse, error) {
		if err := checkList(req); err != nil {
			return nil, err
		}
		if e.board.gone(w.id) {
			return nil, store.ErrDead
		}
		return e.store.List(ctx, req)
	})
}

func checkSettlements(settlements []*runtimev1.Settlement) error {
	if n := len(settlements); n > limit.MaxChanges {
		return fault.TooMany("settlements", n, limit.MaxChanges)
	}
	for _, settlement := range settlements {
		if err := task.CheckKey(settlement.GetKey()); err != nil {
			return malformed(err)
		}
	}
	return nil
}

// checkChanges reports what is wrong with changes in themselves.
func checkChanges(changes []*runtimev1.TaskChange) error {
	if n := len(changes); n > limit.MaxChanges {
		return fault.TooMany("changes", n, limit.MaxChanges)
	}
	for _, change := range changes {
		if err := task.CheckChange(change); err != nil {
			return malformed(err)
		}
	}
	return nil
}

// checkTasks reports what is wrong with what a record does to tasks.
func checkTasks(record *runtimev1.Record) error {
	if err := checkChanges(record.GetChanges()); err != nil {
		return err
	}
	completes := record.GetCompletes()
	if completes == nil {
		return nil
	}
	if err := task.CheckKey(completes.GetKey()); err != nil {
		return malformed(err)
	}
	if key := completes.GetKey(); key.GetType() != record.GetActor().GetType() || key.GetId() != record.GetActor().GetId() {
		return malformed(fmt.Errorf("a record of %s/%s completes %s", record.GetActor().GetType(), record.GetActor().GetId(), task.Describe(key)))
	}
	return nil
}

func checkList(req *runtimev1.ListRequest) error {
	if err := name.CheckType(req.GetType()); err != nil {
		return malformed(err)
	}
	if req.GetId() == "" {
		return nil
	}
	return checkActor(&runtimev1.Actor{Type: req.GetType(), Id: req.GetId()})
}
