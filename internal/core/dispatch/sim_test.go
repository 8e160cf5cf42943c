package dispatch

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/core/task"
)

// world is a store, workers and a dispatcher on one goroutine: all that happens is drawn
// from a seed. Reads, moves and answers take their time and overtake each other.
type world struct {
	t        *testing.T
	seed     uint64
	random   *rand.Rand
	now      time.Time
	events   events
	happened int
	d        *Dispatcher
	table    *placement.Table
	kinds    []string

	counter uint64
	tasks   map[string]map[Key]*runtimev1.ScheduledTask
	dead    []*runtimev1.ScheduledTask
	hosts   map[string]*host
	names   int
	calm    bool
	// given counts deliveries by type, since the begin.
	given  map[string]int
	begin  time.Time
	deaths int
}

// host is a worker: what it holds, and how much it has asked for.
type host struct {
	id    string
	asked int
	// session counts its sessions, so that what belongs to an earlier one is known.
	session int
	held    map[stage]*held
}

// stage is a stage of a task.
type stage struct {
	typ      string
	key      Key
	revision uint64
}

type held struct {
	typ     string
	task    *runtimev1.ScheduledTask
	fence   *runtimev1.Fence
	session int
}

const (
	ahead     = 64
	perSecond = 200
	burst     = 50
	poison    = "poison"
)

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 3)), now: time.Unix(1_790_000_000, 0).UTC(), kinds: []string{"cart", "stock"},
		tasks: map[string]map[Key]*runtimev1.ScheduledTask{}, hosts: map[string]*host{}, table: &placement.Table{}, given: map[string]int{},
	}
	w.begin = w.now
	config := Config{Ahead: ahead, Rate: func(string) Rate { return Rate{PerSecond: perSecond, Burst: burst} }}
	if seed%3 == 0 {
		config.Anew = 20 * time.Second
	}
	w.d = New(config)
	change := &runtimev1.WatchResponse{}
	for _, kind := range w.kinds {
		w.tasks[kind] = map[Key]*runtimev1.ScheduledTask{}
		change.Types = append(change.Types, &runtimev1.ActorType{Name: kind})
		for shard := range uint32(placement.Shards) {
			change.Shards = append(change.Shards, &runtimev1.Shard{Type: kind, Shard: shard})
		}
	}
	w.table = w.table.Merge(change)
	w.d.Place(w.table)
	return w
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d, at %v: %s", w.seed, w.now.Sub(w.begin), fmt.Sprintf(format, args...))
}

// after has something happen later, up to so long.
func (w *world) after(most time.Duration, do func()) {
	w.happened++
	heap.Push(&w.events, event{at: w.now.Add(time.Duration(w.random.Int64N(int64(most) + 1))), number: w.happened, do: do})
}

// run lets things happen until then.
func (w *world) run(until time.Time) {
	for again := 0; ; again++ {
		if again > 1_000_000 {
			w.fail("it never rests")
		}
		w.pump()
		next, ok := w.d.NextWake()
		if len(w.events) > 0 && (!ok || !w.events[0].at.After(next)) {
			next = w.events[0].at
		}
		if next.After(until) || !ok && len(w.events) == 0 {
			w.now = until
			return
		}
		if next.After(w.now) {
			w.now = next
		}
		for len(w.events) > 0 && !w.events[0].at.After(w.now) {
			heap.Pop(&w.events).(event).do() //nolint:forcetypeassert // nothing else is in it
		}
	}
}

func (w *world) pump() {
	effects := w.d.Pump(w.now)
	for _, give := range effects.Gives {
		w.receive(give)
	}
	for _, read := range effects.Reads {
		w.after(30*time.Millisecond, func() { w.read(read) })
	}
	for _, out := range effects.Strand {
		w.after(50*time.Millisecond, func() { w.strand(out) })
	}
	for _, skip := range effects.Skips {
		w.after(50*time.Millisecond, func() { w.settle(skip.Worker, skip.Settlement); w.free(skip.Settlement) })
	}
}

// read takes a snapshot now, and tells of it later.
func (w *world) read(read Read) {
	if !w.calm && w.random.IntN(20) == 0 {
		w.after(time.Second, func() { w.d.Done(read, nil) })
		return
	}
	var due []row
	for key, s := range w.tasks[read.Type] {
		r := row{Position: Position{Due: s.GetDue().AsTime(), Key: key}, s: s}
		if (read.ID == "" || key.ID == read.ID) && r.compare(read.After) > 0 && !r.Due.After(read.Until) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b row) int { return a.compare(b.Position) })
	result := &Result{More: len(due) > read.Limit}
	for _, r := range due[:min(len(due), read.Limit)] {
		result.Tasks, result.End = append(result.Tasks, r.s), r.Position
	}
	w.after(200*time.Millisecond, func() { w.d.Done(read, result) })
}

// write makes a transaction, whose move is told later: by chance never, which is doubt.
func (w *world) write(typ string, key Key, change func(revision uint64) *runtimev1.ScheduledTask) {
	w.counter++
	s := change(w.counter)
	if s == nil {
		delete(w.tasks[typ], key)
	} else {
		w.tasks[typ][key] = s
	}
	move := Move{Type: typ, Key: key, Task: s, Counter: w.counter}
	if !w.calm && w.random.IntN(50) == 0 {
		w.after(time.Second, w.d.Doubt)
		return
	}
	w.after(100*time.Millisecond, func() { w.d.Moved([]Move{move}) })
}

func (w *world) set(typ string, key Key, due time.Duration, procedure string, missed runtimev1.Missed) {
	name := &runtimev1.TaskKey{Type: typ, Id: key.ID, Name: &runtimev1.TaskKey_Alarm{Alarm: key.Name}}
	if key.Job {
		name.Name = &runtimev1.TaskKey_Job{Job: key.Name}
	}
	timing := &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(w.now.Add(due))}, Missed: missed}
	if missed != 0 {
		timing.Repeat = &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(20 * time.Second)}}
		timing.Until = timestamppb.New(w.now.Add(due + 2*time.Minute))
	}
	w.write(typ, key, func(revision uint64) *runtimev1.ScheduledTask {
		return task.Set(&runtimev1.Task{Key: name, Procedure: procedure, Timing: timing, Retry: &runtimev1.Retry{
			Attempts: 3, InitialBackoff: durationpb.New(100 * time.Millisecond), MaxBackoff: durationpb.New(time.Second), Multiplier: 2,
		}}, w.now, revision, 0)
	})
}

// strand is what the store does, and tells.
func (w *world) strand(out *runtimev1.Completion) {
	typ, key := out.GetKey().GetType(), KeyOf(out.GetKey())
	if !w.calm && w.random.IntN(5) == 0 {
		w.after(time.Second, func() { w.d.Failed(typ, key, out.GetRevision()) })
		return
	}
	if s := w.tasks[typ][key]; s.GetRevision() == out.GetRevision() {
		w.write(typ, key, func(revision uint64) *runtimev1.ScheduledTask {
			next, dead, _ := task.Strand(s, w.now, revision, 0)
			w.bury(dead)
			return next
		})
	}
	w.after(200*time.Millisecond, func() { w.d.Freed(typ, key, out.GetRevision()) })
}

func (w *world) bury(dead *runtimev1.ScheduledTask) {
	if dead != nil {
		w.dead = append(w.dead, dead)
	}
}

// settle ends a delivery in the store, if the fence allows it.
func (w *world) settle(worker string, settlement *runtimev1.Settlement) {
	typ, key := settlement.GetKey().GetType(), KeyOf(settlement.GetKey())
	s := w.tasks[typ][key]
	entry := w.table.Shard(typ, settlement.GetFence().GetShard())
	stale := entry.GetWorker() != worker || entry.GetEpoch() != settlement.GetFence().GetEpoch()
	if s.GetRevision() == settlement.GetRevision() && !stale {
		w.write(typ, key, func(revision uint64) *runtimev1.ScheduledTask {
			switch end := settlement.GetEnd().(type) {
			case *runtimev1.Settlement_Failed:
				next, dead, _ := task.Fail(s, end.Failed, w.now, revision, 0)
				w.bury(dead)
				return next
			case *runtimev1.Settlement_Returned:
				return task.Return(s, end.Returned.AsDuration(), w.now, revision, 0)
			default:
				return task.Complete(s, w.now, revision, 0)
			}
		})
	}
	// The verdict tells what no move does: the task has another revision now.
	if !stale {
		w.after(2*time.Second, func() { w.d.Over(typ, key, settlement.GetRevision()) })
	}
}

// free tells that a skip is done.
func (w *world) free(settlement *runtimev1.Settlement) {
	typ, key := settlement.GetKey().GetType(), KeyOf(settlement.GetKey())
	w.after(200*time.Millisecond, func() { w.d.Freed(typ, key, settlement.GetRevision()) })
}

// ask has a worker wait for deliveries.
func (w *world) ask(h *host, fresh bool) {
	if w.hosts[h.id] != h {
		return
	}
	if fresh {
		h.session++
		w.d.Begin(h.id)
	}
	h.asked = 1 + w.random.IntN(10)
	w.d.Receive(h.id, h.asked)
}

// live reports whether a delivery is still what the store and the dispatcher take it for.
func (w *world) live(h *host, x *held) bool {
	current := w.tasks[x.typ][KeyOf(x.task.GetTask().GetKey())]
	return x.session == h.session && current.GetRevision() == x.task.GetRevision() && w.table.Shard(x.typ, x.fence.GetShard()).GetEpoch() == x.fence.GetEpoch()
}

func (w *world) receive(give Give) {
	h := w.hosts[give.Worker]
	if h == nil {
		w.fail("%s is given something and is gone", give.Worker)
	}
	if n := len(give.Deliveries); n == 0 || n > h.asked {
		w.fail("%s asked for %d and got %d", h.id, h.asked, n)
	}
	h.asked = 0
	if !w.calm && w.random.IntN(40) == 0 { // the answer is lost
		w.after(100*time.Millisecond, func() { w.ask(h, true) })
		return
	}
	for _, delivery := range give.Deliveries {
		w.check(h, delivery)
		w.hold(h, delivery)
	}
	w.after(50*time.Millisecond, func() { w.ask(h, !w.calm && w.random.IntN(100) == 0) })
}

// check holds what must be true of every delivery.
func (w *world) check(h *host, delivery *runtimev1.Delivery) {
	s := delivery.GetTask()
	key, typ := KeyOf(s.GetTask().GetKey()), s.GetTask().GetKey().GetType()
	if s.GetDue().AsTime().After(w.now) {
		w.fail("%v is given %v early", key, s.GetDue().AsTime().Sub(w.now))
	}
	entry := w.table.Place(typ, key.ID)
	if entry.GetWorker() != h.id || entry.GetEpoch() != delivery.GetFence().GetEpoch() || entry.GetShard() != delivery.GetFence().GetShard() || entry.GetNext() != "" {
		w.fail("%v is given to %s by %v, and its shard is %v", key, h.id, delivery.GetFence(), entry)
	}
	for other, x := range h.held {
		switch {
		case !w.live(h, x):
		case other.key == key && x.typ == typ:
			w.fail("%v is given twice", key)
		case other.key.ID == key.ID && x.typ == typ:
			w.fail("%v is given while %v of its actor is out", key, other)
		case s.GetAlone() || x.task.GetAlone():
			w.fail("%v (alone: %t) is given beside %v (alone: %t)", key, s.GetAlone(), other, x.task.GetAlone())
		}
	}
	w.given[typ]++
	if most := burst + w.now.Sub(w.begin).Seconds()*perSecond; float64(w.given[typ]) > most+1 {
		w.fail("%d of %s were given; %v are allowed by then", w.given[typ], typ, most)
	}
}

// hold runs a delivery. Poison kills its worker.
func (w *world) hold(h *host, delivery *runtimev1.Delivery) {
	s := delivery.GetTask()
	key := stage{s.GetTask().GetKey().GetType(), KeyOf(s.GetTask().GetKey()), s.GetRevision()}
	if old := h.held[key]; old != nil {
		old.session, old.fence = h.session, delivery.GetFence()
		return // it runs already
	}
	h.held[key] = &held{typ: key.typ, task: s, fence: delivery.GetFence(), session: h.session}
	w.after(300*time.Millisecond, func() {
		if w.hosts[h.id] != h {
			return
		}
		if s.GetTask().GetProcedure() == poison {
			w.deaths++
			w.die(h)
			return
		}
		settlement := &runtimev1.Settlement{Key: s.GetTask().GetKey(), Revision: s.GetRevision(), Fence: h.held[key].fence}
		switch n := w.random.IntN(30); {
		case n == 0 && !w.calm:
			settlement.End = &runtimev1.Settlement_Returned{Returned: durationpb.New(time.Second)}
		case n == 1 && s.GetFailures() == 0:
			settlement.End = &runtimev1.Settlement_Failed{Failed: &runtimev1.Failure{Error: "boom"}}
		}
		w.settle(h.id, settlement)
		delete(h.held, key)
	})
}

// join has a worker join, with a share of the shards of those who are there.
func (w *world) join() {
	w.names++
	h := &host{id: fmt.Sprintf("w%d", w.names), held: map[stage]*held{}}
	w.hosts[h.id] = h
	change := &runtimev1.WatchResponse{Workers: []*runtimev1.Worker{{Id: h.id, Types: w.kinds}}}
	for _, kind := range w.kinds {
		for _, entry := range w.table.Shards(kind) {
			if entry.GetWorker() == "" {
				change.Shards = append(change.Shards, moved(entry, h.id))
			} else if w.random.IntN(len(w.hosts)) == 0 {
				change.Shards = append(change.Shards, &runtimev1.Shard{Type: kind, Shard: entry.GetShard(), Epoch: entry.GetEpoch(), Worker: entry.GetWorker(), Next: h.id})
			}
		}
	}
	w.place(change)
	w.after(3*time.Second, w.handOver)
	w.ask(h, true)
}

func moved(entry *runtimev1.Shard, to string) *runtimev1.Shard {
	return &runtimev1.Shard{Type: entry.GetType(), Shard: entry.GetShard(), Epoch: entry.GetEpoch() + 1, Worker: to}
}

func (w *world) place(change *runtimev1.WatchResponse) {
	w.table = w.table.Merge(change)
	w.d.Place(w.table)
}

// handOver has the shards that move released.
func (w *world) handOver() {
	for _, id := range slices.Sorted(maps.Keys(w.hosts)) {
		w.release(id, func(entry *runtimev1.Shard) string {
			if entry.GetNext() == "" || w.hosts[entry.GetNext()] == nil {
				return entry.GetWorker()
			}
			return entry.GetNext()
		})
	}
}

// release has a worker give its shards to others.
func (w *world) release(id string, heir func(*runtimev1.Shard) string) {
	change := &runtimev1.WatchResponse{}
	var releases []*runtimev1.ReleaseRequest_Release
	for _, kind := range w.kinds {
		for _, entry := range w.table.Shards(kind) {
			if entry.GetWorker() != id || heir(entry) == id {
				continue
			}
			releases = append(releases, &runtimev1.ReleaseRequest_Release{Type: kind, Fence: &runtimev1.Fence{Shard: entry.GetShard(), Epoch: entry.GetEpoch()}})
			change.Shards = append(change.Shards, moved(entry, heir(entry)))
		}
	}
	w.d.Released(id, releases)
	w.place(change)
}

// heir is any worker but one.
func (w *world) heir(besides string) string {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(w.hosts)), func(id string) bool { return id == besides })
	if len(ids) == 0 {
		return ""
	}
	return ids[w.random.IntN(len(ids))]
}

// die has a worker die, and its shards go to others by decree.
func (w *world) die(h *host) {
	delete(w.hosts, h.id)
	w.d.Cancel(h.id)
	change := &runtimev1.WatchResponse{Gone: []string{h.id}}
	w.withdraw(h.id)
	w.after(time.Second, func() {
		for _, kind := range w.kinds {
			for _, entry := range w.table.Shards(kind) {
				if entry.GetWorker() == h.id {
					change.Shards = append(change.Shards, moved(entry, w.heir(h.id)))
				}
			}
		}
		w.place(change)
		if len(w.hosts) == 0 {
			w.join()
		}
	})
}

// withdraw leaves shards with their owners that were to move to a worker.
func (w *world) withdraw(next string) {
	change := &runtimev1.WatchResponse{}
	for _, kind := range w.kinds {
		for _, entry := range w.table.Shards(kind) {
			if entry.GetNext() == next {
				change.Shards = append(change.Shards, &runtimev1.Shard{Type: kind, Shard: entry.GetShard(), Epoch: entry.GetEpoch(), Worker: entry.GetWorker()})
			}
		}
	}
	w.place(change)
}

func (w *world) leave(h *host) {
	w.d.Cancel(h.id)
	w.release(h.id, func(*runtimev1.Shard) string { return w.heir(h.id) })
	delete(w.hosts, h.id)
	w.withdraw(h.id)
	w.d.Left(h.id)
	w.place(&runtimev1.WatchResponse{Gone: []string{h.id}})
}

// disturb changes something of the tasks or of the workers.
func (w *world) disturb() {
	if w.calm {
		return
	}
	w.after(200*time.Millisecond, w.disturb)
	typ := w.kinds[w.random.IntN(2)]
	key := Key{ID: fmt.Sprint("a", w.random.IntN(12)), Job: w.random.IntN(2) == 0, Name: fmt.Sprint(w.random.IntN(20))}
	ids := slices.Sorted(maps.Keys(w.hosts))
	switch n := w.random.IntN(100); {
	case n < 50:
		w.set(typ, key, time.Duration(w.random.Int64N(int64(80*time.Second))-int64(20*time.Second)), "p", runtimev1.Missed(w.random.IntN(4)))
	case n < 54: // many at once, of one actor or of all
		for i := range 3 * ahead {
			id := key.ID
			if n%2 == 0 {
				id = fmt.Sprint("b", i)
			}
			w.set(typ, Key{ID: id, Job: true, Name: fmt.Sprint("m", i)}, 0, "p", 0)
		}
	case n < 68:
		if w.tasks[typ][key] != nil {
			w.write(typ, key, func(uint64) *runtimev1.ScheduledTask { return nil })
		}
	case n < 72:
		if w.tasks[typ][Key{ID: key.ID, Name: poison}] == nil {
			w.set(typ, Key{ID: key.ID, Name: poison}, 0, poison, 0)
		}
	case n < 78 && len(ids) < 5:
		w.join()
	case n < 82 && len(ids) > 1:
		w.die(w.hosts[ids[w.random.IntN(len(ids))]])
	case n < 86 && len(ids) > 1:
		w.leave(w.hosts[ids[w.random.IntN(len(ids))]])
	}
}

func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		w := newWorld(t, seed)
		w.join()
		w.join()
		w.disturb()
		w.run(w.begin.Add(3 * time.Minute))
		w.calm = true
		// What repeats ends after two minutes and a bit; what is left then was forgotten.
		w.run(w.now.Add(4 * time.Minute))
		for kind, tasks := range w.tasks {
			for _, s := range tasks {
				w.fail("a task of %s is left over, due %v ago: %v", kind, w.now.Sub(s.GetDue().AsTime()), s)
			}
		}
		for _, dead := range w.dead {
			if dead.GetTask().GetProcedure() != poison && dead.GetError() != "boom" {
				w.fail("a neighbour has died: %v", dead)
			}
			if dead.GetFailures() != 3 {
				w.fail("%v has died after %d attempts", dead, dead.GetFailures())
			}
		}
		if out, waiting := w.d.Out(), w.d.Waiting(); out+waiting > 0 {
			w.fail("%d are out and %d wait of nothing", out, waiting)
		}
		if n := len(w.dead); w.deaths > 6*n {
			w.fail("%d poisoned tasks have killed %d workers", n, w.deaths)
		}
	}
}

// events are what happens, by time and in the order in which it was asked for.
type event struct {
	at     time.Time
	number int
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return cmp.Or(e[i].at.Compare(e[j].at), cmp.Compare(e[i].number, e[j].number)) < 0
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) } //nolint:forcetypeassert // nothing else is in it
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
