package deadline

import "time"

// lane is a list of entries, the earliest first. Most entries come in the order of their
// times, since most calls take the same timeout: those need not look for their place, nor
// does anything move when one leaves.
type lane struct {
	// entries has nil where one has left; before head all have.
	entries []*Entry
	head    int
	// live is how many have not left, and last is when the last of all is due; 0 without any.
	live int
	last time.Duration
}

// push takes an entry that is due no earlier than last.
func (l *lane) push(e *Entry) {
	if len(l.entries) == cap(l.entries) && l.live <= len(l.entries)/2 {
		l.close()
	}
	l.entries = append(l.entries, e)
	l.live++
	l.last, e.place = e.at, int32(len(l.entries))
}

func (l *lane) remove(e *Entry) {
	l.entries[e.place-1] = nil
	e.place, e.sleeper = 0, nil
	if l.live--; l.live == 0 {
		*l = lane{entries: l.entries[:0]}
	}
}

// first is the earliest entry; nil without any.
func (l *lane) first() *Entry {
	if l.live == 0 {
		return nil
	}
	for l.entries[l.head] == nil {
		l.head++
	}
	return l.entries[l.head]
}

// close closes the gaps that others have left.
func (l *lane) close() {
	kept := l.entries[:0]
	for _, e := range l.entries[l.head:] {
		if e != nil {
			kept = append(kept, e)
			e.place = int32(len(kept))
		}
	}
	clear(l.entries[len(kept):])
	l.entries, l.head = kept, 0
}

// lanes is how many lanes entries are given to, each with the time of a timeout or two.
const lanes = 4

// order holds entries in the order of their times: in lanes, and those that fit into none in
// a heap.
type order struct {
	lanes [lanes]lane
	heap  heap
}

// push puts an entry into the lane with the latest entries that are not later.
func (o *order) push(e *Entry) {
	var best *lane
	for i := range o.lanes {
		if l := &o.lanes[i]; l.last <= e.at && (best == nil || l.last > best.last) {
			best, e.lane = l, uint8(i+1)
		}
	}
	if best == nil {
		e.lane = 0
		o.heap.push(e)
		return
	}
	best.push(e)
}

func (o *order) remove(e *Entry) {
	if e.lane == 0 {
		o.heap.remove(e)
	} else {
		o.lanes[e.lane-1].remove(e)
	}
}

// first is the earliest entry; nil without any.
func (o *order) first() *Entry {
	var first *Entry
	if len(o.heap) > 0 {
		first = o.heap[0]
	}
	for i := range o.lanes {
		if e := o.lanes[i].first(); e != nil && (first == nil || e.at < first.at) {
			first = e
		}
	}
	return first
}
