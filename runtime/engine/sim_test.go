package engine

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/race"
)

// The simulation is a whole cluster on one goroutine: the engine's own transitions over
// the memory store, workers that drive the pure cores of a host (turn, gate, keys, chain,
// lease, placement), and clients. Whatever happens is an event of one queue, and chance
// comes from one seed: same seed, same run. It kills, pauses and cuts off, delays, repeats
// and reorders, breaks the store and puts it back, and after each event it checks what
// must always hold.
//
//	simworld      what a run is: trouble, then calm, again and again
//	simclock      clocks that run at rates of their own, and wall clocks that jump
//	simnetwork    messages that are late, lost, doubled and out of order
//	simruntime    the runtime: judge, planner and requests
//	simstore      the store, its faults and its copies
//	simworker     the membership of a worker, and how it hands shards over
//	simhost       calls, and the worker that they find
//	simturn       the queue of an actor, and one run of one method
//	simactivation an actor in memory, its gate, its records and its keys
//	simclient     calls, and what their callers do with the answers
//	simfaults     what goes wrong
//	siminvariant  what must hold after every event
//	simhistory    what must hold of all that callers were told
//
//	go test ./runtime/engine -run TestSimulation -sim.seeds 5000
//	go test ./runtime/engine -run TestLongSimulation -sim.seeds 20 -timeout 1h -v

var (
	simSeeds = flag.Int("sim.seeds", 0, "how many seeds a simulation runs; 0 is what is right for every test run")
	simFirst = flag.Uint64("sim.first", 0, "the first seed of a simulation")
	simHours = flag.Float64("sim.hours", 0, "how many hours a seed of TestLongSimulation lasts; 0 is 72, fewer with -short or -race")
	simTrail = flag.Int("sim.trail", 100, "how many of the last events a failure prints")
)

// T27, many short seeds: one period of trouble each.
func TestSimulation(t *testing.T) {
	t.Parallel()
	const lanes = 4
	seeds := uint64(*simSeeds)
	switch {
	case seeds > 0:
	case testing.Short() || race.Enabled:
		seeds = 24
	default:
		seeds = 240
	}
	for lane := range uint64(lanes) {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			var sum tally
			for seed := *simFirst + lane; seed < *simFirst+seeds; seed += lanes {
				w := simulate(short(seed))
				sum.add(w.tally)
				w.report(t, "TestSimulation")
			}
			t.Log(sum)
		})
	}
}

// T27, a long one: three days of trouble and recovery.
func TestLongSimulation(t *testing.T) {
	t.Parallel()
	hours := *simHours
	switch {
	case hours > 0:
	case testing.Short() || race.Enabled:
		hours = 1
	default:
		hours = 72
	}
	for seed := *simFirst; seed < *simFirst+uint64(max(1, *simSeeds)); seed++ {
		began := time.Now()
		w := simulate(long(seed, hours))
		took := time.Since(began)
		w.report(t, fmt.Sprintf("TestLongSimulation -timeout 1h -sim.hours %v", hours))
		t.Logf("seed %d: %v hours: %v; %.0f events/s, %v", seed, hours, w.tally, float64(w.events)/took.Seconds(), took.Round(time.Millisecond))
		if hours >= 72 && (w.events < 2_000_000 || w.faults < 1_000) {
			t.Errorf("%v: too little to prove anything", w.tally)
		}
	}
}

// Each rule that the simulation is to protect, switched off: it must notice.
func TestSimulationNotices(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("one goroutine at a time: the race detector has nothing to find, and makes it ten times slower")
	}
	for name, off := range map[string]rules{
		"a record is written whoever owns the shard":           {noFence: true},
		"a decree does not look at the beat":                   {noBeat: true},
		"a worker runs until it is told to be dead":            {noLapse: true},
		"a lease counts from the answer":                       {noSend: true},
		"a lease does not count while the machine sleeps":      {noSleep: true},
		"the judge counts what it did not watch":               {noOnce: true},
		"a runtime that starts goes on counting":               {noGrace: true},
		"a shard moves without its owner":                      {noRelease: true},
		"replies do not wait for commits":                      {noGate: true},
		"a record is recognised by its version":                {byVersion: true},
		"two records are in flight":                            {twoInFlight: true},
		"a record that is refused at the second time is known": {noDoubt: true},
		"an actor is opened while a record is unanswered":      {noRetire: true},
		"a shard is owned until its release is answered":       {noGive: true},
		"the lease is not looked at after a load":              {noRecheck: true},
		"keys are not looked at":                               {noKeys: true},
		"whatever is unknown is sent again":                    {resend: true},
		"the last attempt decides what a caller is told":       {lastOnly: true},
		"a store that was put back is believed":                {noMark: true},
		"only the counter says how far the store has come":     {noBranch: true},
		"who waits runs on what a deletion left in memory":     {noSpoil: true},
		"a deleted actor leaves no identity":                   {noGrave: true},
		"a worker holds a state that has expired":              {noLife: true},
		"a record does not renew the life of the state":        {noRenewal: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(1000) {
				p := short(seed)
				p.off = off
				if w := simulate(p); w.broken != "" {
					t.Logf("noticed with seed %d, after %v: %s", seed, w.tally, w.broken)
					return
				}
			}
			t.Error("1000 seeds noticed nothing")
		})
	}
}

// A seed is a run: without that, a failure could not be replayed.
func TestSimulationRepeats(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		p := short(seed)
		first := simulate(p)
		p.recorded = true
		second, third := simulate(p), simulate(p)
		if first.tally != second.tally || second.trail.String() != third.trail.String() {
			t.Errorf("seed %d: %v, then %v", seed, first.tally, second.tally)
		}
	}
}

// report prints a failure, and what led to it: the seed runs again for that.
func (w *world) report(t *testing.T, test string) {
	t.Helper()
	if w.broken == "" {
		return
	}
	again := w.plan
	again.recorded = true
	t.Fatalf("%s\n%sreplay: go test ./runtime/engine -run %s -sim.first %d -sim.seeds 1", w.broken, simulate(again).trail.String(), test, w.seed)
}

// rules are what is switched off, or added.
type rules struct {
	noFence, noBeat, noLapse, noSend, noSleep, noOnce, noGrace, noRelease bool
	noGate, byVersion, twoInFlight, noDoubt, noRetire, noKeys, noMark     bool
	noGive, noRecheck, noBranch, noSpoil, noGrave, noLife, noRenewal      bool
	resend, lastOnly                                                      bool
}
