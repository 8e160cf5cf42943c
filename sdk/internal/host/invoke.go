package host

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/chain"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/core/turn"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/codec"
)

// errMoved says that the actor lives elsewhere by now, and that nothing ran.
var errMoved = errors.New("the actor has moved")

// redialPause is how long a call waits before it tries a worker again that could
// not be reached.
const redialPause = 100 * time.Millisecond

// origin is what a call inherits from where it is made.
type origin struct {
	// link are the actors that wait for the call; nil outside of any turn.
	link *chain.Link
	// view is true for a call that a view makes.
	view     bool
	metadata actor.Metadata
	// due is when the deadline of the calling turn passes; 0 is never.
	due time.Duration
	// edge is true for a call from the gateway, which always has a deadline.
	edge bool
}

// inTurn reports whether somebody's turn waits for the call.
func (o origin) inTurn() bool { return o.link != nil }

// answer is a reply as the caller wants it: a message, or encoded.
type answer struct {
	reply   proto.Message
	encoded []byte
}

// invoke delivers a call to the actor, wherever it lives.
func (h *Host) invoke(ctx context.Context, from origin, call *actor.Call) (answer, error) {
	r, entry := h.address(call)
	if err := r.prepare(ctx, from, call); err != nil {
		return answer{}, err
	}
	if err := r.known(); err != nil {
		return answer{}, err
	}
	for {
		var a answer
		var err error
		if entry, err = h.locate(r, entry); err != nil {
			return answer{}, err
		}
		if entry.GetWorker() == h.cfg.Cluster.Worker() {
			a, err = h.local(r, call)
		} else {
			a, err = h.forward(r, call, entry)
		}
		if !errors.Is(err, errMoved) {
			r.discard()
			return a, err
		}
		r, entry = r.again(call), h.cfg.Cluster.Entry(r.typ, r.shard)
	}
}

// address returns a run of a call, and what the table says of where its actor lives. A call
// that will travel gets a run that was left behind.
func (h *Host) address(call *actor.Call) (*run, *runtimev1.Shard) {
	shard := placement.ShardOf(call.ID, placement.Shards)
	entry := h.cfg.Cluster.Entry(call.Type, shard)
	if owner := entry.GetWorker(); owner == "" || owner == h.cfg.Cluster.Worker() {
		return &run{host: h, shard: shard}, entry
	}
	r := travellers.Get().(*run)
	r.host, r.shard = h, shard
	return r, entry
}

// prepare returns a run of a call that came from elsewhere, and checks the call.
func (h *Host) prepare(ctx context.Context, from origin, call *actor.Call) (*run, error) {
	r := &run{host: h, shard: placement.ShardOf(call.ID, placement.Shards)}
	return r, r.prepare(ctx, from, call)
}

// prepare checks a call before anything is touched.
func (r *run) prepare(ctx context.Context, from origin, call *actor.Call) error {
	if err := name.CheckID(call.ID); err != nil {
		return fault.InvalidID(err.Error())
	}
	if call.Key != "" {
		if err := name.CheckKey(call.Key); err != nil {
			return fault.InvalidKey(err.Error())
		}
	}
	r.parent, r.typ, r.id, r.caller, r.fromView = ctx, call.Type, call.ID, from.link, from.view
	r.onlyActive, r.codec = call.OnlyIfActive, uint8(call.Codec) //nolint:gosec // another one than there is does not decode the request
	r.table, r.keyed = r.host.types.all()[call.Type], keyedBy(call.Key)
	r.method = r.table.method(call.Procedure)
	if err := r.follow(); err != nil {
		return err
	}
	if err := r.carry(from); err != nil {
		return err
	}
	r.bound(from, call.Timeout)
	return nil
}

// known checks that this worker or another one serves the actor type.
func (r *run) known() error {
	if r.table != nil || r.host.cfg.Cluster.Serves(r.typ) {
		return nil
	}
	return r.wait(func(ctx context.Context) error { return r.host.served(ctx, r.typ) })
}

// again is a new run of the same call.
func (r *run) again(call *actor.Call) *run {
	return &run{
		host: r.host, parent: r.parent, typ: r.typ, id: r.id, caller: r.caller, fromView: r.fromView, onlyActive: r.onlyActive, codec: r.codec,
		table: r.table, shard: r.shard, method: r.method, keyed: keyedBy(call.Key),
		metadata: r.metadata, due: r.due, ends: r.ends, latest: r.latest,
	}
}

// follow checks the chain of calls that the call belongs to.
func (r *run) follow() error {
	switch chain.Check(r.caller, r.typ, r.id, r.host.cfg.Limits.ChainDepth) {
	case chain.Cycle:
		return fault.Cycle(chain.Path(r.caller, r.typ, r.id))
	case chain.TooDeep:
		return fault.ChainTooDeep(chain.Path(r.caller, r.typ, r.id), r.host.cfg.Limits.ChainDepth)
	default:
		return nil
	}
}

// carry takes along the metadata of the context, or else of the calling turn.
func (r *run) carry(from origin) error {
	r.metadata = actor.MetadataOf(r.parent)
	if r.metadata == nil {
		r.metadata = from.metadata
	}
	if size := r.metadata.Size(); size > r.host.cfg.Limits.Metadata {
		return fault.TooLarge("the metadata of the call", size, r.host.cfg.Limits.Metadata)
	}
	return nil
}

// longest is the most that a timeout counts for: it is added to times, and the sum must be
// one.
const longest = 100 * 365 * 24 * time.Hour

// bound gives r its deadline: the one the caller asked for, else the contract's,
// and inside a turn always one. A deadline of the context holds as well.
func (r *run) bound(from origin, timeout time.Duration) {
	if timeout == 0 {
		timeout = r.missing(from)
	}
	if timeout > 0 {
		r.due = r.host.deadlines.Now() + min(timeout, longest)
	}
	if from.due > 0 && (r.due == 0 || from.due < r.due) {
		r.due = from.due
	}
	r.ends = r.due > 0 || r.parent.Done() != nil
}

// missing is the timeout of a call that asks for none; 0 is none.
func (r *run) missing(from origin) time.Duration {
	if _, brought := r.parent.Deadline(); brought {
		return 0
	}
	if r.method != nil && r.method.Timeout > 0 {
		return r.method.Timeout
	}
	if from.inTurn() || from.edge {
		return r.host.cfg.Limits.CallTimeout
	}
	return 0
}

// locate returns the entry of the actor's shard, the given one where that has an owner, and
// waits while it has none.
func (h *Host) locate(r *run, entry *runtimev1.Shard) (*runtimev1.Shard, error) {
	if entry.GetWorker() != "" {
		return entry, nil
	}
	if err := r.wait(r.placed(0)); err != nil {
		return nil, err
	}
	return h.cfg.Cluster.Entry(r.typ, r.shard), nil
}

// placed waits until the actor's shard has an owner at the given epoch or later.
func (r *run) placed(epoch uint64) func(context.Context) error {
	return func(ctx context.Context) error {
		return r.host.cfg.Cluster.Await(ctx, r.typ, r.shard, epoch)
	}
}

// wait does a step that waits, before it is known where the actor lives. So many calls do
// that at a time; one more is refused.
func (r *run) wait(step func(context.Context) error) error {
	defer r.host.waiting.Add(-1)
	if r.host.waiting.Add(1) > limit.Waiting {
		return fault.Overloaded()
	}
	ctx, cancel := r.waiting()
	defer cancel()
	return r.host.unplaced(step(ctx))
}

// unplaced is what the caller is told when a step failed that finds out where actors live.
func (h *Host) unplaced(err error) error {
	if err != nil && fault.Detail(err) == nil && h.cfg.Cluster.Worker() == "" {
		return fault.EndedJoining(err)
	}
	return ended(err)
}

// waiting is a context for steps outside the queue of an actor. It always ends, and
// not later for a call that is sent again.
func (r *run) waiting() (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.parent, r.gives()-r.host.deadlines.Now())
}

// gives is when the steps outside the queue of an actor give up.
func (r *run) gives() time.Duration {
	if r.due > 0 {
		return r.due
	}
	if r.latest == 0 {
		r.latest = r.host.deadlines.Now() + limit.CallTimeout
	}
	return r.latest
}

// local runs a call on this worker.
func (h *Host) local(r *run, call *actor.Call) (answer, error) {
	if call.Procedure == actor.HaltProcedure {
		return r.halt()
	}
	if err := r.resolve(call); err != nil {
		return answer{}, err
	}
	verdict, parked, err := r.enter()
	switch {
	case errors.Is(err, errAbsent):
		return answer{}, r.absent()
	case err != nil:
		return answer{}, err
	case parked != nil:
		return answer{}, r.park(parked)
	default:
		return r.result(verdict)
	}
}

// enter puts the call into the queue of its actor. While its shard is handed over it
// returns what to wait for instead.
func (r *run) enter() (turn.Verdict, <-chan struct{}, error) {
	for {
		slot, parked, err := r.table.slot(r)
		switch {
		case err != nil || parked != nil:
			return 0, parked, err
		case slot == nil:
			return 0, nil, errAbsent
		}
		switch verdict, alive := slot.arrive(r); {
		case !alive:
			continue // the slot was dropped between lookup and arrival
		case verdict == turn.Refused:
			return 0, nil, slot.full()
		default:
			return verdict, nil, nil
		}
	}
}

// park waits until the shard has been handed over.
func (r *run) park(over <-chan struct{}) error {
	if err := r.until(over); err != nil {
		return err
	}
	return errMoved
}

// until waits until a channel is closed.
func (r *run) until(over <-chan struct{}) error {
	return r.wait(func(ctx context.Context) error {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// callerName is the actor that calls from a turn or view; another worker may have sent
// none.
func (r *run) callerName() string {
	if r.caller == nil {
		return "an unknown actor"
	}
	return r.caller.Type + "/" + r.caller.ID
}

// resolve finds the method of the call and decodes or copies the request.
func (r *run) resolve(call *actor.Call) error {
	if r.table == nil { // registered since, or not at all
		table, err := r.host.types.of(r.typ)
		if err != nil {
			return err
		}
		r.table, r.method = table, table.method(call.Procedure)
	}
	switch {
	case r.method == nil:
		return fault.UnknownMethod(r.typ, call.Procedure)
	case call.View && !r.method.View:
		return fault.NoView(r.method.Procedure)
	case r.fromView && !r.method.View:
		return fault.NotAView(r.callerName(), r.method.Procedure)
	}
	r.ticket.Holder = r
	if r.method.View {
		r.ticket.Mode = turn.Shared
	}
	return r.copyRequest(call)
}

// copyRequest makes the request that the method receives and completes the id in it.
func (r *run) copyRequest(call *actor.Call) error {
	if call.Codec == 0 {
		if err := r.checkSize(call, proto.Size(call.Request)); err != nil {
			return err
		}
		r.req = r.method.Request.Copy(call.Request)
	} else if err := r.decodeRequest(call); err != nil {
		return err
	}
	if err := actor.FillID(r.method.IDField, r.req.ProtoReflect(), r.id); err != nil {
		return fault.InvalidID(err.Error())
	}
	return nil
}

func (r *run) decodeRequest(call *actor.Call) error {
	if err := r.checkSize(call, len(call.Body)); err != nil {
		return err
	}
	r.req = r.method.Request.New()
	if err := codec.Unmarshal(call.Codec, call.Body, r.req); err != nil {
		return fault.Malformed(connect.CodeInvalidArgument, "the request is no "+string(r.req.ProtoReflect().Descriptor().FullName())+": "+err.Error())
	}
	return nil
}

// checkSize bounds the request, in encoded bytes.
func (r *run) checkSize(call *actor.Call, size int) error {
	if most := r.host.cfg.Limits.Message; size > most {
		return fault.TooLarge("the request of "+call.Procedure, size, most)
	}
	return nil
}

// forward sends a call to the worker that owns the shard.
func (h *Host) forward(r *run, call *actor.Call, entry *runtimev1.Shard) (answer, error) {
	letter := letters.Get().(*letter)
	defer letter.discard()
	if err := letter.write(r, call, entry); err != nil {
		return answer{}, err
	}
	// The call's context is the run itself: most calls arrive, and pay for no timer.
	ends, ctx := r.gives(), (*turnContext)(r)
	h.deadlines.Set(&r.deadline, travelling{r}, ends)
	detach := func() bool { return true }
	if r.parent.Done() != nil {
		detach = context.AfterFunc(r.parent, func() { r.cancel(r.parent.Err()) })
	}
	defer func() {
		stopped, detached := h.deadlines.Stop(&r.deadline), detach()
		r.alone = stopped && detached
	}()
	if r.caller != nil { // nobody relies on this worker for a call from outside of turns
		if err := h.cfg.Cluster.Pass(ctx); err != nil {
			return answer{}, ended(err)
		}
	}
	letter.req.TimeoutNanos = int64(ends - h.deadlines.Now())
	if err := h.cfg.Cluster.Forward(ctx, entry.GetWorker(), &letter.req, &letter.res); err != nil {
		return answer{}, r.unanswered(ctx, call, entry, err)
	}
	if letter.res.GetNotOwner() != nil {
		return answer{}, r.elsewhere(ctx, entry.GetEpoch())
	}
	return decodeReply(call, letter.res.GetReply())
}

// travellers are the runs of calls that have travelled, which are not in use.
var travellers = sync.Pool{New: func() any { return &run{} }}

// discard leaves the run of a call that has travelled to another call, if that is safe.
func (r *run) discard() {
	if !r.forgotten() {
		return
	}
	s := r.scope.Load()
	*r = run{}
	r.scope.Store(s)
	travellers.Put(r)
}

// forgotten reports whether the call has travelled, and nobody else can know of the run any
// more: neither who would end it, nor who would be told.
func (r *run) forgotten() bool {
	s := r.scope.Load()
	return r.alone && (s == nil || s.untouched())
}

// travelling ends the wait for a call that is under way to another worker.
type travelling struct{ run *run }

// Wake ends it because the deadline has passed.
func (t travelling) Wake() { t.run.cancel(context.DeadlineExceeded) }

// elsewhere lets the call be sent again when the runtime has told who owns the shard
// now: what another worker says of it is a reason to wait for that, and no more.
func (r *run) elsewhere(ctx context.Context, asked uint64) error {
	if err := r.host.cfg.Cluster.Await(ctx, r.typ, r.shard, asked+1); err != nil {
		return ended(err)
	}
	return errMoved
}

// unanswered is what the caller is told when a forwarded call brought no reply. A
// call that never left is sent again, to the next owner if there is one by then, and so
// is a view whose link was lost.
func (r *run) unanswered(ctx context.Context, call *actor.Call, entry *runtimev1.Shard, err error) error {
	lostView := call.View && fault.Detail(err).GetReason() == francisv1.Reason_REASON_LINK_LOST
	if !errors.Is(err, ErrUnsent) && !lostView {
		return fault.Relayed(err)
	}
	pause, cancel := context.WithTimeout(ctx, redialPause)
	defer cancel()
	if r.host.cfg.Cluster.Await(pause, r.typ, r.shard, entry.GetEpoch()+1) == nil {
		return errMoved
	}
	if ctx.Err() != nil {
		return fault.EndedWaiting(ctx.Err())
	}
	if r.host.deadlines.Now() >= r.gives() { // its timer may come late
		return fault.EndedWaiting(context.DeadlineExceeded)
	}
	return errMoved
}

// letter is a call as it travels to another worker, with the memory for its body, and the
// answer.
type letter struct {
	req  peerv1.InvokeRequest
	body []byte
	res  peerv1.InvokeResponse
}

// letters are those that are not in use.
var letters = sync.Pool{New: func() any { return &letter{} }}

// maxKept is how large a body is whose memory is kept for later ones.
const maxKept = 4 << 10

// discard gives a letter up when its call has ended.
func (l *letter) discard() {
	l.req.Reset()
	l.res.Reset()
	if cap(l.body) <= maxKept {
		letters.Put(l)
	}
}

// write makes a call travel.
func (l *letter) write(r *run, call *actor.Call, entry *runtimev1.Shard) error {
	req := &l.req
	req.Type, req.Id, req.Procedure, req.Epoch = r.typ, r.id, call.Procedure, entry.GetEpoch()
	req.Codec, req.Body = call.Codec, call.Body
	req.Chain, req.FromView, req.Metadata = encodeChain(r.caller), r.fromView, r.metadata
	req.IdempotencyKey, req.View, req.OnlyIfActive = call.Key, call.View, call.OnlyIfActive
	if call.Codec != 0 {
		return nil
	}
	body, err := proto.MarshalOptions{}.MarshalAppend(l.body[:0], call.Request)
	if err != nil {
		return fault.Malformed(connect.CodeInvalidArgument, "the request of "+call.Procedure+" cannot be encoded: "+err.Error())
	}
	if err := r.checkSize(call, len(body)); err != nil {
		return err
	}
	l.body = body
	req.Codec, req.Body = peerv1.Codec_CODEC_PROTO, body
	return nil
}

// decodeReply is the reply in the form that the caller wants.
func decodeReply(call *actor.Call, reply []byte) (answer, error) {
	if call.Codec != 0 {
		return answer{encoded: reply}, nil
	}
	message := call.Reply.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(reply, message); err != nil {
		return answer{}, fault.WrongReply("the reply of " + call.Procedure + " cannot be decoded; generate the code of caller and actor from one contract")
	}
	return answer{reply: message}, nil
}

func shortName(procedure string) string {
	return procedure[strings.LastIndexByte(procedure, '/')+1:]
}
