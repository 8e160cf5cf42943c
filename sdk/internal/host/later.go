package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/schedule"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/codec"
)

// later is what a run has to do with alarms and jobs. Most runs have nothing.
type later struct {
	// delivery is what the run handles; nil for a call. It never changes.
	delivery *delivery
	// changes are what the turn does to tasks when it is committed, and bytes how large they
	// are. Both are guarded by the lock of the slot.
	changes []*runtimev1.TaskChange
	bytes   int
	// deletes is true once the turn has deleted its actor, guarded alike.
	deletes bool
}

// schedule stores a call for later, at once.
func (h *Host) schedule(ctx context.Context, from origin, call *actor.Call) error {
	ctx, cancel := h.patient(ctx, call)
	defer cancel()
	set, err := h.task(ctx, from, call)
	if err != nil {
		return err
	}
	return h.change(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: set}})
}

// patient is a context for a request to the runtime: it always ends.
func (h *Host) patient(ctx context.Context, call *actor.Call) (context.Context, context.CancelFunc) {
	patience := h.cfg.Limits.CallTimeout
	if call.Timeout > 0 {
		patience = call.Timeout
	}
	return context.WithTimeout(ctx, patience)
}

// change changes a task, at once.
func (h *Host) change(ctx context.Context, change *runtimev1.TaskChange) error {
	result, err := h.cfg.Cluster.Change(ctx, change)
	switch {
	case err == nil:
		return became(change, result)
	case fault.Detail(err) != nil:
		return fault.Relayed(err)
	case errors.Is(err, ErrUnsent):
		return fault.EndedWaiting(err)
	case ctx.Err() != nil:
		return fault.Interrupted(ctx.Err())
	default:
		return fault.ChangeUnanswered()
	}
}

// became is what the caller is told of a change that was answered.
func became(change *runtimev1.TaskChange, result runtimev1.ChangeResponse_Result) error {
	key, what := about(change)
	name := key.GetType() + "/" + key.GetId()
	switch result {
	case runtimev1.ChangeResponse_RESULT_DONE, runtimev1.ChangeResponse_RESULT_EXISTS:
		return nil
	case runtimev1.ChangeResponse_RESULT_CONFLICT:
		if set := change.GetSet(); set != nil {
			return fault.JobConflict(name, set.GetProcedure())
		}
		return fault.TaskGoesOn(what, name)
	case runtimev1.ChangeResponse_RESULT_NOT_FOUND:
		if change.GetDelete() == nil {
			what = "dead letter of the " + what
		}
		return fault.UnknownTask(what, name)
	default:
		return fault.Malformed(connect.CodeInternal, fmt.Sprintf("the runtime answered a change of a task with %v; upgrade the older of runtime and worker", result))
	}
}

// about is the task that a change is about, and its name for people.
func about(change *runtimev1.TaskChange) (key *runtimev1.TaskKey, what string) {
	switch change := change.GetChange().(type) {
	case *runtimev1.TaskChange_Set:
		key = change.Set.GetKey()
	case *runtimev1.TaskChange_Delete:
		key = change.Delete
	case *runtimev1.TaskChange_Revive:
		key = change.Revive
	case *runtimev1.TaskChange_Bury:
		key = change.Bury
	}
	if job := key.GetJob(); job != "" {
		return key, "job " + job
	}
	return key, "alarm " + key.GetAlarm()
}

// task is a call for later as it is stored. It fails for one that could never be
// delivered.
func (h *Host) task(ctx context.Context, from origin, call *actor.Call) (*runtimev1.Task, error) {
	if err := name.CheckID(call.ID); err != nil {
		return nil, fault.InvalidID(err.Error())
	}
	declared, method, err := h.target(ctx, from, call)
	if err != nil {
		return nil, err
	}
	request, err := h.request(method, call)
	if err != nil {
		return nil, err
	}
	metadata, err := h.metadata(ctx, from)
	if err != nil {
		return nil, err
	}
	made := &runtimev1.Task{
		Key: taskKey(call), Procedure: call.Procedure, Request: request, Timing: call.Later.Timing,
		Retry: retryOf(method), Metadata: metadata, IdempotencyKey: call.Key, OnDeath: onDeath(declared, call),
	}
	if err := task.Check(made); err != nil {
		return nil, fault.InvalidTask(err.Error())
	}
	if err := schedule.Check(made.GetTiming(), time.Now()); err != nil {
		return nil, fault.InvalidTask(err.Error())
	}
	if made.GetKey().GetAlarm() != "" && call.Key != "" {
		return nil, fault.InvalidKey("an alarm has no idempotency key: its name makes it the one that it is")
	}
	return made, nil
}

// taskKey names the task that a call for later sets. A job with an idempotency key has an
// id that follows from it.
func taskKey(call *actor.Call) *runtimev1.TaskKey {
	key := &runtimev1.TaskKey{Type: call.Type, Id: call.ID}
	switch {
	case call.Later.Alarm != "":
		key.Name = &runtimev1.TaskKey_Alarm{Alarm: call.Later.Alarm}
	case call.Later.Job != "":
		key.Name = &runtimev1.TaskKey_Job{Job: call.Later.Job}
	case call.Key != "":
		key.Name = &runtimev1.TaskKey_Job{Job: task.JobID(call.Type, call.ID, call.Key)}
	}
	return key
}

func retryOf(method *contract.Method) *runtimev1.Retry {
	return &runtimev1.Retry{
		Attempts:       uint32(method.Retry.Attempts), //nolint:gosec // its contract was checked
		InitialBackoff: durationpb.New(method.Retry.Initial), MaxBackoff: durationpb.New(method.Retry.Max),
		Multiplier: method.Retry.Multiplier,
	}
}

// onDeath is the method that is told when the task has died. It is not told of itself.
func onDeath(declared *contract.Contract, call *actor.Call) string {
	if declared.DeadLetterMethod == call.Procedure {
		return ""
	}
	return declared.DeadLetterMethod
}

// target finds the method that is called later: a turn of a type that some worker serves.
func (h *Host) target(ctx context.Context, from origin, call *actor.Call) (*contract.Contract, *contract.Method, error) {
	declared, err := h.declared(ctx, call.Type)
	if err != nil {
		return nil, nil, err
	}
	method := declared.Method(call.Procedure)
	switch {
	case method == nil:
		return nil, nil, fault.UnknownMethod(call.Type, call.Procedure)
	case from.view:
		return nil, nil, fault.ViewChanges(from.link.Type + "/" + from.link.ID)
	case method.View:
		return nil, nil, fault.ViewLater(call.Procedure)
	}
	return declared, method, nil
}

// declared is the contract of an actor type, its own or that of another worker.
func (h *Host) declared(ctx context.Context, typ string) (*contract.Contract, error) {
	if own := h.ContractOf(typ); own != nil {
		return own, nil
	}
	if announced := h.cfg.Cluster.Contract(typ); announced != nil {
		return announced, nil
	}
	if err := h.cfg.Cluster.AwaitTable(ctx); err != nil {
		return nil, h.unplaced(err)
	}
	if announced := h.cfg.Cluster.Contract(typ); announced != nil {
		return announced, nil
	}
	return nil, fault.UnknownType(typ, h.cfg.Cluster.Types())
}

// request is the encoded request of a call for later, with the actor id in it.
func (h *Host) request(method *contract.Method, call *actor.Call) ([]byte, error) {
	message, err := decodeFor(method, call)
	if err != nil {
		return nil, err
	}
	if method.IDField != nil {
		message = proto.Clone(message)
		field := message.ProtoReflect().Descriptor().Fields().ByNumber(method.IDField.Number())
		if err := actor.FillID(field, message.ProtoReflect(), call.ID); err != nil {
			return nil, fault.InvalidID(err.Error())
		}
	}
	encoded, err := proto.Marshal(message)
	if err != nil {
		return nil, fault.Malformed(connect.CodeInvalidArgument, "the request of "+call.Procedure+" cannot be encoded: "+err.Error())
	}
	if most := min(h.cfg.Limits.Message, limit.MaxTaskRequest); len(encoded) > most {
		return nil, fault.TooLarge("the request of "+call.Procedure+", which is called later,", len(encoded), most)
	}
	return encoded, nil
}

// decodeFor is the request as a message, which is checked against the contract.
func decodeFor(method *contract.Method, call *actor.Call) (proto.Message, error) {
	want := method.Desc.Input()
	if call.Codec == 0 {
		if got := descriptorOf(call.Request); got == nil || got.FullName() != want.FullName() {
			return nil, fault.Malformed(connect.CodeInvalidArgument, fmt.Sprintf("%s takes a %s, and not a %T; generate the code of caller and actor from one contract", call.Procedure, want.FullName(), call.Request))
		}
		return call.Request, nil
	}
	message := dynamicpb.NewMessage(want)
	if err := codec.Unmarshal(call.Codec, call.Body, message); err != nil {
		return nil, fault.Malformed(connect.CodeInvalidArgument, "the request is no "+string(want.FullName())+": "+err.Error())
	}
	return message, nil
}

func descriptorOf(message proto.Message) protoreflect.MessageDescriptor {
	if message == nil {
		return nil
	}
	return message.ProtoReflect().Descriptor()
}

// metadata is what a call carries that is made with ctx.
func (h *Host) metadata(ctx context.Context, from origin) (actor.Metadata, error) {
	carried := actor.MetadataOf(ctx)
	if carried == nil {
		carried = from.metadata
	}
	if size := carried.Size(); size > h.cfg.Limits.Metadata {
		return nil, fault.TooLarge("the metadata of the call", size, h.cfg.Limits.Metadata)
	}
	return carried, nil
}

// schedule stages a call for later: it is stored with the turn.
func (r *run) schedule(ctx context.Context, call *actor.Call) error {
	set, err := r.host.task(ctx, r.origin(), call)
	if err != nil {
		return err
	}
	return r.stage(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: set}})
}

// Change stages a change of a task: it is done with the turn.
func (r *run) Change(ctx context.Context, change *runtimev1.TaskChange) error {
	if r.method.View {
		return fault.ViewChanges(r.name())
	}
	if err := task.CheckChange(change); err != nil {
		return fault.InvalidTask(err.Error())
	}
	return r.stage(ctx, change)
}

// stage lets the turn do something to a task when it is committed. Where that does not fit
// into the next record with what waits for it already, it waits until that has been sent.
func (r *run) stage(ctx context.Context, change *runtimev1.TaskChange) error {
	for {
		fits, err := r.put(change)
		if fits || err != nil {
			return err
		}
		if err := r.activation.settled(ctx); err != nil {
			return ended(err)
		}
	}
}

// put stages a change if it fits into the next record, and reports whether it does.
func (r *run) put(change *runtimev1.TaskChange) (bool, error) {
	size := proto.Size(change)
	r.slot.mu.Lock()
	defer r.slot.mu.Unlock()
	l := r.staging()
	switch {
	case r.over.Load(): // read after later was set: who ends the turn meanwhile has seen that
		return false, fault.TurnOver(r.name())
	case len(l.changes) == limit.MaxChanges:
		return false, fault.TooManyChanges(r.name(), limit.MaxChanges)
	case l.bytes+size > gate.MaxBytes:
		return false, fault.TooLarge("what the turn of "+r.name()+" does to alarms and jobs", l.bytes+size, gate.MaxBytes)
	case change.GetRevive() != nil && revivals(l.changes) == limit.MaxRevived:
		return false, fault.TooManyRevivals(r.name(), limit.MaxRevived)
	case !r.activation.output.fits(len(l.changes)+1, l.bytes+size):
		return false, nil
	case change.GetRevive() != nil && !r.activation.output.revives(revivals(l.changes)+1):
		return false, nil
	}
	l.changes = append(l.changes, change)
	l.bytes += size
	return true, nil
}

// staging is what the turn has to do with alarms and jobs. The slot is locked.
func (r *run) staging() *later {
	l := r.later.Load()
	if l == nil {
		l = &later{}
		r.later.Store(l)
	}
	return l
}

// fits reports whether the next record takes so many changes of tasks, so large together.
func (o *output) fits(changes, bytes int) bool {
	return o == nil || o.next == nil || len(o.next.GetChanges())+changes <= limit.MaxChanges && o.gate.Fits(bytes)
}

// revives reports whether the next record takes so many revivals of dead letters.
func (o *output) revives(letters int) bool {
	return o == nil || o.next == nil || revivals(o.next.GetChanges())+letters <= limit.MaxRevived
}

// revivals is how many dead letters changes revive.
func revivals(changes []*runtimev1.TaskChange) (letters int) {
	for _, change := range changes {
		if change.GetRevive() != nil {
			letters++
		}
	}
	return letters
}

// commits ends what the turn may stage, and reports whether there is something to commit
// beside its state. An actor without state is not loaded otherwise, and a record builds on
// what is stored.
func (r *run) commits() (bool, error) {
	r.over.Store(true)
	l := r.later.Load()
	if l == nil || l.delivery == nil && !r.staged(l) {
		return false, nil
	}
	if r.activation.loaded {
		return true, nil
	}
	ctx, cancel := r.waiting() // that of the turn is over
	defer cancel()
	ctx, release := deadline.Within(ctx, r.host.ctx)
	defer release()
	return true, r.activation.learn(ctx, r)
}

// completes reports whether there is something to commit of a run whose key shows that it
// took effect before: a delivery is completed all the same, a call changes nothing.
func (r *run) completes() bool { return r.failure == nil && r.handles() != nil }

// staged reports whether the turn has staged something.
func (r *run) staged(l *later) bool {
	r.slot.mu.Lock()
	defer r.slot.mu.Unlock()
	return l.deletes || len(l.changes) > 0
}

// clears reports whether the turn has deleted its actor. The turn is over.
func (r *run) clears() bool {
	l := r.later.Load()
	return l != nil && l.deletes
}

// size is how large the changes are that are staged.
func (l *later) size() int {
	if l == nil {
		return 0
	}
	return l.bytes
}

// tasks adds what the turn does to tasks to the next record. The slot is locked.
func (a *activation) tasks(r *run) {
	l := r.later.Load()
	if l == nil {
		return
	}
	next := a.output.next
	next.Changes = append(next.Changes, l.changes...)
	if l.delivery != nil {
		next.Completes = l.delivery.completion()
	}
}

// List lists tasks, as they are stored: what earlier turns have done, and not what this one
// does.
func (r *run) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	if err := r.activation.settled(ctx); err != nil {
		return nil, ended(err)
	}
	return read(ctx, r.host, req, r.host.cfg.Cluster.List)
}

// read asks the runtime for what is stored.
func read[Request, Answer any](ctx context.Context, h *Host, req *Request, ask func(context.Context, *Request) (*Answer, error)) (*Answer, error) {
	ctx, cancel := h.patient(ctx, &actor.Call{})
	defer cancel()
	res, err := ask(ctx, req)
	switch {
	case err == nil:
		return res, nil
	case fault.Detail(err) != nil:
		return nil, fault.Relayed(err)
	default:
		return nil, fault.EndedWaiting(err)
	}
}

// Change changes a task at once.
func (s service) Change(ctx context.Context, change *runtimev1.TaskChange) error {
	if from := originIn(ctx); from.view {
		return fault.ViewChanges(from.link.Type + "/" + from.link.ID)
	}
	if err := task.CheckChange(change); err != nil {
		return fault.InvalidTask(err.Error())
	}
	ctx, cancel := s.host.patient(ctx, &actor.Call{})
	defer cancel()
	return s.host.change(ctx, change)
}

// List lists tasks.
func (s service) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return read(ctx, s.host, req, s.host.cfg.Cluster.List)
}
