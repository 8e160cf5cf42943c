package engine

import (
	"slices"
	"time"
)

// network carries messages between the runtime, the workers and the clients. Those to the
// runtime are requests of their own: they overtake each other. Those between workers, and
// of clients, travel on links, in order, and none of them twice.
type network struct {
	cuts []cut
	// last is when the last message of a link arrives.
	last map[route]time.Duration
}

// route is a way from one to another, by their names.
type route struct{ from, to string }

// cut is a route on which nothing travels until a time; an empty name is everybody.
type cut struct {
	route
	until time.Duration
}

const (
	theRuntime = "runtime"
	theClients = "clients"
)

// cut cuts a route.
func (w *world) cut(from, to string, d time.Duration) {
	w.network.cuts = append(w.network.cuts, cut{route{from, to}, w.now + d})
}

// connected reports whether messages travel.
func (w *world) connected(from, to string) bool {
	for i, c := range w.network.cuts {
		switch {
		case c.until <= w.now:
			w.network.cuts = slices.Delete(w.network.cuts, i, i+1)
			return w.connected(from, to)
		case (c.from == "" || c.from == from) && (c.to == "" || c.to == to):
			return false
		}
	}
	return true
}

// delay is how long a message travels: not long as a rule, sometimes for a part of
// the lease, now and then for several.
func (w *world) delay() time.Duration {
	d := time.Millisecond + w.upTo(4*time.Millisecond)
	switch {
	case w.calm:
	case w.chance(10):
		d += w.upTo(3 * w.lease)
	case w.chance(50):
		d += w.upTo(w.lease / 2)
	}
	return d
}

func (w *world) lost() bool { return !w.calm && w.chance(20) }

func (w *world) doubled() bool { return !w.calm && w.chance(50) }

// ask sends a request of a worker to the runtime and brings the answer back to of. A
// request that changes nothing when it is repeated may arrive twice.
func ask[Answer any](p *process, of subject, what string, request func(*Engine) (Answer, error), answered func(Answer, error)) {
	w := p.world
	copies := 1
	if w.doubled() {
		copies = 2
	}
	for range copies {
		askOnce(p, of, what, request, answered)
	}
}

func askOnce[Answer any](p *process, of subject, what string, request func(*Engine) (Answer, error), answered func(Answer, error)) {
	w := p.world
	if w.lost() || !w.connected(p.name, theRuntime) {
		return
	}
	reply := func(answer Answer, err error) {
		if w.lost() || !w.connected(theRuntime, p.name) {
			return
		}
		w.afterOf(of, w.delay(), "is answered: "+what, func() {
			if w.connected(theRuntime, p.name) {
				answered(answer, err)
			}
		})
	}
	w.after(w.delay(), what, func() {
		c := w.control
		if c == nil || !w.connected(p.name, theRuntime) {
			return
		}
		c.serve(what, func() {
			answer, err := request(c.engine)
			if w.control == c { // else it crashed
				reply(answer, err)
			}
		})
	})
}

// carry brings a message to somebody over a link. It reports false when that is known
// to be impossible: nobody can be dialled there.
func (w *world) carry(from, to string, of subject, what string, deliver func()) bool {
	if !w.connected(from, to) {
		return w.chance(500)
	}
	if w.lost() {
		return true
	}
	if w.network.last == nil {
		w.network.last = map[route]time.Duration{}
	}
	r := route{from, to}
	arrives := max(w.network.last[r], w.now+w.delay())
	w.network.last[r] = arrives
	w.afterOf(of, arrives-w.now, what, func() {
		if w.connected(from, to) {
			deliver()
		}
	})
	return true
}

// forget drops what is known of the links of somebody who is gone.
func (n *network) forget(name string) {
	for r := range n.last { // order does not matter
		if r.from == name || r.to == name {
			delete(n.last, r)
		}
	}
}
