package host

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/francis-actors/francis/internal/core/chain"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/turn"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// invoke delivers a call that the run parent makes, or code outside any run where
// parent is nil.
func (h *Host) invoke(ctx context.Context, parent *run, call actor.Call) (proto.Message, error) {
	r, err := h.prepare(ctx, parent, call)
	if err != nil {
		return nil, err
	}
	for {
		slot, err := r.table.slot(call.ID, parent != nil)
		if err != nil {
			return nil, err
		}
		switch verdict, alive := slot.arrive(r); {
		case !alive:
			continue // the slot was dropped between lookup and arrival
		case verdict == turn.Refused:
			return nil, fault.QueueFull(call.Type, call.ID, r.table.typ.MaxPending)
		default:
			return r.result(verdict)
		}
	}
}

// prepare checks a call before anything is touched, and copies its request.
func (h *Host) prepare(ctx context.Context, parent *run, call actor.Call) (*run, error) {
	table, err := h.types.of(call.Type)
	if err != nil {
		return nil, err
	}
	method, ok := table.typ.Methods[call.Procedure]
	if !ok {
		return nil, fault.UnknownMethod(call.Type, call.Procedure)
	}
	if err := name.CheckID(call.ID); err != nil {
		return nil, fault.InvalidID(err.Error())
	}
	r := &run{table: table, method: method, parent: ctx}
	r.link = chain.Link{Type: call.Type, ID: call.ID}
	if err := r.follow(parent); err != nil {
		return nil, err
	}
	if err := r.carry(ctx, parent); err != nil {
		return nil, err
	}
	if r.req, err = copyRequest(method, call); err != nil {
		return nil, err
	}
	r.ticket.Holder = r
	if method.View {
		r.ticket.Mode = turn.Shared
	}
	r.bound(ctx, parent, call.Timeout)
	return r, nil
}

// follow makes r part of the chain of calls that parent belongs to.
func (r *run) follow(parent *run) error {
	if parent == nil {
		return nil
	}
	if parent.method.View && !r.method.View {
		return fault.NotAView(parent.name(), r.method.Procedure)
	}
	r.link.Parent = &parent.link
	switch chain.Check(&parent.link, r.link.Type, r.link.ID, limit.ChainDepth) {
	case chain.Cycle:
		return fault.Cycle(chain.Path(&parent.link, r.link.Type, r.link.ID))
	case chain.TooDeep:
		return fault.ChainTooDeep(chain.Path(&parent.link, r.link.Type, r.link.ID), limit.ChainDepth)
	default:
		return nil
	}
}

// carry takes along the metadata of the context, or else of the calling turn.
func (r *run) carry(ctx context.Context, parent *run) error {
	r.metadata = actor.MetadataOf(ctx)
	if r.metadata == nil && parent != nil {
		r.metadata = parent.metadata
	}
	if size := r.metadata.Size(); size > limit.MaxMetadata {
		return fault.TooLarge("the metadata of the call", size, limit.MaxMetadata)
	}
	return nil
}

// bound gives r its deadline: the one the caller asked for, else the contract's,
// and inside a turn always one. A deadline of ctx holds as well.
func (r *run) bound(ctx context.Context, parent *run, timeout time.Duration) {
	if _, brought := ctx.Deadline(); timeout == 0 && !brought {
		timeout = r.method.Timeout
		if timeout == 0 && parent != nil {
			timeout = limit.CallTimeout
		}
	}
	if timeout > 0 {
		r.due = r.table.host.deadlines.Now() + timeout
	}
	if parent != nil && parent.due > 0 && (r.due == 0 || parent.due < r.due) {
		r.due = parent.due
	}
	r.ends = r.due > 0 || ctx.Done() != nil
}

// copyRequest copies the request of a call and completes the id in it.
func copyRequest(method *actor.Method, call actor.Call) (proto.Message, error) {
	if size := proto.Size(call.Request); size > limit.MaxMessage {
		return nil, fault.TooLarge("the request of "+method.Procedure, size, limit.MaxMessage)
	}
	req := cloned(call.Request)
	if err := actor.FillID(method, req, call.ID); err != nil {
		return nil, fault.InvalidID(err.Error())
	}
	return req, nil
}

// cloned is a copy of m, and an empty message for a nil pointer.
func cloned(m proto.Message) proto.Message {
	if reflected := m.ProtoReflect(); !reflected.IsValid() {
		return reflected.New().Interface()
	}
	return proto.Clone(m)
}

func shortName(procedure string) string {
	return procedure[strings.LastIndexByte(procedure, '/')+1:]
}
