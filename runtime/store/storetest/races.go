package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/race"
	"github.com/francis-actors/francis/runtime/store"
)

var raceTests = []test{
	{"a renewal races a decree", raceDecree},
	{"stale records race handoffs", raceHandoff},
	{"one base, many records", raceBase},
	{"many actors at once", raceMany},
}

// rounds is how often a race is forced; a tenth in short runs, and under the race
// detector, which makes each many times longer: it looks for races of the program, and the
// runs without it for those of the store.
func rounds(n int) int {
	if testing.Short() || race.Enabled {
		return n / 10
	}
	return n
}

// Never are both true: the worker's renewal was accepted after the beat that the
// judge saw, and its shards moved by that decree.
func raceDecree(b *bench) {
	const lanes = 32
	b.cart(lanes)
	var decreed atomic.Int64
	var all sync.WaitGroup
	for shard := range uint32(lanes) {
		all.Go(func() {
			lane := &decreeLane{bench: b, shard: shard}
			for range rounds(10_000 / lanes) {
				if lane.round() {
					decreed.Add(1)
				}
			}
		})
	}
	all.Wait()
	b.Logf("%d times the decree came first", decreed.Load())
}

// decreeLane is one shard, whose owner is declared dead while it renews, until it
// dies, and then the next one.
type decreeLane struct {
	*bench
	shard  uint32
	born   int
	worker string
	beat   uint64
}

// round reports whether the decree came first.
func (l *decreeLane) round() (happened bool) {
	if l.worker == "" {
		l.birth()
	}
	epoch := l.bench.shard(l.shard).GetEpoch()
	var renewal, decree error
	var race sync.WaitGroup
	race.Go(func() { renewal = l.Beat(l.Context(), l.worker) })
	race.Go(func() { happened, _, decree = l.DeclareDead(l.Context(), l.worker, l.beat, nil) })
	race.Wait()
	moved := l.bench.shard(l.shard).GetEpoch() > epoch
	if decree != nil || happened == (renewal == nil) || happened != moved || (happened && !errors.Is(renewal, store.ErrDead)) {
		l.Errorf("decree %v (%v), moved %v, renewal %v", happened, decree, moved, renewal)
	}
	l.beat++
	if happened {
		l.worker = ""
	}
	return happened
}

// birth adds a worker that owns the shard.
func (l *decreeLane) birth() {
	l.born++
	l.worker, l.beat = fmt.Sprintf("w%d-%d", l.shard, l.born), 0
	if _, err := l.AddWorker(l.Context(), &runtimev1.Worker{Id: l.worker}); err != nil {
		l.Error(err)
	}
	epoch := l.bench.shard(l.shard).GetEpoch()
	if _, err := l.Assign(l.Context(), []store.Assignment{{Type: "cart", Shard: l.shard, Epoch: epoch, Worker: l.worker}}); err != nil {
		l.Error(err)
	}
}

// Two workers hand a shard to each other while both keep writing as its owner: what
// is acknowledged is all there is, in order, and every write at a past epoch is
// refused.
func raceHandoff(b *bench) {
	h := &handoff{bench: b, attempts: rounds(20_000)}
	b.worker("w0", "w1")
	b.cart(1)
	b.assign(0, "w0")
	h.epoch.Store(1)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { h.write(rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	all.Go(h.move)
	all.Wait()
	if h.accepted.Load() != 0 {
		b.Errorf("%d of %d stale records were accepted", h.accepted.Load(), h.refused.Load())
	}
	b.Logf("%d stale records refused, %d applied, %d handoffs", h.refused.Load(), h.applied.Load(), h.epoch.Load())
}

type handoff struct {
	*bench
	attempts int
	// epoch is one that the shard has reached; what is below is stale.
	epoch                             atomic.Uint64
	tried, accepted, refused, applied atomic.Int64
}

// move hands the shard back and forth until enough was tried.
func (h *handoff) move() {
	for h.tried.Load() < int64(h.attempts) {
		epoch := h.epoch.Load()
		owner, next := fmt.Sprint("w", (epoch+1)%2), fmt.Sprint("w", epoch%2)
		_, err := h.Assign(h.Context(), []store.Assignment{{Type: "cart", Epoch: epoch, Worker: next}})
		if err == nil {
			_, err = h.Release(h.Context(), owner, []*runtimev1.ReleaseRequest_Release{give(0, epoch)})
		}
		if err != nil {
			h.Error(err)
			return
		}
		h.epoch.Store(epoch + 1)
	}
}

// write sends groups of records at the present and at past epochs.
func (h *handoff) write(random *rand.Rand) {
	for h.tried.Load() < int64(h.attempts) {
		now := h.epoch.Load()
		var records []*runtimev1.Record
		for i := range 16 {
			epoch := now - uint64(random.IntN(int(min(now, 3))))
			records = append(records, atEpoch(record(fmt.Sprintf("a%d-%d", i, random.Uint64()), nil, at(1, 1), "x"), epoch))
		}
		for _, worker := range []string{"w0", "w1"} {
			h.count(now, worker, records)
		}
	}
}

// count sends records of which those below now were stale before the call, and those
// of the other parity are not this worker's.
func (h *handoff) count(now uint64, worker string, records []*runtimev1.Record) {
	results, _, err := h.Commit(h.Context(), worker, records)
	if err != nil {
		h.Error(err)
		h.tried.Add(int64(h.attempts))
		return
	}
	for i, result := range results {
		epoch := records[i].GetFence().GetEpoch()
		stale := epoch < now || worker != fmt.Sprint("w", (epoch+1)%2)
		switch {
		case !stale && result.GetVerdict() == applied:
			h.applied.Add(1)
		case stale && result.GetVerdict() != staleEpoch:
			h.accepted.Add(1)
			h.tried.Add(1)
		case stale:
			h.refused.Add(1)
			h.tried.Add(1)
		}
	}
}

// Of many records on one base exactly one applies.
func raceBase(b *bench) {
	b.single()
	base := (*runtimev1.Identity)(nil)
	for round := range uint64(rounds(200)) {
		var winner atomic.Uint64
		var race sync.WaitGroup
		for i := range uint64(8) {
			activation := round*8 + i + 1
			race.Go(func() {
				results, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{record("a", base, at(activation, 1), fmt.Sprint(activation))})
				if err == nil && results[0].GetVerdict() == applied && !winner.CompareAndSwap(0, activation) {
					b.Error("two records applied on one base")
				}
			})
		}
		race.Wait()
		want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), fmt.Sprint(winner.Load()))
		base = at(winner.Load(), 1)
	}
}

// Many actors commit at once, each its own records in order, and nothing is lost.
func raceMany(b *bench) {
	b.single()
	const actors, records = 64, 20
	var all sync.WaitGroup
	for i := range actors {
		all.Go(func() {
			id, base := fmt.Sprint("a", i), (*runtimev1.Identity)(nil)
			for n := range uint64(records) {
				next := at(uint64(i)+1, n+1)
				results, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{record(id, base, next, fmt.Sprint(n))})
				if err != nil || results[0].GetVersion() != n+1 || results[0].GetVerdict() != applied {
					b.Errorf("record %d of %s: %v, %v", n, id, results, err)
					return
				}
				base = next
			}
		})
	}
	all.Wait()
	for i := range actors {
		want(b, "version", b.load("w1", fmt.Sprint("a", i), 1).GetState().GetVersion(), records)
	}
}
