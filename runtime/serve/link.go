package serve

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/wire"
	"github.com/francis-actors/francis/runtime/engine"
)

// maxLinks is how many links a worker has at a time. It uses one; others are those that
// end, and those whose connections are lost and not missed yet.
const maxLinks = 16

// links are the links of workers, on which they load and commit. What comes in a frame
// goes to the engine before the next one is read: the store writes together what waits.
type links struct {
	engine *engine.Engine
	// closing is closed when no more requests shall come.
	closing <-chan struct{}

	mu sync.Mutex
	// held counts the links of each worker.
	held map[string]int
}

var _ runtimev1connect.LinkServiceHandler = (*links)(nil)

func newLinks(e *engine.Engine, closing <-chan struct{}) *links {
	return &links{engine: e, closing: closing, held: map[string]int{}}
}

// Link serves a link of a worker.
func (l *links) Link(ctx context.Context, stream runtimev1connect.LinkServiceLinkServerStream) error {
	id, err := workerOf(ctx)
	if err != nil {
		return err
	}
	if !l.enter(id) {
		return fault.TooManyLinks(maxLinks)
	}
	defer l.leave(id)
	worker := l.engine.Worker(id)
	return link.Serve(ctx, stream, link.Server{
		Take:    func(request *link.Request, body []byte) { take(worker, request, body) },
		Closing: l.closing,
		Valid:   func() bool { return fresh(ctx) },
	})
}

func (l *links) enter(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[id] >= maxLinks {
		return false
	}
	l.held[id]++
	return true
}

func (l *links) leave(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[id]--; l.held[id] == 0 {
		delete(l.held, id)
	}
}

// fresh reports whether the certificate that a connection showed has not ended since.
func fresh(ctx context.Context) bool {
	info, ok := connecthttp.ServerInfoForContext(ctx)
	return ok && time.Now().Before(info.TLS().PeerCertificates[0].NotAfter)
}

// take begins a request of a worker.
func take(worker *engine.Worker, request *link.Request, body []byte) {
	var asked runtimev1.LinkRequest
	if err := wire.Unmarshal(body, &asked); err != nil {
		request.Answer(nil, fault.Malformed(connect.CodeInvalidArgument, "the request cannot be read: "+err.Error()))
		return
	}
	go func() {
		answer, err := serve(request, worker, &asked)
		request.Answer(link.Bytes(answer), err)
	}()
}

// serve answers a request of a worker.
func serve(ctx context.Context, worker *engine.Worker, asked *runtimev1.LinkRequest) ([]byte, error) {
	answer, err := respond(ctx, worker, asked)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(answer)
}

func respond(ctx context.Context, worker *engine.Worker, asked *runtimev1.LinkRequest) (*runtimev1.LinkResponse, error) {
	switch asked := asked.GetRequest().(type) {
	case *runtimev1.LinkRequest_Load:
		res, err := worker.Load(ctx, asked.Load)
		return &runtimev1.LinkResponse{Response: &runtimev1.LinkResponse_Load{Load: res}}, err
	case *runtimev1.LinkRequest_Commit:
		res, err := worker.Commit(ctx, asked.Commit)
		return &runtimev1.LinkResponse{Response: &runtimev1.LinkResponse_Commit{Commit: res}}, err
	case *runtimev1.LinkRequest_Settle:
		res, err := worker.Settle(ctx, asked.Settle)
		return &runtimev1.LinkResponse{Response: &runtimev1.LinkResponse_Settle{Settle: res}}, err
	case *runtimev1.LinkRequest_Change:
		res, err := worker.Change(ctx, asked.Change)
		return &runtimev1.LinkResponse{Response: &runtimev1.LinkResponse_Change{Change: res}}, err
	default:
		return nil, fault.Malformed(connect.CodeInvalidArgument, "the request asks for nothing that this runtime knows")
	}
}
