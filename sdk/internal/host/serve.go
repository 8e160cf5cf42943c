package host

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/chain"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Forwarded is a call that another worker has forwarded, and waits for. It is the context
// of the call: it ends when the caller has left.
type Forwarded interface {
	context.Context
	// Answer answers the call. It is called once, and neither blocks nor keeps the message.
	Answer(res *peerv1.InvokeResponse, err error)
	// Notify lets l be told, once and on a goroutine of its own, that the caller has left.
	Notify(l link.Leaver)
}

// Serve takes a call that another worker has forwarded, and answers it on any goroutine,
// also before it returns. The call is in the queue of its actor when Serve returns, unless
// something has to be waited for first. Where this worker is not the owner, the answer
// names who is. The request is not kept, but for its strings.
func (h *Host) Serve(call Forwarded, req *peerv1.InvokeRequest) {
	if req.GetCodec() == peerv1.Codec_CODEC_UNSPECIFIED {
		call.Answer(nil, fault.Malformed(connect.CodeInvalidArgument, "the forwarded call names no codec"))
		return
	}
	asked := actor.Call{
		Type: req.GetType(), ID: req.GetId(), Procedure: req.GetProcedure(), View: req.GetView(),
		Codec: req.GetCodec(), Body: req.GetBody(), Timeout: remoteTimeout(req), Key: req.GetIdempotencyKey(),
		OnlyIfActive: req.GetOnlyIfActive(),
	}
	r, err := h.prepare(call, remoteOrigin(req), &asked)
	if err != nil {
		call.Answer(nil, err)
		return
	}
	r.forwarded = true
	if r.table == nil || h.cfg.Cluster.Entry(r.typ, r.shard).GetEpoch() < req.GetEpoch() {
		late := asked
		late.Body = bytes.Clone(late.Body)
		go r.serveLate(&late, req.GetEpoch())
		return
	}
	r.serve(&asked)
}

// serveLate serves a call that was routed by a newer table than this worker's, or to a
// type that it does not know yet.
func (r *run) serveLate(call *actor.Call, epoch uint64) {
	if err := r.known(); err != nil {
		r.fail(err)
		return
	}
	if err := r.wait(r.placed(epoch)); err != nil {
		r.fail(err)
		return
	}
	r.serve(call)
}

// serve puts a forwarded call into the queue of its actor.
func (r *run) serve(call *actor.Call) {
	cluster := r.host.cfg.Cluster
	if cluster.Entry(r.typ, r.shard).GetWorker() != cluster.Worker() {
		r.fail(errMoved)
		return
	}
	if call.Procedure == actor.HaltProcedure {
		r.serveHalt()
		return
	}
	if err := r.resolve(call); err != nil {
		r.fail(err)
		return
	}
	switch _, parked, err := r.enter(); {
	case errors.Is(err, errAbsent):
		r.host.pool.run(absence{r})
	case err != nil:
		r.fail(err)
	case parked != nil:
		go func() { r.fail(r.park(parked)) }()
	}
}

// responded sends the answer to the worker that has forwarded the call.
func (r *run) responded(a answer, err error) {
	r.host.deadlines.Stop(&r.deadline)
	forwarded := r.parent.(Forwarded)
	switch {
	case errors.Is(err, errMoved):
		entry := r.host.cfg.Cluster.Entry(r.typ, r.shard)
		forwarded.Answer(&peerv1.InvokeResponse{NotOwner: proto.CloneOf(entry)}, nil)
	case err != nil:
		forwarded.Answer(nil, err)
	default:
		res := responses.Get().(*peerv1.InvokeResponse)
		res.Reply = a.encoded
		forwarded.Answer(res, nil)
		res.Reply = nil
		responses.Put(res)
	}
}

// responses are those that are not in use.
var responses = sync.Pool{New: func() any { return &peerv1.InvokeResponse{} }}

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
	if timeout := time.Duration(req.GetTimeoutNanos()); timeout > 0 {
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
