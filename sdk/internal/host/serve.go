package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/chain"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Serve takes a call that another worker has forwarded, and calls answer, once, on any
// goroutine, also before it returns. The call is in the queue of its actor when Serve
// returns, unless something has to be waited for first. Where this worker is not the
// owner, the answer names who is. The context ends when the caller has left, and need
// not end otherwise.
func (h *Host) Serve(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
	r, err := h.received(ctx, req)
	if err != nil {
		answer(nil, err)
		return
	}
	r.respond = answer
	epoch := req.GetFence().GetEpoch()
	if r.table == nil || h.cfg.Cluster.Entry(r.call.Type, r.shard).GetEpoch() < epoch {
		go r.serveLate(epoch)
		return
	}
	r.serve()
}

// received is the run of a forwarded call.
func (h *Host) received(ctx context.Context, req *peerv1.InvokeRequest) (*run, error) {
	if req.GetCodec() == peerv1.Codec_CODEC_UNSPECIFIED {
		return nil, fault.Malformed(connect.CodeInvalidArgument, "the forwarded call names no codec")
	}
	return h.prepare(ctx, remoteOrigin(req), actor.Call{
		Type: req.GetActor().GetType(), ID: req.GetActor().GetId(), Procedure: req.GetProcedure(), View: req.GetView(),
		Codec: req.GetCodec(), Body: req.GetBody(), Timeout: remoteTimeout(req), Key: req.GetIdempotencyKey(),
	})
}

// serveLate serves a call that was routed by a newer table than this worker's, or to a
// type that it does not know yet.
func (r *run) serveLate(epoch uint64) {
	if err := r.known(); err != nil {
		r.finish(answer{}, err)
		return
	}
	ctx, cancel := r.waiting()
	err := r.host.cfg.Cluster.Await(ctx, r.call.Type, r.shard, epoch)
	cancel()
	if err != nil {
		r.finish(answer{}, ended(err))
		return
	}
	r.serve()
}

// serve puts a forwarded call into the queue of its actor.
func (r *run) serve() {
	cluster := r.host.cfg.Cluster
	if cluster.Entry(r.call.Type, r.shard).GetWorker() != cluster.Worker() {
		r.finish(answer{}, errMoved)
		return
	}
	if err := r.resolve(); err != nil {
		r.finish(answer{}, err)
		return
	}
	switch _, parked, err := r.enter(); {
	case err != nil:
		r.finish(answer{}, err)
	case parked != nil:
		go func() { r.finish(answer{}, r.park(parked)) }()
	}
}

// responded sends the answer to the worker that has forwarded the call.
func (r *run) responded(a answer, err error) {
	if r.unwatch != nil {
		r.unwatch()
	}
	r.host.deadlines.Stop(&r.deadline)
	switch {
	case errors.Is(err, errMoved):
		r.respond(notOwner(r.host.cfg.Cluster.Entry(r.call.Type, r.shard)), nil)
	case err != nil:
		r.respond(nil, err)
	default:
		r.respond(&peerv1.InvokeResponse{Result: &peerv1.InvokeResponse_Reply{Reply: a.encoded}}, nil)
	}
}

func notOwner(entry *runtimev1.Shard) *peerv1.InvokeResponse {
	return &peerv1.InvokeResponse{Result: &peerv1.InvokeResponse_NotOwner{NotOwner: proto.CloneOf(entry)}}
}

// remoteOrigin takes no more of a chain than shows that it is too long.
func remoteOrigin(req *peerv1.InvokeRequest) origin {
	from := origin{view: req.GetFromView(), metadata: req.GetMetadata()}
	actors := req.GetChain()
	for _, waiting := range actors[:min(len(actors), limit.ChainDepth)] {
		from.link = &chain.Link{Parent: from.link, Type: waiting.GetType(), ID: waiting.GetId()}
	}
	return from
}

func remoteTimeout(req *peerv1.InvokeRequest) time.Duration {
	if timeout := req.GetTimeout().AsDuration(); timeout > 0 {
		return timeout
	}
	return limit.CallTimeout
}

// encodeChain lists the actors of a chain, outermost first.
func encodeChain(l *chain.Link) []*runtimev1.Actor {
	var actors []*runtimev1.Actor
	for ; l != nil; l = l.Parent {
		actors = append(actors, &runtimev1.Actor{Type: l.Type, Id: l.ID})
	}
	slices.Reverse(actors)
	return actors
}
