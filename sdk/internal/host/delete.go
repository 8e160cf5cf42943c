package host

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// deletion is the method by which the actors of a type are deleted from outside: a turn
// like any other, but for the actor's own code, which it does not need: an actor that
// cannot be constructed any more can be deleted.
func deletion(typ *actor.Type) *actor.Method {
	empty := actor.Message{
		New:  func() proto.Message { return &emptypb.Empty{} },
		Copy: func(proto.Message) proto.Message { return &emptypb.Empty{} },
	}
	return &actor.Method{
		Method:  contract.Method{Procedure: actor.DeleteProcedure, Timeout: typ.Timeout},
		Request: empty, Reply: empty,
		Run: func(ctx context.Context, _ any, turn actor.Turn, _ proto.Message) (proto.Message, error) {
			return &emptypb.Empty{}, turn.Delete(ctx)
		},
	}
}

// deletes reports whether the run is there to delete the actor, from outside.
func (r *run) deletes() bool { return r.method == r.table.deletion }

// Delete lets the commit of the turn delete the actor. It waits until everything earlier is
// durable: a record begins with the turn then, and can be refused without what was before.
// What the turn has done to alarms and jobs of its own actor until now goes as well.
func (r *run) Delete(ctx context.Context) error {
	if r.method.View {
		return fault.ViewDeletes(r.name())
	}
	if err := r.activation.settled(ctx); err != nil {
		return ended(err)
	}
	r.slot.mu.Lock()
	defer r.slot.mu.Unlock()
	l := r.staging()
	if r.over.Load() {
		return fault.TurnOver(r.name())
	}
	l.delete(r.typ, r.id)
	return nil
}

// delete drops what was staged for the actor that is deleted.
func (l *later) delete(typ, id string) {
	l.deletes = true
	kept := l.changes[:0]
	l.bytes = 0
	for _, change := range l.changes {
		if key, _ := about(change); key.GetType() != typ || key.GetId() != id {
			kept = append(kept, change)
			l.bytes += proto.Size(change)
		}
	}
	clear(l.changes[len(kept):])
	l.changes = kept
}

// delete makes the next record one that deletes the actor, and lets nobody run on what is
// left in memory. Nothing has accumulated: the turn has waited for those before it. The
// slot is locked.
func (a *activation) delete() {
	next := a.output.next
	next.Deletes, next.Message, next.StateTtl = true, "", nil
	a.slot.queue.Spoil()
}
