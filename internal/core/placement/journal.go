package placement

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// maxGone is how many departures a journal remembers one by one. Whoever has not
// asked for longer than that gets the whole table.
const maxGone = 4096

// Change is what one transaction of the store changed.
type Change struct {
	// Counter is the counter of the store after the transaction, or a lower one.
	Counter uint64
	// Shards are entries of shards.
	Shards []*runtimev1.Shard
	// Workers are members that came or announced something else.
	Workers []*runtimev1.Worker
	// Types are actor types.
	Types []*runtimev1.ActorType
	// Gone are members that are dead.
	Gone []string
}

// Journal is the runtime's table and the memory of what changed when, from which
// it tells watchers what they have not seen. The answers of the store reach it in
// any order; the counter that they carry puts them right: a row never goes back
// to an older transaction, and a member that is gone never comes back.
type Journal struct {
	// id tells the cursors of this journal from those of another.
	id    string
	table *Table
	// revision counts the changes of the journal.
	revision uint64
	// counter is the highest counter of a change.
	counter uint64
	shards  map[string]*rows
	workers map[string]stamp
	types   map[string]stamp
	// gone are the departed members and in which revision they went. Departures up
	// to forgotten are not among them any more.
	gone      map[string]uint64
	forgotten uint64
}

// stamp says when a row changed.
type stamp struct{ revision, counter uint64 }

// rows are the stamps of one type's shards.
type rows struct {
	// revision is the highest of the stamps.
	revision uint64
	stamps   [Shards]stamp
}

// NewJournal is an empty journal. Its id must differ from those of the journals
// that its watchers may come from.
func NewJournal(id string) *Journal {
	return &Journal{
		id: id, table: new(Table).Merge(nil),
		shards: map[string]*rows{}, workers: map[string]stamp{}, types: map[string]stamp{}, gone: map[string]uint64{},
	}
}

// Table is the table now.
func (j *Journal) Table() *Table { return j.table }

// Counter is the highest counter that the journal has seen. What is read from the
// store after that is at least as new.
func (j *Journal) Counter() uint64 { return j.counter }

// Gone reports whether a worker is known to be dead. The journal forgets the oldest
// ones.
func (j *Journal) Gone(worker string) bool {
	_, gone := j.gone[worker]
	return gone
}

// Merge takes a change over and reports whether anything is different now.
func (j *Journal) Merge(change Change) bool {
	j.counter = max(j.counter, change.Counter)
	next := stamp{revision: j.revision + 1, counter: change.Counter}
	news := &runtimev1.WatchResponse{
		Shards:  filter(change.Shards, func(s *runtimev1.Shard) bool { return j.stampShard(s, next) }),
		Workers: filter(j.lasting(change.Workers), func(w *runtimev1.Worker) bool { return j.stampWorker(w, next) }),
		Types:   filter(change.Types, func(t *runtimev1.ActorType) bool { return j.stampType(t, next) }),
		Gone:    filter(change.Gone, func(id string) bool { return j.bury(id, next) }),
	}
	if len(news.GetShards())+len(news.GetWorkers())+len(news.GetTypes())+len(news.GetGone()) == 0 {
		return false
	}
	j.revision = next.revision
	j.table = j.table.Merge(news)
	return true
}

// Members takes over the living members, all of them, as read from the store when
// the journal's counter was the given one. It reports whether anything is different.
func (j *Journal) Members(counter uint64, living []*runtimev1.Worker) bool {
	named := map[string]bool{}
	for _, worker := range living {
		named[worker.GetId()] = true
	}
	change := Change{Counter: counter, Workers: living}
	for _, id := range j.table.Workers() {
		if !named[id] && j.workers[id].counter <= counter {
			change.Gone = append(change.Gone, id)
		}
	}
	return j.Merge(change)
}

// Since is what has changed since a cursor: nil for nothing, the whole table for a
// cursor that the journal does not know.
func (j *Journal) Since(cursor string) *runtimev1.WatchResponse {
	after, known := j.parse(cursor)
	if !known {
		after = 0
	} else if after == j.revision {
		return nil
	}
	answer := &runtimev1.WatchResponse{Cursor: j.cursor(), Complete: !known}
	for _, typ := range slices.Sorted(maps.Keys(j.shards)) {
		answer.Shards = append(answer.Shards, j.shardsSince(typ, after)...)
	}
	for _, typ := range j.table.Types() {
		if j.types[typ].revision > after {
			answer.Types = append(answer.Types, j.table.Type(typ))
		}
	}
	for _, id := range j.table.Workers() {
		if j.workers[id].revision > after {
			answer.Workers = append(answer.Workers, j.table.Worker(id))
		}
	}
	if known {
		answer.Gone = j.goneSince(after)
	}
	return answer
}

func (j *Journal) shardsSince(typ string, after uint64) []*runtimev1.Shard {
	rows := j.shards[typ]
	if rows.revision <= after {
		return nil
	}
	var shards []*runtimev1.Shard
	for number, stamp := range rows.stamps {
		if stamp.revision > after {
			shards = append(shards, j.table.Shard(typ, uint32(number)))
		}
	}
	return shards
}

func (j *Journal) goneSince(after uint64) []string {
	var gone []string
	for id, revision := range j.gone {
		if revision > after {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	return gone
}

// stampShard reports whether an entry is news, and stamps it if so.
func (j *Journal) stampShard(entry *runtimev1.Shard, next stamp) bool {
	typ, number := entry.GetType(), entry.GetShard()
	if number >= Shards {
		return false
	}
	if j.shards[typ] == nil {
		j.shards[typ] = &rows{}
	}
	rows, old := j.shards[typ], j.table.Shard(typ, number)
	if old != nil && (entry.GetEpoch() < old.GetEpoch() || next.counter < rows.stamps[number].counter || proto.Equal(old, entry)) {
		return false
	}
	rows.stamps[number], rows.revision = next, next.revision
	return true
}

// lasting are members as they are from now on: who leaves, leaves for good, and an
// announcement does not say so.
func (j *Journal) lasting(workers []*runtimev1.Worker) []*runtimev1.Worker {
	lasting := slices.Clone(workers)
	for i, worker := range lasting {
		if j.table.Worker(worker.GetId()).GetLeaving() && !worker.GetLeaving() {
			lasting[i] = proto.CloneOf(worker)
			lasting[i].Leaving = true
		}
	}
	return lasting
}

func (j *Journal) stampWorker(worker *runtimev1.Worker, next stamp) bool {
	id := worker.GetId()
	if j.Gone(id) || next.counter < j.workers[id].counter || proto.Equal(j.table.Worker(id), worker) {
		return false
	}
	j.workers[id] = next
	return true
}

func (j *Journal) stampType(typ *runtimev1.ActorType, next stamp) bool {
	name := typ.GetName()
	if next.counter < j.types[name].counter || proto.Equal(j.table.Type(name), typ) {
		return false
	}
	j.types[name] = next
	return true
}

// bury reports whether a departure is news.
func (j *Journal) bury(id string, next stamp) bool {
	if j.Gone(id) {
		return false
	}
	delete(j.workers, id)
	j.gone[id] = next.revision
	if len(j.gone) > maxGone {
		j.forget()
	}
	return true
}

// forget drops the older half of the departures.
func (j *Journal) forget() {
	revisions := slices.Sorted(maps.Values(j.gone))
	j.forgotten = revisions[len(revisions)/2]
	maps.DeleteFunc(j.gone, func(_ string, revision uint64) bool { return revision <= j.forgotten })
}

func (j *Journal) cursor() string { return fmt.Sprintf("%s.%d", j.id, j.revision) }

// parse is the revision of a cursor, and whether the journal can go on from it.
func (j *Journal) parse(cursor string) (revision uint64, known bool) {
	digits, ours := strings.CutPrefix(cursor, j.id+".")
	if !ours {
		return 0, false
	}
	revision, err := strconv.ParseUint(digits, 10, 64)
	return revision, err == nil && revision <= j.revision && revision >= j.forgotten
}

// filter are the elements for which keep is true, asked once each and in order.
func filter[E any](all []E, keep func(E) bool) []E {
	var kept []E
	for _, e := range all {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}
