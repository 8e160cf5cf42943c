// Package dispatch decides which tasks that are due go to which worker. It is pure: what
// happens is told by events, what is to be done comes from [Dispatcher.Pump], and the time
// is an argument, that of the store.
//
// Of each actor type it reads ahead what is due soon, in the order of (due, key), up to a
// bound: behind its cursor it knows every task that is in the store, either as a row that
// waits, or as a delivery that is out, or as one of those that it left out and will read
// again. What others do to tasks meanwhile are moves: behind the cursor they change what
// is known, before it they will be read.
//
// A worker gets what is due for the shards that it owns, as much as it asks for, from its
// types in turn and from their actors in turn. One delivery of an actor is out at a time.
// It ends by a move that gives the task another revision, or with the epoch of its shard:
// if the worker gave the shard back the task is due again, else it is stranded first, so
// that it runs alone.
package dispatch

import (
	"cmp"
	"maps"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
)

const (
	// horizon is how far ahead of the time tasks are read, and recall how long before it
	// ends they are read on.
	horizon = 30 * time.Second
	recall  = 10 * time.Second
	// remember is for how long moves are remembered, at least: what is read or told late
	// may be older than they are.
	remember = 5 * time.Second
	// perActor is how many rows of one actor are kept, and refill with how many the next
	// ones are read.
	perActor = 16
	refill   = 4
	// maxBatch is how large the deliveries of one answer become before the last one, in
	// bytes.
	maxBatch = 2 << 20
	// maxBytes is how large the rows of a type become before no more are read.
	maxBytes = 32 << 20
	// maxRead is how many tasks are read at a time.
	maxRead = 2048
	// longRead is how many times as often everything is read anew as that may take.
	longRead = 30
	// overhead is about how large a row is beside its request.
	overhead = 512
	// minQuota is how many tasks of a type wait for one worker before others are left to
	// the store.
	minQuota = 64
)

// Rate is how fast the tasks of a type are dispatched.
type Rate struct {
	// PerSecond is how many in the long run, Burst how many at once; both from 1.
	PerSecond, Burst float64
}

// Config is what a dispatcher needs.
type Config struct {
	// Ahead is how many tasks of a type are read ahead.
	Ahead int
	// Rate is how fast the tasks of a type are dispatched.
	Rate func(typ string) Rate
	// Anew is how often everything is read from the beginning, because others may have
	// changed tasks without a move: then also a task that is out may have ended, and an
	// epoch that ends need not be the end of its owner. 0 is for never.
	Anew time.Duration
}

// Key names a task of a type.
type Key struct {
	// ID is that of the actor.
	ID string
	// Job is true for a job and false for an alarm, of the given name.
	Job  bool
	Name string
}

// KeyOf is the key of a message, without the type.
func KeyOf(key *runtimev1.TaskKey) Key {
	if job, ok := key.GetName().(*runtimev1.TaskKey_Job); ok {
		return Key{ID: key.GetId(), Job: true, Name: job.Job}
	}
	return Key{ID: key.GetId(), Name: key.GetAlarm()}
}

func (k Key) compare(other Key) int {
	if c := strings.Compare(k.ID, other.ID); c != 0 {
		return c
	}
	if k.Job != other.Job {
		if other.Job {
			return -1
		}
		return 1
	}
	return strings.Compare(k.Name, other.Name)
}

// Position is the place of a task among those of its type.
type Position struct {
	Due time.Time
	Key Key
}

func (p Position) compare(other Position) int {
	return cmp.Or(p.Due.Compare(other.Due), p.Key.compare(other.Key))
}

// before is a position before all tasks that are due then.
func before(due time.Time) Position { return Position{Due: due} }

// Move is what a transaction did to a task.
type Move struct {
	// Type and Key name the task.
	Type string
	Key  Key
	// Task is what is stored now, nil for nothing.
	Task *runtimev1.ScheduledTask
	// Counter is that of the transaction.
	Counter uint64
}

// Read asks for the tasks of a type that are due until then, behind a position.
type Read struct {
	// Type is the actor type, ID one actor of it, empty for all.
	Type, ID string
	After    Position
	Until    time.Time
	Limit    int
	// turn is that of the cursor for which it is read, rotation that of the memory of moves.
	turn, rotation uint64
}

// Result is what was read.
type Result struct {
	// Tasks are in the order of their positions.
	Tasks []*runtimev1.ScheduledTask
	// More is true when there may be more behind End.
	More bool
	End  Position
}

// Give gives deliveries to a worker that has asked for some.
type Give struct {
	Worker     string
	Deliveries []*runtimev1.Delivery
}

// Skip returns a task that leaves out what it has missed, in the name of the owner.
type Skip struct {
	Worker     string
	Settlement *runtimev1.Settlement
}

// Effects are what is to be done. The outcome of each read, of each skip and of all that is
// stranded is told.
type Effects struct {
	Reads  []Read
	Gives  []Give
	Skips  []Skip
	Strand []*runtimev1.Completion
}

// Dispatcher is the state of the dispatch. Its methods are called one at a time.
type Dispatcher struct {
	cfg     Config
	now     time.Time
	table   *placement.Table
	kinds   map[string]*kind
	order   []*kind
	workers map[string]*worker
	timers  timers
	// active are the workers that might get something, hungry the types that might be
	// read, asking the actors.
	active  []*worker
	hungry  []*kind
	asking  []*actor
	strand  []*runtimev1.Completion
	skips   []Skip
	look    time.Time
	anew    time.Time
	refills time.Time
}

// New is a dispatcher of nothing yet.
func New(cfg Config) *Dispatcher {
	return &Dispatcher{cfg: cfg, table: &placement.Table{}, kinds: map[string]*kind{}, workers: map[string]*worker{}}
}

// Place takes over who owns what. What is out for an epoch that is over is stranded.
func (d *Dispatcher) Place(table *placement.Table) {
	before := d.table
	d.table = table
	for _, typ := range table.Types() {
		shards := table.Shards(typ)
		if old := before.Shards(typ); len(shards) == 0 || len(old) > 0 && &old[0] == &shards[0] {
			continue
		}
		k := d.kind(typ)
		for number, entry := range shards {
			k.own(number, entry)
		}
		k.stir()
	}
	for id, w := range d.workers {
		if table.Worker(id) == nil && w.wants == 0 && w.out == 0 && w.idle() {
			delete(d.workers, id)
		}
	}
}

// Released says that a worker has given shards back: what was out for them is due again.
// It goes before the table that says who has them now.
func (d *Dispatcher) Released(worker string, releases []*runtimev1.ReleaseRequest_Release) {
	for _, release := range releases {
		k, number := d.kinds[release.GetType()], release.GetFence().GetShard()
		if k == nil || int(number) >= len(k.shards) {
			continue
		}
		for _, a := range k.shards[number].inOrder() {
			if a.out != nil && !a.out.held && a.out.worker.id == worker && a.out.epoch() <= release.GetFence().GetEpoch() {
				a.again()
			}
		}
	}
}

// Left says that a worker has ended its membership itself: what was out with it is due
// again. It goes before the table without it.
func (d *Dispatcher) Left(worker string) { d.takeBack(worker) }

// Begin says that a worker does not know what is out with it: all that is due again. Where
// others may have changed tasks, what waits for it is read again too: it may have had that
// from them.
func (d *Dispatcher) Begin(worker string) {
	d.takeBack(worker)
	if d.cfg.Anew == 0 {
		return
	}
	for _, k := range d.order {
		if k.owners[worker] > 0 {
			k.forget(worker)
			k.rewind(Position{})
		}
	}
}

// Receive says that a worker takes so many deliveries now, from 1.
func (d *Dispatcher) Receive(worker string, capacity int) {
	w := d.worker(worker)
	w.wants = capacity
	for _, k := range w.kinds {
		if w.rings[k].len() < d.quota()/2 {
			k.catchUp(worker)
		}
	}
	d.stirWorker(w)
}

// Cancel says that a worker does not wait any more.
func (d *Dispatcher) Cancel(worker string) {
	if w := d.workers[worker]; w != nil {
		w.wants = 0
	}
}

func (d *Dispatcher) takeBack(worker string) {
	w := d.workers[worker]
	if w == nil {
		return
	}
	for _, a := range inOrder(maps.Keys(w.holds)) {
		if !a.out.held {
			a.again()
		}
	}
}

// Moved says what transactions have done. Moves may come late and out of order.
func (d *Dispatcher) Moved(moves []Move) {
	for _, move := range moves {
		if k := d.kinds[move.Type]; k != nil {
			k.move(move)
		}
	}
}

// Over says that a delivery has ended, by a record that was applied or a task that has
// another revision, whatever the moves say.
func (d *Dispatcher) Over(typ string, key Key, revision uint64) {
	if a := d.find(typ, key.ID); a != nil && a.out != nil && a.out.row.Key == key && a.out.row.revision() <= revision {
		a.again()
	}
}

// Doubt says that tasks may have been changed without a move: everything is read anew.
func (d *Dispatcher) Doubt() {
	for _, k := range d.order {
		k.doubt()
	}
}

// Done says how a read went. Without a result it is repeated.
func (d *Dispatcher) Done(read Read, result *Result) {
	k := d.kinds[read.Type]
	if read.ID != "" {
		k.readActor(read, result)
	} else {
		k.readAhead(read, result)
	}
	k.replay(read)
	k.stir()
}

// Freed says that the store has stranded or skipped a task, as far as it was still as it
// had been. The move of it was told before.
func (d *Dispatcher) Freed(typ string, key Key, revision uint64) {
	if a := d.held(typ, key, revision); a != nil {
		a.again()
	}
}

// Failed says that the store could not strand or skip a task. It is tried again.
func (d *Dispatcher) Failed(typ string, key Key, revision uint64) {
	switch a := d.held(typ, key, revision); {
	case a == nil:
	case a.out.stranded:
		d.strand = append(d.strand, a.out.row.completion())
	default:
		a.again()
	}
}

// held is the actor whose task is held at a revision, nil if it is not.
func (d *Dispatcher) held(typ string, key Key, revision uint64) *actor {
	a := d.find(typ, key.ID)
	if a == nil || a.out == nil || !a.out.held || a.out.row.Key != key || a.out.row.revision() != revision {
		return nil
	}
	return a
}

func (d *Dispatcher) find(typ, id string) *actor {
	if k := d.kinds[typ]; k != nil {
		return k.shards[placement.ShardOf(id, placement.Shards)].actors[id]
	}
	return nil
}

func (d *Dispatcher) kind(name string) *kind {
	k := d.kinds[name]
	if k == nil {
		k = newKind(d, name)
		d.kinds[name] = k
		d.order = append(d.order, k)
	}
	return k
}

func (d *Dispatcher) worker(id string) *worker {
	w := d.workers[id]
	if w == nil {
		w = &worker{d: d, id: id, rings: map[*kind]*queue{}, holds: map[*actor]struct{}{}, behind: map[*kind]Position{}}
		d.workers[id] = w
	}
	return w
}

// Pump says what is to be done, by the clock of the store. If that was put back, so is what
// is due.
func (d *Dispatcher) Pump(now time.Time) Effects {
	d.now = now
	d.ring()
	effects := Effects{Gives: d.give()}
	effects.Reads = append(d.readTypes(), d.readActors()...)
	effects.Strand, d.strand = d.strand, nil
	effects.Skips, d.skips = d.skips, nil
	return effects
}

// Out is how many deliveries are out, Waiting how many tasks are known to wait.
func (d *Dispatcher) Out() (n int) {
	for _, w := range d.workers {
		n += w.out
	}
	return n
}

// Waiting is how many tasks are kept in memory.
func (d *Dispatcher) Waiting() (n int) {
	for _, k := range d.kinds {
		n += k.rows
	}
	return n
}

// quota is how many tasks of a type wait for one worker before others are left to the
// store.
func (d *Dispatcher) quota() int { return max(minQuota, d.cfg.Ahead/2/max(1, len(d.workers))) }

// ring places the actors whose time has come.
func (d *Dispatcher) ring() {
	for len(d.timers) > 0 && !d.timers[0].at.After(d.now) {
		a := d.timers.pop()
		if a.actor.timed && a.actor.wake.Equal(a.at) {
			a.actor.timed = false
			a.actor.place()
		}
	}
}

// NextWake is when Pump has something to do, if nothing happens before.
func (d *Dispatcher) NextWake() (time.Time, bool) {
	next := d.look
	for _, at := range []time.Time{d.anew, d.refills} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if len(d.timers) > 0 && (next.IsZero() || d.timers[0].at.Before(next)) {
		next = d.timers[0].at
	}
	return next, !next.IsZero()
}

// row is a task that waits.
type row struct {
	Position
	s    *runtimev1.ScheduledTask
	size int
}

func rowOf(s *runtimev1.ScheduledTask) row {
	return row{Position: Position{Due: s.GetDue().AsTime(), Key: KeyOf(s.GetTask().GetKey())}, s: s, size: overhead + len(s.GetTask().GetRequest())}
}

func (r row) revision() uint64 { return r.s.GetRevision() }

func (r row) completion() *runtimev1.Completion {
	return &runtimev1.Completion{Key: r.s.GetTask().GetKey(), Revision: r.revision()}
}
