package dispatch

import (
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
)

// worker is a worker that owns shards or asks for deliveries.
type worker struct {
	d  *Dispatcher
	id string
	// wants is how many deliveries it takes now, out how many it has.
	wants, out int
	// holds are the actors whose deliveries are out with it, or held in its name.
	holds map[*actor]struct{}
	// lonely is true while the only delivery that it has is one that runs alone.
	lonely bool
	active bool
	// lone has the actors whose next task runs alone, rings the others by type, and turns
	// the types in turn.
	lone  queue
	rings map[*kind]*queue
	kinds []*kind
	turn  int
	// behind is from where on tasks of a type were left to the store.
	behind map[*kind]Position
}

// ring is the queue of its actors of a type.
func (w *worker) ring(k *kind) *queue {
	q := w.rings[k]
	if q == nil {
		q = &queue{}
		w.rings[k] = q
		w.kinds = append(w.kinds, k)
	}
	return q
}

// idle reports whether nobody waits for it.
func (w *worker) idle() bool {
	return w.lone.peek() == nil && !slices.ContainsFunc(w.kinds, func(k *kind) bool { return w.rings[k].peek() != nil })
}

// stirWorker has the worker looked at.
func (d *Dispatcher) stirWorker(w *worker) {
	if !w.active && w.wants > 0 {
		w.active = true
		d.active = append(d.active, w)
	}
}

// give gives to each worker that waits.
func (d *Dispatcher) give() (gives []Give) {
	d.refills = time.Time{}
	active := d.active
	d.active = nil
	for _, w := range active {
		w.active = false
		if w.wants == 0 {
			continue
		}
		if deliveries := w.collect(); len(deliveries) > 0 {
			w.wants = 0
			gives = append(gives, Give{Worker: w.id, Deliveries: deliveries})
		}
	}
	return gives
}

// collect is what the worker gets now.
func (w *worker) collect() (deliveries []*runtimev1.Delivery) {
	for size := 0; len(deliveries) < w.wants && size < maxBatch && !w.lonely; {
		a := w.next()
		if a == nil {
			break
		}
		if a.rows[0].Due.After(w.d.now) { // the clock was put back
			a.place()
			continue
		}
		if delivery := w.deliver(a); delivery != nil {
			deliveries = append(deliveries, delivery)
			size += a.out.row.size
		}
	}
	return deliveries
}

// next is the actor whose turn it is. What runs alone goes first, as soon as nothing else
// is out.
func (w *worker) next() *actor {
	if a := w.lone.peek(); a != nil {
		if w.out > 0 {
			return nil
		}
		return w.lone.pop()
	}
	for range w.kinds {
		k := w.kinds[w.turn]
		w.turn = (w.turn + 1) % len(w.kinds)
		if w.rings[k].peek() != nil && k.token(w) {
			return w.rings[k].pop()
		}
	}
	return nil
}

// deliver takes the first task of an actor out. It is nil for one that leaves out what it
// has missed.
func (w *worker) deliver(a *actor) *runtimev1.Delivery {
	r := a.rows[0]
	a.drop(0)
	a.out = newOut(r, w, a.shard)
	w.holds[a] = struct{}{}
	w.out++
	a.place()
	a.kind.stir()
	if schedule.Missed(r.s.GetTask().GetTiming(), r.Due, w.d.now) {
		a.out.held = true
		w.d.skips = append(w.d.skips, Skip{Worker: w.id, Settlement: &runtimev1.Settlement{
			Key: r.s.GetTask().GetKey(), Revision: r.revision(), Fence: &a.out.fence, End: &runtimev1.Settlement_Returned{},
		}})
		return nil
	}
	w.lonely = r.s.GetAlone()
	return &a.out.delivery
}

// token takes a token of the type. Without one the worker is looked at again when there is.
func (k *kind) token(w *worker) bool {
	passed := k.d.now.Sub(k.filled).Seconds()
	k.filled = k.d.now
	k.tokens = min(k.rate.Burst, k.tokens+max(0, passed)*k.rate.PerSecond)
	if k.tokens >= 1 {
		k.tokens--
		return true
	}
	at := k.d.now.Add(time.Duration((1-k.tokens)/k.rate.PerSecond*float64(time.Second)) + time.Microsecond)
	if k.d.refills.IsZero() || at.Before(k.d.refills) {
		k.d.refills = at
	}
	k.d.stirWorker(w)
	return false
}
