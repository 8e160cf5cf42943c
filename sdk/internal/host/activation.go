package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/boottime"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// hookTimeout bounds the OnDeactivate hooks of one activation together.
const hookTimeout = limit.CallTimeout

// activation is one stay of an actor in memory: the instance that its constructor
// made, and its state. It belongs to who holds the slot alone; views read it.
//
// As in a slot, what every call needs lies in front.
type activation struct {
	// epoch is the one at which this worker owned the shard when the actor was
	// loaded. It never changes: a new epoch is a new activation.
	epoch uint64
	// life is that of the state, guarded by the lock of the slot.
	life *life
	// output is what is about to leave; nil while nothing is pending. It is guarded by the
	// lock of the slot.
	output *output
	// instance is nil until the constructor has returned.
	instance any
	// state is the live state; nil for an actor without one.
	state proto.Message
	// encoded is the state as the last turn left it: what a turn is compared with, and
	// what it is rolled back to. Never changed in place.
	encoded []byte
	// loaded is true once the actor was read from the runtime.
	loaded bool
	// lent is true once a turn has had the live state: from then on it may change
	// in any turn.
	lent bool
	// crowded is true while so much has accumulated that the next turn has to wait.
	crowded atomic.Bool

	// away counts the callers who have been answered and do not run yet. While there are
	// any, the next record is not sent: many callers call again at once.
	away atomic.Int32
	slot *slot
	// number is drawn when the actor is loaded; it names the records of the activation.
	number uint64
	// version counts the actor's commits that are durable.
	version atomic.Uint64
	// base is the identity of the last record that is durable, and sequence counts the
	// records that were sent. Both are guarded by the lock of the slot.
	base     identity
	sequence uint64
	// extras are nil for most activations, which pay for no more than a pointer. Who holds
	// the slot alone sets them.
	extras *extras

	// mu guards snapshot, which views make when the first of them asks.
	mu sync.Mutex
	// snapshot is a copy of the state for the views of this version; nil until one
	// asks for it.
	snapshot proto.Message
}

// extras are what few activations have.
type extras struct {
	hooks []func(context.Context)
	// keys are the idempotency keys of the actor, and replies has those of keys that are not
	// durable yet. replies is guarded by the lock of the slot.
	keys    keys.Index
	replies map[keys.Digest][]byte
}

// extra are the extras of an activation that needs some. Its caller holds the slot alone.
func (a *activation) extra() *extras {
	if a.extras == nil {
		a.extras = &extras{replies: map[keys.Digest][]byte{}}
	}
	return a.extras
}

// encoding gives equal states equal bytes within one program. Whether required fields are
// there is looked at when a state is to be committed.
var encoding = proto.MarshalOptions{Deterministic: true, AllowPartial: true}

// newActivation makes the activation of the actor that r opens. One with state is
// loaded.
func newActivation(r *run, s *slot) (*activation, error) {
	entry := r.host.cfg.Cluster.Entry(s.table.typ.Type, s.shard)
	if entry.GetWorker() != r.host.cfg.Cluster.Worker() {
		return nil, errMoved
	}
	a := s.blank()
	a.slot, a.epoch, a.number = s, entry.GetEpoch(), rand.Uint64()|1
	if s.table.typ.StateType == nil {
		return a, nil
	}
	return a, a.load((*turnContext)(r), r)
}

// blank is memory for an activation. Only the first one lies in the slot itself, since who
// ran on an earlier one may still look at it. The caller holds the slot alone.
func (s *slot) blank() *activation {
	if s.first.slot == nil {
		return &s.first
	}
	return &activation{}
}

// load reads the actor from the runtime.
func (a *activation) load(ctx context.Context, r *run) error {
	asked := boottime.Now()
	res, err := r.host.cfg.Cluster.Load(ctx, a.read())
	switch {
	case err != nil:
		return r.failed(err, francisv1.Reason_REASON_ACTIVATION_FAILED)
	case res.GetVerdict() == runtimev1.Verdict_VERDICT_STALE_EPOCH:
		ctx, cancel := context.WithTimeout(ctx, limit.CallTimeout)
		defer cancel()
		return r.elsewhere(ctx, a.epoch)
	case res.GetVerdict() == runtimev1.Verdict_VERDICT_DAMAGED && !r.deletes():
		return fault.StateDamaged(r.name())
	}
	a.loaded = true
	a.version.Store(res.GetState().GetVersion())
	a.knows(res.GetKeys())
	a.found(res.GetState(), asked)
	if a.slot.table.typ.StateType == nil || r.deletes() {
		return nil
	}
	return a.decode(r, res.GetState())
}

// found takes over what is stored beside the state, which was asked for at that time.
func (a *activation) found(stored *runtimev1.State, asked boottime.Moment) {
	a.slot.mu.Lock()
	defer a.slot.mu.Unlock()
	a.base = identityOf(stored.GetIdentity())
	if left := stored.GetExpiresIn(); left != nil {
		a.life = &life{asked, left.AsDuration()}
	}
}

// decode takes over the state that was loaded.
func (a *activation) decode(r *run, stored *runtimev1.State) error {
	a.state = a.slot.table.typ.StateType.New().Interface()
	if stored.GetIdentity() == nil || stored.GetMessage() == "" {
		return nil
	}
	if want := a.slot.table.stateName(); stored.GetMessage() != want {
		return fault.StateMismatch(r.name(), fmt.Sprintf("it is a %s, and the contract says %s", stored.GetMessage(), want))
	}
	if err := proto.Unmarshal(stored.GetData(), a.state); err != nil {
		return fault.StateMismatch(r.name(), "it does not decode as "+stored.GetMessage())
	}
	a.encoded = stored.GetData()
	return nil
}

func (a *activation) name() string { return a.slot.table.typ.Type + "/" + a.slot.id }

// read asks for the actor. The messages in it are one piece of memory with it.
func (a *activation) read() *runtimev1.LoadRequest_Read {
	r := &struct {
		read  runtimev1.LoadRequest_Read
		actor runtimev1.Actor
		fence runtimev1.Fence
	}{}
	r.actor.Type, r.actor.Id = a.slot.table.typ.Type, a.slot.id
	r.fence.Shard, r.fence.Epoch = a.slot.shard, a.epoch
	r.read.Actor, r.read.Fence = &r.actor, &r.fence
	return &r.read
}

// construct calls the constructor of the actor.
func (a *activation) construct(r *run) error {
	instance, err := a.slot.table.typ.New((*turnContext)(r), a)
	if err == nil && isNil(instance) {
		err = errors.New("the constructor returned neither an actor nor an error")
	}
	if err != nil {
		r.blame(err)
		return r.failed(fmt.Errorf("activate: %w", err), francisv1.Reason_REASON_ACTIVATION_FAILED)
	}
	a.instance = instance
	return nil
}

func isNil(instance any) bool {
	v := reflect.ValueOf(instance)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// lend is the live state, for a turn.
func (a *activation) lend() proto.Message {
	a.lent = true
	return a.state
}

// shared is the state for the views of this version.
func (a *activation) shared() proto.Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.snapshot == nil && a.state != nil {
		a.snapshot = proto.Clone(a.state)
	}
	return a.snapshot
}

// differs reports whether state is not what was committed.
func (a *activation) differs(state proto.Message) bool {
	data, err := encoding.Marshal(state)
	return err != nil || !bytes.Equal(data, a.encoded)
}

// scratch holds buffers for states that most turns leave as they were.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// changed encodes the state if the turn r changed it; nil if it did not.
func (a *activation) changed(r *run) ([]byte, error) {
	if !a.lent {
		return nil, nil
	}
	buffer := scratch.Get().(*[]byte)
	defer scratch.Put(buffer)
	data, err := encoding.MarshalAppend((*buffer)[:0], a.state)
	if err == nil {
		*buffer = data
		if bytes.Equal(data, a.encoded) {
			return nil, nil
		}
		err = proto.CheckInitialized(a.state)
	}
	if err != nil {
		return nil, fault.Malformed(connect.CodeInternal, "the state of "+r.name()+" cannot be encoded: "+err.Error())
	}
	if len(data) > r.host.cfg.Limits.State {
		return nil, fault.TooLarge("the state of "+r.name(), len(data), r.host.cfg.Limits.State)
	}
	return append(make([]byte, 0, len(data)), data...), nil
}

// rollback puts the state back to the end of the previous turn.
func (a *activation) rollback() {
	if !a.lent || !a.differs(a.state) {
		return
	}
	proto.Reset(a.state)
	if err := proto.Unmarshal(a.encoded, a.state); err != nil {
		//nolint:forbidigo // a broken invariant: going on would mix two turns
		panic(fmt.Sprintf("the state of %s was encoded by this host and does not decode: %v", a.name(), err))
	}
}

// deactivate calls the hooks of the actor, the last registered first.
func (a *activation) deactivate(ctx context.Context) {
	if a.extras == nil {
		return
	}
	for _, hook := range slices.Backward(a.extras.hooks) {
		a.runHook(ctx, hook)
	}
	a.extras.hooks = nil
}

// runHook calls a hook on a goroutine of its own, which it may end (runtime.Goexit): the
// end of the activation goes on.
func (a *activation) runHook(ctx context.Context, hook func(context.Context)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if cause := recover(); cause != nil {
				a.Log().Error("an OnDeactivate hook panicked", "panic", cause, "stack", string(debug.Stack()))
			}
		}()
		hook(ctx)
	}()
	<-done
}

// ID, Version, State, OnDeactivate and Log are what the constructor sees.

func (a *activation) ID() string { return a.slot.id }

func (a *activation) Version() uint64 { return a.version.Load() }

func (a *activation) State() proto.Message { return a.shared() }

func (a *activation) OnDeactivate(hook func(context.Context)) {
	e := a.extra()
	e.hooks = append(e.hooks, hook)
}

func (a *activation) Log() *slog.Logger {
	return a.slot.table.host.cfg.Logger.With("actor", a.name())
}

var _ actor.Activation = (*activation)(nil)
