package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var taskRaceTests = []test{
	{"of many completions of a delivery one applies", raceCompletion},
	{"who follows the moves knows what is stored", raceMoves},
}

// Records of two activations, settlements and changes race for one delivery at a time.
func raceCompletion(b *bench) {
	b.single()
	base := (*runtimev1.Identity)(nil)
	for round := range uint64(rounds(200)) {
		key := job("a", fmt.Sprint(round))
		b.set(task(key, ""))
		s := b.stored(key)
		var won, changed atomic.Int64
		var winner atomic.Uint64
		var race sync.WaitGroup
		for i := range uint64(4) {
			race.Go(func() {
				results, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{completing(record("a", base, at(round*4+i+1, 1), "x"), s)})
				if err == nil && results[0].GetVerdict() == applied {
					won.Add(1)
					winner.Store(round*4 + i + 1)
				}
			})
		}
		race.Go(func() {
			if verdicts, _, err := b.Settle(b.Context(), "w1", []*runtimev1.Settlement{failed(s, 1, "x")}); err == nil && verdicts[0] == applied {
				changed.Add(1)
			}
		})
		race.Wait()
		if won.Load()+changed.Load() != 1 {
			b.Errorf("round %d: %d records and %d settlements had the delivery", round, won.Load(), changed.Load())
		}
		if won.Load() == 1 {
			base = at(winner.Load(), 1)
		}
		if left := b.stored(key); (left == nil) != (won.Load() == 1) {
			b.Errorf("round %d: %v is left", round, left)
		}
	}
}

// Many change the same few tasks at once, alone and in records. Of what they were told,
// that of the highest counter is what is stored.
func raceMoves(b *bench) {
	b.single()
	const callers, keys = 8, 5
	var mu sync.Mutex
	known, at0 := map[string]*runtimev1.ScheduledTask{}, map[string]store.Counter{}
	learn := func(moved store.Moved, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Error(err)
			return
		}
		for _, m := range moved.Moves {
			k := name(m.Key.Message())
			if m.Counter == at0[k] && m.Task.GetRevision() != known[k].GetRevision() {
				b.Errorf("%s is %v and %v at the counter %d", k, m.Task, known[k], m.Counter)
			}
			if m.Counter >= at0[k] {
				known[k], at0[k] = m.Task, m.Counter
			}
		}
	}
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			base := (*runtimev1.Identity)(nil)
			for i := range rounds(1_000) {
				key := alarm("shared", fmt.Sprint((caller+i)%keys))
				changes := []*runtimev1.TaskChange{set(task(key, fmt.Sprint(caller, i)))}
				if i%3 == 0 {
					changes = []*runtimev1.TaskChange{remove(key)}
				}
				if i%2 == 0 {
					_, moved, err := b.Change(b.Context(), changes)
					learn(moved, err)
					continue
				}
				next := at(uint64(caller)+1, uint64(i)+1)
				_, moved, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{changing(record(fmt.Sprint("a", caller), base, next, "x"), changes...)})
				learn(moved, err)
				base = next
			}
		})
	}
	all.Wait()
	for i := range keys {
		key := alarm("shared", fmt.Sprint(i))
		if stored := b.stored(key); stored.GetRevision() != known[name(key)].GetRevision() {
			b.Errorf("%s is stored as %v, and known as %v", name(key), stored, known[name(key)])
		}
	}
}
