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
// goroutine, also before it returns. Where this worker is not the owner, the answer
// names who is.
func (h *Host) Serve(ctx context.Context, req *peerv1.InvokeRequest, answer func(*peerv1.InvokeResponse, error)) {
	go func() { answer(h.serve(ctx, req)) }()
}

func (h *Host) serve(ctx context.Context, req *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	if req.GetCodec() == peerv1.Codec_CODEC_UNSPECIFIED {
		return nil, fault.Malformed(connect.CodeInvalidArgument, "the forwarded call names no codec")
	}
	r, err := h.prepare(ctx, remoteOrigin(req), actor.Call{
		Type: req.GetActor().GetType(), ID: req.GetActor().GetId(), Procedure: req.GetProcedure(),
		Codec: req.GetCodec(), Body: req.GetBody(), Timeout: remoteTimeout(req),
	})
	if err != nil {
		return nil, err
	}
	entry, err := h.caughtUp(r, req.GetFence().GetEpoch())
	if err != nil {
		return nil, err
	}
	if entry.GetWorker() != h.cfg.Cluster.Worker() {
		return notOwner(entry), nil
	}
	a, err := h.local(r)
	if errors.Is(err, errMoved) {
		return notOwner(h.cfg.Cluster.Entry(r.call.Type, r.shard)), nil
	}
	if err != nil {
		return nil, err
	}
	return &peerv1.InvokeResponse{Result: &peerv1.InvokeResponse_Reply{Reply: a.encoded}}, nil
}

// caughtUp is the entry of the shard that the call was routed by, or a newer one:
// the caller may have heard of it before we have.
func (h *Host) caughtUp(r *run, epoch uint64) (*runtimev1.Shard, error) {
	entry := h.cfg.Cluster.Entry(r.call.Type, r.shard)
	if entry.GetEpoch() >= epoch {
		return entry, nil
	}
	ctx, cancel := r.waiting()
	defer cancel()
	if err := h.cfg.Cluster.Await(ctx, r.call.Type, r.shard, epoch); err != nil {
		return nil, ended(err)
	}
	return h.cfg.Cluster.Entry(r.call.Type, r.shard), nil
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
