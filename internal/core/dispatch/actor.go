package dispatch

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// actor is an actor that has tasks which are known.
type actor struct {
	kind  *kind
	id    string
	shard *shard
	// rows are its earliest tasks, in order.
	rows []row
	// rest is true when there are others behind the position known, in the store alone.
	rest           bool
	known          Position
	asked, reading bool
	// out is its delivery.
	out *out
	// queue is where it waits for its worker, nil for nowhere. While it is timed it waits
	// for the time wake.
	queue *queue
	timed bool
	wake  time.Time
}

// out is a delivery. One that is held is with nobody: the store is to change it first.
type out struct {
	row            row
	worker         *worker
	held, stranded bool
	// delivery is what the worker was given, with its fence; not set for one that is held.
	delivery runtimev1.Delivery
	fence    runtimev1.Fence
}

// newOut is a delivery of an actor's task to the owner of its shard.
func newOut(r row, w *worker, s *shard) *out {
	o := &out{row: r, worker: w}
	o.fence.Shard, o.fence.Epoch = s.entry.GetShard(), s.entry.GetEpoch()
	o.delivery.Task, o.delivery.Fence = r.s, &o.fence
	return o
}

// epoch is that of the shard by which it went out.
func (o *out) epoch() uint64 { return o.fence.GetEpoch() }

// put takes up a row, in order. Of too many the last is left to the store.
func (a *actor) put(r row) {
	if a.rest && r.compare(a.known) > 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(a.rows, r.Position, func(have row, at Position) int { return have.compare(at) })
	a.rows = slices.Insert(a.rows, i, r)
	a.kind.count(1, r.size)
	if len(a.rows) > perActor {
		a.drop(len(a.rows) - 1)
		a.rest, a.known = true, a.rows[len(a.rows)-1].Position
	}
}

// drop removes a row.
func (a *actor) drop(i int) {
	a.kind.count(-1, -a.rows[i].size)
	a.rows = slices.Delete(a.rows, i, i+1)
}

func (a *actor) index(key Key) int {
	return slices.IndexFunc(a.rows, func(r row) bool { return r.Key == key })
}

// end ends its delivery.
func (a *actor) end() {
	w := a.out.worker
	a.out = nil
	delete(w.holds, a)
	w.out--
	w.lonely = false
	w.d.stirWorker(w)
}

// again ends its delivery, whose task is due as before. The store says how it is by now.
func (a *actor) again() {
	due := a.out.row.Due
	a.end()
	a.kind.rewind(before(due))
	a.place()
}

// outlive ends its delivery with the epoch. A worker that lives has given the shard back,
// through somebody else; otherwise the store is to strand the task first.
func (a *actor) outlive() {
	d := a.kind.d
	if d.cfg.Anew > 0 && d.table.Worker(a.out.worker.id) != nil {
		a.again()
		return
	}
	a.hold(true)
	d.strand = append(d.strand, a.out.row.completion())
}

// hold ends its delivery for the worker, until the store has changed the task.
func (a *actor) hold(stranded bool) {
	held := &out{row: a.out.row, worker: a.out.worker, held: true, stranded: stranded}
	a.end()
	a.out = held
	held.worker.holds[a] = struct{}{}
	held.worker.out++
}

// place puts the actor where it waits, and forgets it when it has nothing to wait for.
func (a *actor) place() {
	if len(a.rows) < refill && a.rest && !a.asked && !a.reading {
		a.asked = true
		a.kind.d.asking = append(a.kind.d.asking, a)
	}
	switch {
	case a.out != nil:
		a.queue, a.timed = nil, false
	case len(a.rows) == 0:
		a.queue, a.timed = nil, false
		if !a.rest && !a.reading {
			delete(a.shard.actors, a.id)
		}
	case a.rows[0].Due.After(a.kind.d.now):
		a.queue = nil
		a.await(a.rows[0].Due)
	default:
		a.timed = false
		a.enqueue(a.shard.owner())
	}
}

func (a *actor) await(due time.Time) {
	if a.timed && a.wake.Equal(due) {
		return
	}
	a.timed, a.wake = true, due
	a.kind.d.timers.push(timer{at: due, actor: a})
}

func (a *actor) enqueue(owner string) {
	w := a.kind.d.worker(owner)
	queue := &w.lone
	if !a.rows[0].s.GetAlone() {
		queue = w.ring(a.kind)
	}
	if a.queue != queue {
		a.queue = queue
		queue.push(a)
	}
	a.kind.d.stirWorker(w)
}

// shard is a shard of a type.
type shard struct {
	entry  *runtimev1.Shard
	actors map[string]*actor
}

// owner is who gets what is due, empty for nobody, who never asks: while a shard moves, what
// is due waits for its next owner.
func (s *shard) owner() string {
	if s.entry.GetNext() != "" {
		return ""
	}
	return s.entry.GetWorker()
}

// inOrder are the actors of a shard by id: a simulation replays only what does not depend
// on the order of a map.
func (s *shard) inOrder() []*actor { return inOrder(maps.Values(s.actors)) }

func inOrder(actors iter.Seq[*actor]) []*actor {
	return slices.SortedFunc(actors, func(a, b *actor) int {
		return cmp.Or(strings.Compare(a.kind.name, b.kind.name), strings.Compare(a.id, b.id))
	})
}
