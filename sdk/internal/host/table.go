package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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
	if have, ok := old[typ.Name]; ok {
		return fmt.Errorf("register %s: the actor type %q is registered already, by %s; a host serves each type once",
			typ.Service.FullName(), typ.Name, have.typ.Service.FullName())
	}
	next := maps.Clone(old)
	if next == nil {
		next = map[string]*table{}
	}
	next[typ.Name] = &table{host: h, typ: typ}
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
	slices.SortFunc(list, func(a, b *actor.Type) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// table holds the slots of one actor type, divided as the runtime places them.
type table struct {
	host   *Host
	typ    *actor.Type
	shards [placement.Shards]shard
}

type shard struct {
	mu    sync.Mutex
	slots map[string]*slot
}

// slot returns the slot of an actor, a new one if need be. Once the host is
// closing, only turns that still run may wake another actor.
func (t *table) slot(id string, inTurn bool) (*slot, error) {
	s := &t.shards[placement.ShardOf(id, placement.Shards)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.host.closing.Load() && !inTurn {
		return nil, fault.ShuttingDown()
	}
	if slot, ok := s.slots[id]; ok {
		return slot, nil
	}
	if s.slots == nil {
		s.slots = map[string]*slot{}
	}
	slot := &slot{table: t, id: id}
	s.slots[id] = slot
	return slot, nil
}

// find returns the slot of an actor, nil if it has none.
func (t *table) find(id string) *slot {
	s := &t.shards[placement.ShardOf(id, placement.Shards)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots[id]
}

// drop takes a slot out of the table unless a call waits in it, and reports
// whether it did. The caller holds the slot alone.
func (t *table) drop(slot *slot) bool {
	s := &t.shards[placement.ShardOf(slot.id, placement.Shards)]
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
		s := &t.shards[i]
		s.mu.Lock()
		slots = slices.AppendSeq(slots, maps.Values(s.slots))
		s.mu.Unlock()
	}
	return slots
}
