package dispatch

import (
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
)

// kind is an actor type.
type kind struct {
	d      *Dispatcher
	name   string
	shards [placement.Shards]shard
	// owned is how many of its shards have an owner, and owners how many each one has.
	owned  int
	owners map[string]int
	// rows and bytes are what is kept of it.
	rows, bytes int

	// cursor is how far it has been read. When it is complete, everything is known that is
	// due until then.
	cursor   Position
	complete bool
	until    time.Time
	// turn counts how often the cursor was put back. A read that began before is void.
	turn    uint64
	reading bool
	hungry  bool
	// doubted is true while everything is read anew, since renewed: then what is known and
	// not found is gone.
	doubted bool
	renewed time.Time

	// reads is how many reads are under way, pending what has moved meanwhile up to the
	// time until which they look.
	reads   int
	ahead   time.Time
	pending []Move
	// recent are the counters of what has moved since it was rotated last, older those of
	// before. The reads under way that are as old as that are stale.
	recent, older map[Key]uint64
	rotated       time.Time
	rotation      uint64
	stale         int

	// tokens is how many deliveries there may be at once, since the time filled.
	rate   Rate
	tokens float64
	filled time.Time
}

func newKind(d *Dispatcher, name string) *kind {
	rate := d.cfg.Rate(name)
	return &kind{d: d, name: name, rate: rate, tokens: rate.Burst, filled: d.now, rotated: d.now, recent: map[Key]uint64{}, owners: map[string]int{}}
}

// own takes over an entry of the table.
func (k *kind) own(number int, entry *runtimev1.Shard) {
	s := &k.shards[number]
	old, owner := s.entry, s.owner()
	if entry == old {
		return
	}
	k.owned += owned(entry) - owned(old)
	s.entry = entry
	for _, a := range s.inOrder() {
		if a.out != nil && !a.out.held && a.out.epoch() < entry.GetEpoch() {
			a.outlive()
		}
		a.place()
	}
	if next := s.owner(); next != owner {
		k.disown(owner)
		k.owners[next]++
		k.catchUp(owner)
		k.stir()
	}
}

// forget forgets what waits for an owner.
func (k *kind) forget(owner string) {
	for _, a := range k.known(func(a *actor) bool { return a.shard.owner() == owner }) {
		for n := len(a.rows); n > 0; n-- {
			a.drop(n - 1)
		}
		a.place()
	}
}

// disown takes a shard from an owner.
func (k *kind) disown(owner string) {
	if k.owners[owner]--; k.owners[owner] <= 0 {
		delete(k.owners, owner)
	}
}

// catchUp reads what was left to the store because of that owner.
func (k *kind) catchUp(owner string) {
	if w := k.d.workers[owner]; w != nil {
		if behind, left := w.behind[k]; left {
			delete(w.behind, k)
			k.rewind(behind)
		}
	}
}

func owned(entry *runtimev1.Shard) int {
	if entry.GetWorker() == "" {
		return 0
	}
	return 1
}

func (k *kind) count(rows, bytes int) {
	k.rows += rows
	k.bytes += bytes
}

// covers reports whether a task of that position has been read, if it was there.
func (k *kind) covers(at Position) bool {
	if k.complete {
		return !at.Due.After(k.until)
	}
	return at.compare(k.cursor) <= 0
}

// rewind puts the cursor back.
func (k *kind) rewind(to Position) {
	if k.complete {
		k.complete, k.cursor = false, Position{Due: k.until.Add(time.Microsecond)}
	}
	if to.compare(k.cursor) < 0 {
		k.cursor = to
		k.turn++
	}
	k.stir()
}

// stir has the type looked at.
func (k *kind) stir() {
	if !k.hungry {
		k.hungry = true
		k.d.hungry = append(k.d.hungry, k)
	}
}

// actor is the actor of that id, made if it is not known.
func (k *kind) actor(id string) *actor {
	s := &k.shards[placement.ShardOf(id, placement.Shards)]
	a := s.actors[id]
	if a == nil {
		if s.actors == nil {
			s.actors = map[string]*actor{}
		}
		a = &actor{kind: k, id: id, shard: s}
		s.actors[id] = a
	}
	return a
}

// latest is the counter of the last move of a task that is remembered.
func (k *kind) latest(key Key) uint64 { return max(k.recent[key], k.older[key]) }

// move takes a move up, and again when the reads under way are done: they may not have
// seen it.
func (k *kind) move(m Move) {
	if k.latest(m.Key) > m.Counter {
		return
	}
	k.rotate()
	k.recent[m.Key] = m.Counter
	if k.reads > 0 && m.Task != nil && !m.Task.GetDue().AsTime().After(k.ahead) {
		k.pend(m)
	}
	k.apply(m)
}

// pend keeps a move until the reads under way are done. If there are too many, these reads
// are void, and will be repeated.
func (k *kind) pend(m Move) {
	if k.pending = append(k.pending, m); len(k.pending) > 4*k.d.cfg.Ahead {
		k.pending = nil
		k.turn++
	}
}

// replay applies what has moved while a read was under way that is done now.
func (k *kind) replay(read Read) {
	k.reads--
	if read.rotation != k.rotation {
		k.stale--
	}
	pending := k.pending
	if k.reads == 0 {
		k.pending, k.ahead = nil, time.Time{}
	}
	for _, m := range pending {
		if read.ID == "" || read.ID == m.Key.ID {
			k.apply(m)
		}
	}
}

// begin fills in what a read needs that begins now.
func (k *kind) begin(read Read) Read {
	k.reads++
	read.Type, read.turn, read.rotation = k.name, k.turn, k.rotation
	if read.Until.After(k.ahead) {
		k.ahead = read.Until
	}
	return read
}

func (k *kind) apply(m Move) {
	if k.latest(m.Key) > m.Counter {
		return
	}
	a := k.d.find(k.name, m.Key.ID)
	if a != nil {
		if a.out != nil && a.out.row.Key == m.Key && a.out.row.revision() < m.Counter {
			a.end()
		}
		if i := a.index(m.Key); i >= 0 {
			if a.rows[i].revision() > m.Counter {
				return
			}
			a.drop(i)
		}
	}
	if m.Task != nil {
		if r := rowOf(m.Task); k.covers(r.Position) {
			a = k.actor(m.Key.ID)
			if a.out == nil || a.out.row.Key != m.Key {
				a.put(r)
			}
		}
	}
	if a != nil {
		a.place()
	}
	if k.rows > 2*k.d.cfg.Ahead || k.bytes > 2*maxBytes {
		k.trim()
	}
}

// rotate forgets the older moves, when no read is under way that could be older.
func (k *kind) rotate() {
	if k.stale == 0 && k.d.now.Sub(k.rotated) > remember {
		k.older, k.recent, k.rotated = k.recent, map[Key]uint64{}, k.d.now
		k.rotation++
		k.stale = k.reads
	}
}

// take takes up a task that was read, if nothing newer is known of it.
func (k *kind) take(s *runtimev1.ScheduledTask) {
	r := rowOf(s)
	if k.latest(r.Key) > r.revision() {
		return
	}
	a := k.actor(r.Key.ID)
	if a.out != nil && a.out.row.Key == r.Key {
		if a.out.row.revision() >= r.revision() {
			return
		}
		a.end()
	}
	if i := a.index(r.Key); i >= 0 {
		if a.rows[i].revision() >= r.revision() {
			return
		}
		a.drop(i)
	}
	a.put(r)
	a.place()
}

// trim leaves the later half of what is kept to the store: the cursor goes back.
func (k *kind) trim() {
	var all []Position
	for i := range k.shards {
		for _, a := range k.shards[i].actors {
			for _, r := range a.rows {
				all = append(all, r.Position)
			}
		}
	}
	if len(all) < 2 {
		return
	}
	slices.SortFunc(all, Position.compare)
	last := all[len(all)/2-1]
	k.rewind(last)
	for i := range k.shards {
		for _, a := range k.shards[i].inOrder() {
			for n := len(a.rows); n > 0 && a.rows[n-1].compare(last) > 0; n-- {
				a.drop(n - 1)
			}
			a.place()
		}
	}
}

// wants reports whether the type is to be read now.
func (k *kind) wants(now time.Time) bool {
	if k.reading || k.owned == 0 {
		return false
	}
	if k.complete {
		return !now.Before(k.until.Add(-recall))
	}
	return k.rows <= k.d.cfg.Ahead/2 && k.bytes < maxBytes/2 && k.reaches()
}

// reaches reports whether a read can bring something: whether the tasks of some owner have
// not been left to the store.
func (k *kind) reaches() bool {
	for owner := range k.owners {
		w := k.d.workers[owner]
		if w == nil {
			return true
		}
		if _, left := w.behind[k]; !left {
			return true
		}
	}
	return false
}

// next is the next read.
func (k *kind) next(now time.Time) Read {
	k.reading = true
	after := k.cursor
	if k.complete {
		after = Position{Due: k.until.Add(time.Microsecond)}
	}
	return k.begin(Read{After: after, Until: now.Add(horizon).Truncate(time.Microsecond), Limit: max(1, min(maxRead, k.d.cfg.Ahead-k.rows))})
}

// readAhead takes up what was read of the type.
func (k *kind) readAhead(read Read, result *Result) {
	k.reading = false
	if result == nil {
		return
	}
	if k.doubted && read.turn == k.turn {
		k.sweep(read, result)
	}
	last := read.After
	for _, s := range result.Tasks {
		at := Position{Due: s.GetDue().AsTime(), Key: KeyOf(s.GetTask().GetKey())}
		if !k.leave(at, last) {
			k.take(s)
		}
		last = at
	}
	if read.turn == k.turn {
		k.complete, k.until, k.cursor = !result.More, read.Until, result.End
		k.doubted = k.doubted && result.More
	}
}

// doubt has everything read anew.
func (k *kind) doubt() {
	k.doubted, k.renewed = true, k.d.now
	k.rewind(Position{})
}

// renew is doubt, unless that is under way: what others have left to do may take a while to
// read.
func (k *kind) renew() {
	if k.complete || k.d.now.Sub(k.renewed) >= longRead*k.d.cfg.Anew {
		k.doubt()
	}
}

// sweep forgets what is known in the range of a read and was not found there: others have
// ended it. What moved while it was read is replayed after it; what moved shortly before and
// is out is left for the next time.
func (k *kind) sweep(read Read, result *Result) {
	k.rotate()
	found := make(map[Key]uint64, len(result.Tasks))
	for _, s := range result.Tasks {
		found[KeyOf(s.GetTask().GetKey())] = s.GetRevision()
	}
	gone := func(r row) bool {
		within := read.After.compare(r.Position) < 0 && !r.Due.After(read.Until) && (!result.More || r.compare(result.End) <= 0)
		return within && found[r.Key] == 0
	}
	over := func(o *out) bool { return o != nil && !o.held && gone(o.row) && k.latest(o.row.Key) == 0 }
	for _, a := range k.known(func(a *actor) bool { return over(a.out) || slices.ContainsFunc(a.rows, gone) }) {
		for n := len(a.rows); n > 0; n-- {
			if gone(a.rows[n-1]) {
				a.drop(n - 1)
			}
		}
		if over(a.out) {
			a.end()
		}
		a.place()
	}
}

// known are some of the actors, in order.
func (k *kind) known(of func(*actor) bool) []*actor {
	var some []*actor
	for i := range k.shards {
		for _, a := range k.shards[i].actors {
			if of(a) {
				some = append(some, a)
			}
		}
	}
	return inOrder(slices.Values(some))
}

// leave leaves a task to the store because its owner has enough to do, so that others are
// not kept waiting by it. It is read again when the owner has time.
func (k *kind) leave(at, previous Position) bool {
	owner := k.d.worker(k.shards[placement.ShardOf(at.Key.ID, placement.Shards)].owner())
	if behind, left := owner.behind[k]; left {
		return at.compare(behind) > 0
	}
	if owner.wants > 0 || owner.ring(k).len() < k.d.quota() {
		return false
	}
	owner.behind[k] = previous
	return true
}

// readActor takes up what was read of an actor.
func (k *kind) readActor(read Read, result *Result) {
	a := k.actor(read.ID)
	a.reading = false
	if result != nil && a.rest && read.After == a.known && read.turn == k.turn {
		a.rest = false
		for _, s := range result.Tasks {
			k.take(s)
		}
		if result.More && !a.rest {
			a.rest, a.known = true, result.End
		}
	}
	a.place()
}

// renewTypes has every type read anew, when it is time for it.
func (d *Dispatcher) renewTypes() {
	if d.cfg.Anew == 0 || d.now.Before(d.anew) {
		return
	}
	if !d.anew.IsZero() {
		for _, k := range d.order {
			k.renew()
		}
	}
	d.anew = d.now.Add(d.cfg.Anew)
}

// readTypes begins the reads of types.
func (d *Dispatcher) readTypes() (reads []Read) {
	d.renewTypes()
	if !d.look.IsZero() && !d.now.Before(d.look) {
		d.look = time.Time{}
		for _, k := range d.order {
			k.stir()
		}
	}
	hungry := d.hungry
	d.hungry = nil
	for _, k := range hungry {
		k.hungry = false
		if k.wants(d.now) {
			reads = append(reads, k.next(d.now))
		}
		if k.complete && k.owned > 0 && !k.reading {
			if at := k.until.Add(-recall); d.look.IsZero() || at.Before(d.look) {
				d.look = at
			}
		}
	}
	return reads
}

// readActors begins the reads of actors.
func (d *Dispatcher) readActors() (reads []Read) {
	asking := d.asking
	d.asking = nil
	for _, a := range asking {
		a.asked = false
		if !a.rest || a.reading || len(a.rows) >= refill {
			continue
		}
		a.reading = true
		until := d.now
		if a.kind.until.After(until) {
			until = a.kind.until
		}
		reads = append(reads, a.kind.begin(Read{ID: a.id, After: a.known, Until: until, Limit: perActor}))
	}
	return reads
}
