package join

import (
	"slices"
	"sync"
)

// roster holds a bounded number of connections. When it is full, a new one takes the
// place of the oldest of the source that holds most: a source alone can only push out
// itself, and many sources together only those who dawdle.
type roster struct {
	limit int

	mu sync.Mutex // guards places
	// places are in the order of arrival.
	places []*place
}

func newRoster(limit int) *roster { return &roster{limit: limit} }

// enter admits a connection, and closes the one that has to go for it: the new one
// itself when all others are kept.
func (r *roster) enter(p *place) {
	r.mu.Lock()
	r.places = append(r.places, p)
	var victim *place
	if len(r.places) > r.limit {
		victim = r.victim()
		r.remove(victim)
	}
	r.mu.Unlock()
	if victim != nil {
		_ = victim.Close() // outside the lock: closing leaves the roster
	}
}

func (r *roster) victim() *place {
	held := map[source]int{}
	for _, p := range r.places {
		held[p.source]++
	}
	worst := r.places[len(r.places)-1]
	for _, p := range slices.Backward(r.places) {
		if !p.kept.Load() && held[p.source] >= held[worst.source] {
			worst = p
		}
	}
	return worst
}

func (r *roster) leave(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(p)
}

func (r *roster) remove(p *place) {
	if i := slices.Index(r.places, p); i >= 0 {
		r.places = slices.Delete(r.places, i, i+1)
	}
}

func (r *roster) closeAll() {
	r.mu.Lock()
	places := slices.Clone(r.places)
	r.mu.Unlock()
	for _, p := range places {
		_ = p.Close()
	}
}
