package engine

import (
	"container/heap"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// The simulation runs the engine's own transitions, the memory store, and workers
// made of lease.Holder and placement.Table, on one goroutine and one queue of
// events: same seed, same run. It kills, pauses and cuts off, delays, repeats and
// reorders, and after each event it checks what must always hold (invariant_test.go).
//
//	go test ./runtime/engine -run TestSimulation -sim.seeds 5000
//	go test ./runtime/engine -run TestSimulation -sim.first 4711 -sim.seeds 1

var (
	simSeeds = flag.Int("sim.seeds", 0, "how many seeds TestSimulation runs; 0 is a few hundred, fewer with -short or -race")
	simTrail = flag.Int("sim.trail", 60, "how many of the last events a failure of TestSimulation prints")
	simFirst = flag.Uint64("sim.first", 0, "the first seed of TestSimulation")
)

func seeds() int {
	switch {
	case *simSeeds > 0:
		return *simSeeds
	case testing.Short() || raceEnabled:
		return 24
	default:
		return 240
	}
}

func TestSimulation(t *testing.T) {
	t.Parallel()
	const lanes = 4
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			happened, faults := 0, 0
			for seed := lane; seed < seeds(); seed += lanes {
				w := run(*simFirst+uint64(seed), rules{})
				happened, faults = happened+w.happened, faults+w.faults
				if w.broken != "" {
					t.Fatalf("%s\n%sreplay: go test ./runtime/engine -run TestSimulation -sim.first %d -sim.seeds 1", w.broken, w.trail(), w.seed)
				}
			}
			t.Logf("%d events, %d faults", happened, faults)
		})
	}
}

// Each rule that the simulation is to protect, switched off: it must notice.
func TestSimulationNotices(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]rules{
		"no fence: a record is written whoever owns the shard": {noFence: true},
		"no beat: a decree does not look at the beat":          {noBeat: true},
		"no lapse: a worker runs until it is told to be dead":  {noLapse: true},
		"no send: a lease counts from the answer":              {noSend: true},
		"no grace: the judge counts what it did not watch":     {noOnce: true},
		"no release: a shard moves without its owner":          {noRelease: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				if w := run(seed, off); w.broken != "" {
					t.Logf("noticed with seed %d: %s", seed, w.broken)
					return
				}
			}
			t.Error("400 seeds noticed nothing")
		})
	}
}

// A seed is a run: without that, a failure could not be replayed.
func TestSimulationRepeats(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		first, second := run(seed, rules{}), run(seed, rules{})
		if first.happened != second.happened || first.trail() != second.trail() {
			t.Errorf("seed %d: %d events, then %d", seed, first.happened, second.happened)
		}
	}
}

// rules are what is switched off.
type rules struct{ noFence, noBeat, noLapse, noSend, noRelease, noOnce bool }

// event is something that happens at a time. Events of the same time happen in the
// order in which they were made.
type event struct {
	at     time.Duration
	number int
	what   string
	happen func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].number < q[j].number
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(e any)   { *q = append(*q, e.(event)) }
func (q *events) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

// moment is something that happened.
type moment struct {
	at   time.Duration
	what string
}

// world is one run.
type world struct {
	seed   uint64
	rules  rules
	random *rand.Rand
	lease  time.Duration
	// now is the true time, which nobody in the world can read.
	now      time.Duration
	queue    events
	made     int
	faults   int
	calm     bool
	store    *recorder
	control  *control
	workers  []*process
	born     int
	trace    []moment
	broken   string
	happened int
	// known are the entries of the store as they were checked last. placed is true
	// when they may be others since, learned when a worker may run something that it
	// could not run before.
	known           [allShards]*runtimev1.Shard
	placed, learned bool
}

// place is a shard, counted through all types.
type place int

const allShards = 2 * placement.Shards

func placeOf(shard *runtimev1.Shard) place {
	return place(slices.Index(types, shard.GetType())*placement.Shards + int(shard.GetShard()))
}

func (p place) typ() string    { return types[p/placement.Shards] }
func (p place) number() uint32 { return uint32(p % placement.Shards) }

// types are the actor types of the world.
var types = []string{"cart", "user"}

// run lets a world be: twenty leases of trouble, then twelve to recover.
func run(seed uint64, off rules) *world {
	w := &world{seed: seed, rules: off, random: rand.New(rand.NewPCG(seed, 3))}
	w.lease = []time.Duration{2 * time.Second, 5 * time.Second, 60 * time.Second}[w.random.IntN(3)]
	w.store = newRecorder(w, memory.New())
	w.startRuntime()
	for range 3 + w.random.IntN(2) {
		w.spawn()
	}
	w.after(w.upTo(w.lease), "trouble", w.trouble)
	w.until(20 * w.lease)
	w.calmDown()
	w.until(32 * w.lease)
	w.checkRecovered()
	return w
}

func (w *world) until(end time.Duration) {
	for w.broken == "" && len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		w.happened++
		w.remember(e.what)
		e.happen()
		w.check()
	}
}

// after makes an event.
func (w *world) after(d time.Duration, what string, happen func()) {
	w.made++
	heap.Push(&w.queue, event{at: w.now + d, number: w.made, what: what, happen: happen})
}

// upTo is a time in [0, d).
func (w *world) upTo(d time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(max(d, 1))))
}

func (w *world) chance(percent int) bool { return w.random.IntN(100) < percent }

// delay is how long a message travels: not long as a rule, sometimes for a part of
// the lease, now and then for several.
func (w *world) delay() time.Duration {
	d := time.Millisecond + w.upTo(4*time.Millisecond)
	switch {
	case w.calm:
	case w.chance(1):
		d += w.upTo(3 * w.lease)
	case w.chance(5):
		d += w.upTo(w.lease / 2)
	}
	return d
}

func (w *world) notef(format string, args ...any) {
	w.remember(fmt.Sprintf(format, args...))
}

// remember keeps what happened for the trail.
func (w *world) remember(what string) {
	w.trace = append(w.trace, moment{w.now, what})
	if len(w.trace) > 2**simTrail {
		w.trace = append(w.trace[:0], w.trace[*simTrail:]...)
	}
}

// trail is what happened last.
func (w *world) trail() string {
	var trail strings.Builder
	for _, m := range w.trace[max(0, len(w.trace)-*simTrail):] {
		fmt.Fprintf(&trail, "%14v  %s\n", m.at, m.what)
	}
	return trail.String()
}

func (w *world) failf(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("seed %d, lease %v, at %v: ", w.seed, w.lease, w.now) + fmt.Sprintf(format, args...)
	}
}

// trouble does something bad, and again.
func (w *world) trouble() {
	if w.calm {
		return
	}
	w.after(w.upTo(2*w.lease), "trouble", w.trouble)
	w.faults++
	long := w.lease/4 + w.upTo(3*w.lease)
	p := w.workers[w.random.IntN(len(w.workers))]
	switch w.random.IntN(9) {
	case 0:
		w.notef("kill %s", p.name)
		p.ended = true
		w.after(w.upTo(2*w.lease), "spawn", w.spawn)
	case 1, 2:
		w.notef("pause %s for %v", p.name, long)
		p.paused = w.now + long
	case 3:
		w.notef("cut %s off for %v", p.name, long)
		p.deaf, p.mute = w.now+long, w.now+long
	case 4:
		w.notef("%s hears nothing for %v", p.name, long)
		p.deaf = w.now + long
	case 5:
		w.notef("%s is not heard for %v", p.name, long)
		p.mute = w.now + long
	case 6:
		w.notef("restart the runtime in %v", long)
		w.control = nil
		w.after(w.upTo(long), "start the runtime", w.startRuntime)
	case 7:
		w.notef("pause the runtime for %v", long)
		if w.control != nil {
			w.control.pause(w.now + long)
		}
	case 8:
		p.shutDown()
	}
}

// calmDown ends all trouble.
func (w *world) calmDown() {
	w.calm = true
	for _, p := range w.workers {
		p.paused, p.deaf, p.mute = 0, 0, 0
	}
	if w.control == nil {
		w.startRuntime()
	}
	w.control.pause(w.now)
	w.spawn()
}

// control is the runtime: the engine's transitions, called one by one.
type control struct {
	world   *world
	engine  *Engine
	judge   *lease.Judge
	rate    float64
	started time.Duration
	paused  time.Duration
	// rested is the time of all pauses.
	rested time.Duration
}

func (w *world) startRuntime() {
	if w.control != nil {
		return
	}
	engine, err := New(Config{Store: w.store, Lease: w.lease, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	engine.newID = func() string { w.born++; return fmt.Sprintf("w%d", w.born) }
	engine.board = newBoard(fmt.Sprint(w.now))
	if !engine.load(context.Background()) {
		panic("the memory store cannot be read")
	}
	w.control = &control{world: w, engine: engine, judge: lease.NewJudge(w.judgeTick()), rate: w.rate(), started: w.now}
	w.control.tick()
	w.control.wake()
}

// pause lets the runtime rest until a time, earlier or later than it does already.
func (c *control) pause(until time.Duration) {
	c.rested += until - max(c.world.now, c.paused)
	c.paused = until
}

// ran is for how long the runtime has run, without its pauses.
func (c *control) ran() time.Duration {
	return c.world.now - c.started - c.rested + max(0, c.paused-c.world.now)
}

// rate is how fast a clock runs.
func (w *world) rate() float64 { return 0.9 + 0.2*w.random.Float64() }

// after makes an event of this runtime: it does not happen when the runtime is gone,
// and later when it is paused.
func (c *control) after(d time.Duration, what string, happen func()) {
	w := c.world
	w.after(d, what, func() {
		switch {
		case w.control != c:
		case w.now < c.paused:
			c.after(c.paused-w.now, what, happen)
		default:
			happen()
			c.attend()
		}
	})
}

// judgeTick is what the judge counts at most between two readings.
func (w *world) judgeTick() time.Duration {
	if w.rules.noOnce {
		return time.Hour
	}
	return lease.Tick(w.lease)
}

// attend does what the planner's loop does: it plans when it is woken.
func (c *control) attend() {
	select {
	case <-c.engine.woken:
		c.wake()
	default:
	}
}

// wake plans soon, sometimes on what is old by then.
func (c *control) wake() {
	w := c.world
	c.after(w.upTo(20*time.Millisecond), "settle", func() {
		if w.chance(50) {
			if err := c.engine.settle(context.Background()); err != nil {
				w.failf("settle: %v", err)
			}
			return
		}
		table := c.engine.board.table()
		if plan := table.Plan(c.engine.cfg.MovesInFlight); len(plan) > 0 {
			c.after(w.upTo(50*time.Millisecond), "carry out an old plan", func() {
				if err := c.engine.carryOut(context.Background(), table, plan); err != nil {
					w.failf("carry out: %v", err)
				}
				c.engine.wake()
			})
		}
	})
}

// tick is one session of the judge. Reading takes its time, and so may the decree.
func (c *control) tick() {
	w := c.world
	interval := time.Duration(float64(lease.Tick(w.lease)) / c.rate)
	c.after(interval, "tick", func() {
		began, ended := c.clock()-w.upTo(interval/8), c.clock()+w.upTo(interval/8)
		times := []time.Duration{began, ended}
		reading, err := c.engine.look(context.Background(), func() time.Duration { now := times[0]; times = times[1:]; return now })
		if err != nil {
			w.failf("look: %v", err)
		}
		decrees := c.judge.Read(reading)
		if len(decrees) == 0 || w.chance(50) {
			c.execute(decrees)
			return
		}
		c.after(w.upTo(w.lease), "a late decree", func() { c.execute(decrees) })
	})
}

func (c *control) execute(decrees []lease.Decree) {
	if err := c.engine.execute(context.Background(), decrees); err != nil {
		c.world.failf("execute: %v", err)
	}
	c.tick()
}

func (c *control) clock() time.Duration {
	return time.Hour + time.Duration(float64(c.world.now-c.started)*c.rate)
}
