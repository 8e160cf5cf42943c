package engine

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
)

const (
	// troubled and calmed are the length of a period of trouble, and of the calm after it,
	// in leases.
	troubled = 20
	calmed   = 12
)

// plan is what a run is made of: the same plan is the same run.
type plan struct {
	seed uint64
	off  rules
	// lease is that of every worker; 0 lets the seed decide.
	lease time.Duration
	// lasts is how long the run is at least; periods are not cut short.
	lasts time.Duration
	// recorded keeps a trail.
	recorded bool
}

// short is one period.
func short(seed uint64) plan { return plan{seed: seed} }

// long is as many periods as hours hold. A third of them have shorter leases, and so more
// of everything.
func long(seed uint64, hours float64) plan {
	leases := []time.Duration{20 * time.Second, 10 * time.Second, 5 * time.Second}
	return plan{seed: seed, lease: leases[seed%3], lasts: time.Duration(hours * float64(time.Hour))}
}

// tally is how much has happened. Of the calls, succeeded got a reply, and doubted never
// learned whether they happened.
type tally struct{ events, faults, calls, succeeded, doubted, commits int }

func (t *tally) add(other tally) {
	t.events += other.events
	t.faults += other.faults
	t.calls += other.calls
	t.succeeded += other.succeeded
	t.doubted += other.doubted
	t.commits += other.commits
}

func (t tally) String() string {
	return fmt.Sprintf("%d events, %d faults, %d calls (%d answered, %d in doubt), %d commits", t.events, t.faults, t.calls, t.succeeded, t.doubted, t.commits)
}

// world is one run.
type world struct {
	plan
	tally

	random *rand.Rand
	lease  time.Duration
	// now is the true time, which nobody in the world can read.
	now   time.Duration
	queue queue
	made  uint64
	// calm is true while nothing goes wrong.
	calm bool
	// jumped is true when the wall clock has jumped in this period.
	jumped bool

	network network
	wall    wall
	store   *recorder
	// control is the runtime; nil while there is none.
	control *control
	// workers are the processes that run, in the order of their start.
	workers []*process
	spawned int
	joined  int
	clients []*client
	history history

	trail  trail
	broken string

	// known are the entries of the store as they were checked last. placed is true when
	// they may be others since.
	known  [allShards]*runtimev1.Shard
	placed bool
}

// simulate lets a world be.
func simulate(p plan) *world {
	w := &world{plan: p, random: rand.New(rand.NewPCG(p.seed, 3)), trail: trail{kept: p.recorded}}
	leases := []time.Duration{2 * time.Second, 5 * time.Second, 60 * time.Second}
	w.lease = cmp.Or(p.lease, leases[w.random.IntN(len(leases))])
	w.store = newRecorder(w)
	w.history.world = w
	w.startRuntime()
	for range 3 + w.random.IntN(2) {
		w.spawn()
	}
	for range 5 {
		w.addClient()
	}
	for {
		w.period()
		if w.broken != "" || w.now >= p.lasts {
			return w
		}
	}
}

// period is trouble, and then the time to recover from it.
func (w *world) period() {
	w.calm, w.jumped = false, false
	w.jumpBy(day) // keys do not pile up
	w.after(w.upTo(w.lease), "trouble", w.trouble)
	w.until(w.now + troubled*w.lease)
	w.calmDown()
	w.until(w.now + calmed*w.lease)
	w.checkRecovered()
}

// until lets everything happen that is due before a time.
func (w *world) until(end time.Duration) {
	for w.broken == "" && len(w.queue) > 0 && w.queue[0].at <= end {
		e := w.queue.pop()
		w.now = e.at
		if e.of == nil {
			w.happen(&e)
			continue
		}
		switch alive, rests := e.of.at(w.now); {
		case !alive:
		case rests > w.now:
			e.at = rests // and keeps its number: what waits together goes on in the order it was made
			w.queue.push(e)
		default:
			w.happen(&e)
		}
	}
	w.now = end
}

func (w *world) happen(e *event) {
	w.events++
	w.trail.event(w.now, e)
	e.happen()
	if e.of != nil {
		e.of.attend()
	}
	w.check()
}

// subject is somebody to whom events happen.
type subject interface {
	// at reports whether the subject still is, and until when it rests.
	at(now time.Duration) (alive bool, rests time.Duration)
	// attend is called after each event of the subject.
	attend()
	String() string
}

// event is something that happens at a time to a subject, nil for the world. Events of
// the same time happen in the order in which they were made.
type event struct {
	at     time.Duration
	number uint64
	of     subject
	what   string
	happen func()
}

// after makes an event of the world.
func (w *world) after(d time.Duration, what string, happen func()) { w.afterOf(nil, d, what, happen) }

// afterOf makes an event of a subject: it does not happen when the subject is gone by
// then, and later when the subject rests.
func (w *world) afterOf(of subject, d time.Duration, what string, happen func()) {
	w.push(event{at: w.now + d, of: of, what: what, happen: happen})
}

func (w *world) push(e event) {
	w.made++
	e.number = w.made
	w.queue.push(e)
}

// queue is a heap of events, the next one first.
type queue []event

func (q queue) less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].number < q[j].number
}

func (q *queue) push(e event) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *queue) pop() event {
	h := *q
	e, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return e
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// upTo is a time in [0, d).
func (w *world) upTo(d time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(max(d, 1))))
}

// chance is true in so many of a thousand cases.
func (w *world) chance(permille int) bool { return w.random.IntN(1000) < permille }

func (w *world) failf(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("seed %d, lease %v, at %v: ", w.seed, w.lease, w.now) + fmt.Sprintf(format, args...)
	}
}

func (w *world) notef(format string, args ...any) {
	if w.trail.kept {
		w.trail.add(w.now, "", fmt.Sprintf(format, args...))
	}
}

// trail is what happened last. It is only kept in a run that repeats another one.
type trail struct {
	kept    bool
	moments []moment
}

// moment is something that happened.
type moment struct {
	at        time.Duration
	who, what string
}

func (t *trail) event(at time.Duration, e *event) {
	if !t.kept {
		return
	}
	who := ""
	if e.of != nil {
		who = e.of.String()
	}
	t.add(at, who, e.what)
}

func (t *trail) add(at time.Duration, who, what string) {
	t.moments = append(t.moments, moment{at, who, what})
	if len(t.moments) > 2**simTrail {
		t.moments = slices.Delete(t.moments, 0, *simTrail)
	}
}

func (t *trail) String() string {
	var text strings.Builder
	for _, m := range t.moments[max(0, len(t.moments)-*simTrail):] {
		fmt.Fprintf(&text, "%16v  %-4s %s\n", m.at, m.who, m.what)
	}
	return text.String()
}

// types are the actor types of the world: carts have state, users have none.
var types = []string{"cart", "user"}

// place is a shard, counted through all types. The first few of each type have an actor.
type place int

const (
	allShards = 2 * placement.Shards
	// cartsAndUsers is how many actors each type has.
	cartsAndUsers = 3
)

func placeOf(shard *runtimev1.Shard) place {
	return placeAt(shard.GetType(), shard.GetShard())
}

func placeAt(typ string, number uint32) place {
	if typ == types[0] {
		return place(number)
	}
	return placement.Shards + place(number)
}

func (p place) typ() string    { return types[p/placement.Shards] }
func (p place) number() uint32 { return uint32(p % placement.Shards) }
func (p place) String() string { return fmt.Sprintf("%s/%d", p.typ(), p.number()) }

// stateful reports whether the actor of the shard has state.
func (p place) stateful() bool { return p < placement.Shards }

// deletions are how many of a thousand turns delete the actor: one is deleted all the time.
func (p place) deletions() int {
	if p == 1 {
		return 200
	}
	return 20
}

// ttl is how long the state of the actor lives, 0 for ever. It is short, for an actor that is
// called all the time.
func (p place) ttl(w *world) time.Duration {
	if p == cartsAndUsers-1 {
		return w.lease / 2
	}
	return 0
}

// inhabited reports whether the shard has an actor.
func (p place) inhabited() bool { return p%placement.Shards < cartsAndUsers }

// actor is the actor of the shard.
func (p place) actor() *runtimev1.Actor { return actors[p/placement.Shards][p%placement.Shards] }

var actors = func() (all [2][cartsAndUsers]*runtimev1.Actor) {
	for i, found := 0, 0; found < cartsAndUsers; i++ {
		id := fmt.Sprintf("id%d", i)
		if shard := placement.ShardOf(id, placement.Shards); shard < cartsAndUsers && all[0][shard] == nil {
			for n, typ := range types {
				all[n][shard] = &runtimev1.Actor{Type: typ, Id: id}
			}
			found++
		}
	}
	return all
}()
