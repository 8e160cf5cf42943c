package placement

import (
	"cmp"
	"slices"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Plan is the plan for all types of a table, with at most inFlight shards of each
// moving for balance. What a worker is given of one type counts as load for the
// next, so that many small types spread as evenly as one large.
func (t *Table) Plan(inFlight int) []Assignment {
	return t.plan(inFlight, nil)
}

// Heirs is who shall own the shards of a worker that is about to be dead: the plan
// for its shards if all the doomed, of whom it is one, were leaving. A shard that
// has a fit next owner already is not in it.
func (t *Table) Heirs(worker string, doomed []string) []Assignment {
	heirs := t.plan(0, doomed)
	return slices.DeleteFunc(heirs, func(a Assignment) bool { return a.Shard.GetWorker() != worker })
}

// plan is the plan for all types, as if some workers were leaving.
func (t *Table) plan(inFlight int, leaving []string) []Assignment {
	var whole []Assignment
	load := t.load()
	for _, typ := range t.Types() {
		plan := MakePlan(t.members(typ, leaving, load), t.present(typ), inFlight)
		for _, a := range plan {
			load[holder(a.Shard)]--
			load[cmp.Or(a.Worker, a.Shard.GetWorker())]++
		}
		whole = append(whole, plan...)
	}
	return whole
}

// members are the workers that serve a type, in order.
func (t *Table) members(typ string, leaving []string, load map[string]int) []Member {
	var members []Member
	for _, id := range t.Workers() {
		worker := t.workers[id]
		if slices.Contains(worker.GetTypes(), typ) {
			members = append(members, Member{ID: id, Leaving: worker.GetLeaving() || slices.Contains(leaving, id), Load: load[id]})
		}
	}
	return members
}

// present are the entries of a type that the table has, in order.
func (t *Table) present(typ string) []*runtimev1.Shard {
	absent := func(entry *runtimev1.Shard) bool { return entry == nil }
	return slices.DeleteFunc(slices.Clone(t.shards[typ]), absent)
}

// load is how many shards each worker holds.
func (t *Table) load() map[string]int {
	load := map[string]int{}
	for _, entries := range t.shards {
		for _, entry := range entries {
			load[holder(entry)]++
		}
	}
	return load
}

// holder is who owns the shard when its move has ended, if it moves.
func holder(shard *runtimev1.Shard) string {
	return cmp.Or(shard.GetNext(), shard.GetWorker())
}
