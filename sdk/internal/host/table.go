package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// types are the actor types of a host by name. Reading takes no lock.
type types struct {
	mu     sync.Mutex
	byName atomic.Pointer[map[string]*table]
}

func (t *types) add(h *Host, typ *actor.Type) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.all()
	if have, ok := old[typ.Type]; ok {
		return fmt.Errorf("register %s: the actor type %q is registered already, by %s; a host serves each type once",
			typ.Service.FullName(), typ.Type, have.typ.Service.FullName())
	}
	next := maps.Clone(old)
	if next == nil {
		next = map[string]*table{}
	}
	next[typ.Type] = newTable(h, typ)
	t.byName.Store(&next)
	return nil
}

func (t *types) all() map[string]*table {
	if m := t.byName.Load(); m != nil {
		return *m
	}
	return nil
}

// of returns the table of an actor type.
func (t *types) of(name string) (*table, error) {
	if table, ok := t.all()[name]; ok {
		return table, nil
	}
	return nil, fault.UnknownType(name, slices.Sorted(maps.Keys(t.all())))
}

func (t *types) list() []*actor.Type {
	var list []*actor.Type
	for _, table := range t.all() {
		list = append(list, table.typ)
	}
	slices.SortFunc(list, func(a, b *actor.Type) int { return strings.Compare(a.Type, b.Type) })
	return list
}

// table holds the slots of one actor type, divided as the runtime places them.
type table struct {
	host *Host
	typ  *actor.Type
	// deletion is the method that deletes an actor from outside.
	deletion *actor.Method
	// ttl is how long states live, as records say it; nil for ever.
	ttl    *durationpb.Duration
	shards [placement.Shards]shard
}

func newTable(h *Host, typ *actor.Type) *table {
	t := &table{host: h, typ: typ, deletion: deletion(typ)}
	if typ.StateTTL > 0 {
		t.ttl = durationpb.New(typ.StateTTL)
	}
	return t
}

type shard struct {
	mu    sync.Mutex
	slots map[string]*slot
	// parked is set while the shard is handed over: calls from outside wait until it
	// is closed, and look again where the actor lives then.
	parked chan struct{}
}

// slot returns the slot of the actor that r calls, a new one if need be, and none for what
// is not worth one. While the shard is handed over only calls that a turn waits for get in,
// and others get the channel that they wait for; while the host stops, others are refused.
func (t *table) slot(r *run) (*slot, <-chan struct{}, error) {
	s := &t.shards[r.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.caller != nil:
	case t.host.closing.Load():
		return nil, nil, fault.ShuttingDown()
	case s.parked != nil:
		return nil, s.parked, nil
	}
	return s.slot(t, r), nil, nil
}

// slot returns the slot of the actor that r calls. The shard is locked.
func (s *shard) slot(t *table, r *run) *slot {
	have, ok := s.slots[r.id]
	if ok || r.onlyActive {
		return have
	}
	if s.slots == nil {
		s.slots = map[string]*slot{}
	}
	made := &slot{table: t, id: r.id, shard: r.shard}
	s.slots[r.id] = made
	return made
}

// stateName is the full name of the state's message; "" for a type without state.
func (t *table) stateName() string {
	if t.typ.StateType == nil {
		return ""
	}
	return string(t.typ.StateType.Descriptor().FullName())
}

// method is a method of the type; nil for one that it does not have, and for a type that
// this host does not serve.
func (t *table) method(procedure string) *actor.Method {
	if t == nil {
		return nil
	}
	if procedure == actor.DeleteProcedure {
		return t.deletion
	}
	return t.typ.Bound[procedure]
}

// drop takes a slot out of the table unless a call waits in it, and reports
// whether it did. The caller holds the slot alone.
func (t *table) drop(slot *slot) bool {
	s := &t.shards[slot.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.queue.Waiting() > 0 {
		return false
	}
	slot.dead = true
	delete(s.slots, slot.id)
	return true
}

// every lists the slots that exist now.
func (t *table) every() []*slot {
	var slots []*slot
	for i := range t.shards {
		slots = append(slots, t.shards[i].list()...)
	}
	return slots
}

func (s *shard) list() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.slots))
}
