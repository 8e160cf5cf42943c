package host

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// hookTimeout bounds the OnDeactivate hooks of one activation together.
const hookTimeout = limit.CallTimeout

// activation is one stay of an actor in memory: the instance that its constructor
// made, and its state. It belongs to who holds the slot alone; views read it.
type activation struct {
	table *table
	id    string
	// instance is nil until the constructor has returned.
	instance any
	hooks    []func(context.Context)

	// version counts the actor's commits.
	version uint64
	// state is the live state; nil for an actor without one.
	state proto.Message
	// encoded is the state as it was last loaded or committed: what a turn is
	// compared with, and what it is rolled back to. Never changed in place.
	encoded []byte
	// lent is true once a turn has had the live state: from then on it may change
	// in any turn.
	lent bool

	// mu guards snapshot, which views make when the first of them asks.
	mu sync.Mutex
	// snapshot is a copy of the state for the views of this version; nil until one
	// asks for it.
	snapshot proto.Message
}

// encoding gives equal states equal bytes within one program.
var encoding = proto.MarshalOptions{Deterministic: true}

// load reads the actor from the store.
func load(r *run, s *slot) (*activation, error) {
	typ := s.table.typ
	a := &activation{table: s.table, id: s.id}
	if typ.State == nil {
		return a, nil
	}
	stored, err := s.table.host.cfg.Store.Load((*turnContext)(r), typ.Name, s.id)
	if err != nil {
		return nil, r.failed(fmt.Errorf("load the state: %w", err), francisv1.Reason_REASON_ACTIVATION_FAILED)
	}
	a.state = typ.State.New().Interface()
	if stored.Version == 0 {
		return a, nil
	}
	if want := string(typ.State.Descriptor().FullName()); stored.Message != want {
		return nil, fault.StateMismatch(r.name(), fmt.Sprintf("it is a %s, and the contract says %s", stored.Message, want))
	}
	if err := proto.Unmarshal(stored.Data, a.state); err != nil {
		return nil, fault.StateMismatch(r.name(), "it does not decode as "+stored.Message)
	}
	a.version, a.encoded = stored.Version, stored.Data
	return a, nil
}

// construct calls the constructor of the actor.
func (a *activation) construct(r *run) error {
	instance, err := a.table.typ.New((*turnContext)(r), a)
	if err != nil {
		return r.failed(fmt.Errorf("activate: %w", err), francisv1.Reason_REASON_ACTIVATION_FAILED)
	}
	if isNil(instance) {
		return r.failed(fmt.Errorf("activate: the constructor returned neither an actor nor an error"), francisv1.Reason_REASON_ACTIVATION_FAILED)
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

// commit stores what the turn r did to the state, if it did anything.
func (a *activation) commit(r *run) error {
	if !a.lent {
		return nil
	}
	buffer := scratch.Get().(*[]byte)
	defer scratch.Put(buffer)
	data, err := encoding.MarshalAppend((*buffer)[:0], a.state)
	if err != nil {
		a.rollback()
		return fault.Malformed(connect.CodeInternal, "the state of "+r.name()+" cannot be encoded: "+err.Error())
	}
	*buffer = data
	if bytes.Equal(data, a.encoded) {
		return nil
	}
	if len(data) > limit.MaxState {
		a.rollback()
		return fault.TooLarge("the state of "+r.name(), len(data), limit.MaxState)
	}
	return a.store(r, bytes.Clone(data))
}

func (a *activation) store(r *run, data []byte) error {
	err := a.table.host.cfg.Store.Commit(a.table.host.ctx, Record{
		Type: a.table.typ.Name, ID: a.id, Base: a.version,
		Message: string(a.table.typ.State.Descriptor().FullName()), Data: data,
	})
	if err != nil {
		r.slot.spoil()
		id := callID()
		r.Log().Error("the commit failed", "call", id, "error", err)
		return fault.CommitFailed(r.name(), id)
	}
	a.version++
	a.encoded, a.snapshot = data, nil
	return nil
}

// rollback puts the state back to the end of the previous turn.
func (a *activation) rollback() {
	if !a.lent || !a.differs(a.state) {
		return
	}
	proto.Reset(a.state)
	if err := proto.Unmarshal(a.encoded, a.state); err != nil {
		panic(fmt.Sprintf("the state of %s/%s was encoded by this host and does not decode: %v", a.table.typ.Name, a.id, err))
	}
}

// deactivate calls the hooks of the actor, the last registered first.
func (a *activation) deactivate(ctx context.Context) {
	for _, hook := range slices.Backward(a.hooks) {
		a.runHook(ctx, hook)
	}
	a.hooks = nil
}

func (a *activation) runHook(ctx context.Context, hook func(context.Context)) {
	defer func() {
		if cause := recover(); cause != nil {
			a.Log().Error("an OnDeactivate hook panicked", "panic", cause, "stack", string(debug.Stack()))
		}
	}()
	hook(ctx)
}

// ID, Version, State, OnDeactivate and Log are what the constructor sees.

func (a *activation) ID() string { return a.id }

func (a *activation) Version() uint64 { return a.version }

func (a *activation) State() proto.Message { return a.shared() }

func (a *activation) OnDeactivate(hook func(context.Context)) { a.hooks = append(a.hooks, hook) }

func (a *activation) Log() *slog.Logger {
	return a.table.host.cfg.Logger.With("actor", a.table.typ.Name+"/"+a.id)
}

var _ actor.Activation = (*activation)(nil)
