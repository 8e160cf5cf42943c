package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/failpoint"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
)

// watchPatience is how long a Watch waits for a change.
const watchPatience = 30 * time.Second

// Worker is the runtime as one worker sees it: every request is made in the
// worker's name. It is both the handler and the client of WorkerService, so a host
// in the same process uses it as it is. Its methods may be called concurrently.
// Messages that it is given or returns are shared and must not be changed; records that
// have been answered are the caller's again (see [store.Records]).
type Worker struct {
	engine *Engine
	id     string
}

var (
	_ runtimev1connect.WorkerServiceHandler = (*Worker)(nil)
	_ runtimev1connect.WorkerServiceClient  = (*Worker)(nil)
)

// Worker is the runtime as the worker with this id sees it. Whether there is such a
// worker, each request finds out.
func (e *Engine) Worker(id string) *Worker { return &Worker{engine: e, id: id} }

// Announce says which actor types the worker serves and where.
func (w *Worker) Announce(ctx context.Context, req *runtimev1.AnnounceRequest) (*runtimev1.AnnounceResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.AnnounceResponse, error) {
		return &runtimev1.AnnounceResponse{}, e.announce(ctx, w.id, req)
	})
}

// Renew renews the worker's lease.
func (w *Worker) Renew(ctx context.Context, req *runtimev1.RenewRequest) (*runtimev1.RenewResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.RenewResponse, error) {
		err := e.believe(ctx, req.GetMark())
		if err == nil {
			err = e.store.Beat(ctx, w.id)
		}
		if errors.Is(err, store.ErrDead) {
			return &runtimev1.RenewResponse{Dead: true}, nil
		}
		return &runtimev1.RenewResponse{}, err
	})
}

// Watch returns what has changed of the cluster table since the cursor, as soon as
// there is something, and an answer with nothing but the cursor after half a minute
// without.
func (w *Worker) Watch(ctx context.Context, req *runtimev1.WatchRequest) (*runtimev1.WatchResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.WatchResponse, error) {
		if err := e.await(ctx); err != nil {
			return nil, err
		}
		if err := e.believe(ctx, req.GetMark()); err != nil {
			return nil, err
		}
		return e.watch(ctx, w.id, req.GetCursor())
	})
}

// watch waits for news. Who begins to watch sees everything that was acknowledged before,
// also by other engines.
func (e *Engine) watch(ctx context.Context, id, cursor string) (*runtimev1.WatchResponse, error) {
	if cursor == "" {
		if err := e.follower.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	timer := time.NewTimer(watchPatience)
	defer timer.Stop()
	for {
		if e.board.gone(id) {
			return nil, store.ErrDead
		}
		answer, changed := e.board.since(cursor)
		if answer != nil {
			now, err := e.store.Cluster(ctx)
			answer.Mark = e.marks.seal(now.Point())
			return answer, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return &runtimev1.WatchResponse{Cursor: cursor}, e.follower.current(ctx)
		case <-e.gate.closing:
			return nil, fault.RuntimeStopping()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Release gives shards back and names who has them now.
func (w *Worker) Release(ctx context.Context, req *runtimev1.ReleaseRequest) (*runtimev1.ReleaseResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.ReleaseResponse, error) {
		shards, err := e.release(ctx, w.id, req)
		return &runtimev1.ReleaseResponse{Shards: shards}, err
	})
}

// Leave ends the worker's membership, at once. A worker that has asked for it runs
// nothing any more, not even what it learns to own before the answer: the shards go
// to others while the request is on its way.
func (w *Worker) Leave(ctx context.Context, _ *runtimev1.LeaveRequest) (*runtimev1.LeaveResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.LeaveResponse, error) {
		return &runtimev1.LeaveResponse{}, e.leave(ctx, w.id)
	})
}

// Load reads the state of actors whose shards the worker owns.
func (w *Worker) Load(ctx context.Context, req *runtimev1.LoadRequest) (*runtimev1.LoadResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.LoadResponse, error) {
		if err := checkReads(req.GetReads()); err != nil {
			return nil, err
		}
		keeps, err := e.after(ctx, req.GetMark())
		if err != nil {
			return nil, err
		}
		results, err := keeps.Load(ctx, w.id, req.GetReads())
		return &runtimev1.LoadResponse{Results: fitting(results)}, e.found(ctx, req.GetMark(), err)
	})
}

// maxAnswer is how large the answer to a load becomes before its last result, in bytes.
const maxAnswer = 2 << 20

// fitting replaces the results that do not fit into one answer: they are asked for again.
// The first one always fits.
func fitting(results []*runtimev1.LoadResponse_Result) []*runtimev1.LoadResponse_Result {
	size := 0
	for i, result := range results {
		if size > maxAnswer {
			results[i] = &runtimev1.LoadResponse_Result{}
			continue
		}
		size += proto.Size(result)
	}
	return results
}

// Commit writes records of actors whose shards the worker owns.
func (w *Worker) Commit(ctx context.Context, req *runtimev1.CommitRequest) (*runtimev1.CommitResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.CommitResponse, error) {
		if err := checkRecords(req.GetRecords()); err != nil {
			return nil, err
		}
		keeps, err := e.after(ctx, req.GetMark())
		if err != nil {
			return nil, err
		}
		results, moved, err := keeps.Commit(ctx, w.id, req.GetRecords())
		e.tasks.committed(req.GetRecords(), results, moved, err)
		failpoint.Reach(failpoint.BeforeReply)
		failpoint.Pass(failpoint.AfterReply)
		return &runtimev1.CommitResponse{Results: results, Mark: e.marks.seal(moved.Point)}, e.found(ctx, req.GetMark(), err)
	})
}

// Certify renews the worker's certificate.
func (w *Worker) Certify(ctx context.Context, req *runtimev1.CertifyRequest) (*runtimev1.CertifyResponse, error) {
	return serve(w, func(e *Engine) (*runtimev1.CertifyResponse, error) {
		if e.cfg.Certify == nil {
			return nil, fault.NotOffered("sign certificates")
		}
		if err := e.alive(ctx, w.id); err != nil {
			return nil, fmt.Errorf("certify: %w", err)
		}
		return e.certify(ctx, w.id, req.GetCsr())
	})
}

// certify keeps what a signer fails with to the log, unless it is coded.
func (e *Engine) certify(ctx context.Context, id string, csr []byte) (*runtimev1.CertifyResponse, error) {
	answer, err := e.cfg.Certify(ctx, id, csr)
	if _, coded := errors.AsType[*connect.Error](err); err == nil || coded {
		return answer, err
	}
	e.log.Error("a certificate could not be signed", "worker", id, "error", err)
	return nil, fault.CertificateRefused()
}

// serve runs a request while the gate is open. The answer to a failed one is nil.
func serve[Answer any](w *Worker, request func(*Engine) (*Answer, error)) (*Answer, error) {
	e := w.engine
	if err := e.gate.enter(); err != nil {
		return nil, err
	}
	defer e.gate.leave()
	answer, err := request(e)
	if err != nil {
		return nil, e.coded(w.id, err)
	}
	return answer, nil
}
