package engine

import "time"

// trouble does something bad, and again.
func (w *world) trouble() {
	if w.calm {
		return
	}
	w.after(w.upTo(2*w.lease), "trouble", w.trouble)
	if w.chance(250) {
		w.store.backUp()
	}
	if len(w.workers) == 0 {
		return
	}
	w.faults++
	long := w.lease/4 + w.upTo(3*w.lease)
	p := w.workers[w.random.IntN(len(w.workers))]
	q := w.workers[w.random.IntN(len(w.workers))]
	switch w.random.IntN(20) {
	case 0, 1:
		w.notef("kill %s", p.name)
		p.end()
	case 2, 3:
		w.notef("suspend %s for %v", p.name, long)
		p.pause(long)
	case 4:
		p = w.busiest()
		w.notef("suspend %s, which runs something, for %v", p.name, long)
		p.pause(long)
	case 5:
		w.notef("cut %s off for %v", p.name, long)
		w.cut(p.name, "", long)
		w.cut("", p.name, long)
	case 6:
		w.notef("%s hears nothing of the runtime for %v", p.name, long)
		w.cut(theRuntime, p.name, long)
	case 7:
		w.notef("%s is not heard by the runtime for %v", p.name, long)
		w.cut(p.name, theRuntime, long)
	case 8:
		w.notef("%s and the runtime are cut apart for %v", p.name, long)
		w.cut(theRuntime, p.name, long)
		w.cut(p.name, theRuntime, long)
	case 9:
		w.notef("%s does not hear %s for %v", p.name, q.name, long)
		w.cut(q.name, p.name, long)
	case 10:
		w.notef("%s is not heard by anybody for %v", p.name, long)
		w.cut(p.name, "", long)
	case 11:
		w.notef("end the runtime for %v", long)
		w.crash(w.upTo(long))
	case 12:
		w.notef("suspend the runtime for %v", long)
		if w.control != nil {
			w.control.pause(long)
		}
	case 13, 14:
		p.shutDown()
	case 15:
		w.rollingRestart()
	case 16:
		w.notef("the disk is full for %v", long)
		w.store.full = w.now + long
	case 17:
		w.notef("the disk fails for %v", long)
		w.store.failing = w.now + long
	case 18:
		w.jump()
	case 19:
		w.putBack()
	}
}

// busiest is a process that runs a method, if there is one.
func (w *world) busiest() *process {
	for _, p := range w.workers {
		for at := range place(allShards) {
			if s := p.slots[at]; s != nil && len(s.queue.Running()) > 0 {
				return p
			}
		}
	}
	return w.workers[0]
}

// rollingRestart shuts every worker down, one after the other, and starts others first.
func (w *world) rollingRestart() {
	w.notef("restart every worker")
	for i, p := range w.workers {
		w.after(w.lease*time.Duration(i), "restart", func() {
			if !p.ended && !p.leaving && !w.calm {
				w.spawn()
				p.shutDown()
			}
		})
	}
}

// putBack ends the runtime, replaces its store by an older copy, and starts it again.
func (w *world) putBack() {
	if len(w.store.copies) == 0 || w.store.behind {
		return
	}
	w.crash(w.lease / 10)
	w.store.putBack()
}

// calmDown ends all trouble, but for who is suspended already and wakes in its time.
func (w *world) calmDown() {
	w.calm = true
	w.network.cuts = nil
	w.store.full, w.store.failing = 0, 0
	w.history.answered = [allShards]int{}
	if w.control == nil {
		w.startRuntime()
	}
	for len(w.workers) < 3 {
		w.spawn()
	}
}
