package deadline

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Entries come with timeouts, few and many different ones, as time goes on, and leave in any
// order: the first one is always the earliest, and each is where it says.
func TestOrderAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 0))
		var o order
		var m model
		timeouts := 1 + random.IntN(2*lanes) // more than there are lanes, for some seeds
		grow := 4 + random.IntN(4)           // of ten steps, on average
		for now := range time.Duration(2000) {
			if len(m) == 0 || random.IntN(10) < grow {
				e := &Entry{at: 1 + now + 100*time.Duration(random.IntN(timeouts))}
				o.push(e)
				m = append(m, e)
			} else {
				i := random.IntN(len(m))
				o.remove(m[i])
				wantNowhere(t, m[i])
				m = slices.Delete(m, i, i+1)
			}
			if first := o.first(); (first == nil) != (len(m) == 0) || first != nil && first.at != m.least() {
				t.Fatalf("seed %d, step %d: the first of %d entries is %+v", seed, now, len(m), first)
			}
			for _, e := range m {
				if !o.has(e) {
					t.Fatalf("seed %d, step %d: an entry is not where it says", seed, now)
				}
			}
		}
	}
}

func (o *order) has(e *Entry) bool {
	entries := []*Entry(o.heap)
	if e.lane > 0 {
		entries = o.lanes[e.lane-1].entries
	}
	i := int(e.place) - 1
	return i >= 0 && i < len(entries) && entries[i] == e
}

// Entries with a few timeouts, each later than those with the same one, are in lanes.
func TestTimeoutsHaveLanes(t *testing.T) {
	t.Parallel()
	var o order
	for now := range time.Duration(1000) {
		for n := range time.Duration(lanes) {
			o.push(&Entry{at: now + 1000*(lanes-n)})
		}
	}
	if len(o.heap) > 0 {
		t.Errorf("%d entries are in the heap", len(o.heap))
	}
}

// However many entries come and leave beside one that stays, a lane takes memory for those
// that are there.
func TestLaneClosesGaps(t *testing.T) {
	t.Parallel()
	const beside = 10
	var o order
	o.push(&Entry{at: 1})
	var others []*Entry
	for now := range time.Duration(10_000) {
		e := &Entry{at: 2 + now}
		o.push(e)
		if others = append(others, e); len(others) > beside {
			o.remove(others[0])
			others = others[1:]
		}
	}
	if room := cap(o.lanes[0].entries); room > 8*beside {
		t.Errorf("a lane with %d entries has room for %d", len(others)+1, room)
	}
}
