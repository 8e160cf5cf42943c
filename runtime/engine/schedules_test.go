package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/schedule"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/race"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// calendar is weeks of alarms and jobs on a real engine: workers die, leave and lose
// answers, runtimes start anew, and the clock of the store jumps. It counts what takes
// effect.
type calendar struct {
	t      *testing.T
	store  *memory.Store
	offset atomic.Int64
	// engine is the one that runs now.
	engine atomic.Pointer[harness]
	over   atomic.Bool
	// jumped is when the clock of the store has jumped last.
	jumped atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
	// effects counts the records that were applied, by task and its time.
	effects map[string]map[time.Time]int
	calm    bool
	deaths  int
	wait    sync.WaitGroup
}

func (c *calendar) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())).UTC() }

// chance is true in so many of a thousand cases, in trouble.
func (c *calendar) chance(permille int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.calm && c.random.IntN(1000) < permille
}

func (c *calendar) upTo(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.random.Int64N(int64(d)))
}

// startEngine runs an engine in the place of the one before.
func (c *calendar) startEngine() {
	if before := c.engine.Load(); before != nil {
		if err := before.stop(); err != nil {
			c.t.Error(err)
		}
	}
	c.engine.Store(start(c.t, Config{Store: c.store, Lease: time.Minute}))
}

// employ has a worker join, and another one in its place whenever it is over.
func (c *calendar) employ() {
	c.wait.Go(func() {
		for !c.over.Load() {
			c.work()
		}
	})
}

// work is the life of one worker.
func (c *calendar) work() {
	h := c.engine.Load()
	membership, err := h.Admit(c.t.Context())
	if err != nil {
		deadline.Sleep(c.t.Context(), time.Second)
		return
	}
	id, leaves := membership.WorkerID, false
	worker := func() *Worker { return c.engine.Load().Worker(id) }
	if _, err := worker().Announce(c.t.Context(), announcement(id+":1", "cart")); err != nil {
		return
	}
	session, renewed := "", time.Now()
	var late []*runtimev1.Delivery
	for !leaves && !c.over.Load() {
		if time.Since(renewed) > 10*time.Second {
			if answer, err := worker().Renew(c.t.Context(), &runtimev1.RenewRequest{}); err == nil && answer.GetDead() {
				return
			}
			renewed = time.Now()
		}
		res, err := worker().Receive(c.t.Context(), &runtimev1.ReceiveRequest{Session: session, Capacity: 8})
		if session = res.GetSession(); err != nil || c.chance(20) {
			// It gets all that again, and runs what it has as well, later.
			session, late = "", res.GetDeliveries()
			deadline.Sleep(c.t.Context(), time.Second)
			continue
		}
		for _, delivery := range res.GetDeliveries() {
			c.check(delivery)
		}
		deliveries := append(res.GetDeliveries(), late...)
		late = nil
		for _, delivery := range deliveries {
			if c.chance(15) { // it is never heard of again
				c.mu.Lock()
				c.deaths++
				c.mu.Unlock()
				return
			}
			c.run(worker, delivery)
		}
		if leaves = c.chance(2); leaves {
			_, _ = worker().Leave(c.t.Context(), &runtimev1.LeaveRequest{})
		}
	}
}

// check holds that nothing is early. A clock that has jumped is noticed with the next read
// of what is due.
func (c *calendar) check(delivery *runtimev1.Delivery) {
	if time.Now().UnixNano()-c.jumped.Load() < int64(time.Minute) {
		return
	}
	s := delivery.GetTask()
	if due := s.GetDue().AsTime(); due.After(c.now()) || s.GetScheduled().AsTime().After(due) {
		c.t.Errorf("%v is %v early; it is scheduled for %v", s.GetTask().GetKey(), due.Sub(c.now()), s.GetScheduled().AsTime())
	}
}

// run completes a delivery, or lets it fail. The answer is lost now and then, and the record
// sent again.
func (c *calendar) run(worker func() *Worker, delivery *runtimev1.Delivery) {
	key := delivery.GetTask().GetTask().GetKey()
	actor := &runtimev1.Actor{Type: key.GetType(), Id: key.GetId()}
	deadline.Sleep(c.t.Context(), c.upTo(100*time.Millisecond))
	if c.chance(30) {
		_, _ = worker().Settle(c.t.Context(), &runtimev1.SettleRequest{Settlements: []*runtimev1.Settlement{{
			Key: key, Revision: delivery.GetTask().GetRevision(), Fence: delivery.GetFence(),
			End: &runtimev1.Settlement_Failed{Failed: &runtimev1.Failure{Error: "boom"}},
		}}})
		return
	}
	loaded, err := worker().Load(c.t.Context(), &runtimev1.LoadRequest{Reads: []*runtimev1.LoadRequest_Read{{Actor: actor, Fence: delivery.GetFence()}}})
	if err != nil || loaded.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
		return
	}
	record := &runtimev1.Record{
		Actor: actor, Fence: delivery.GetFence(), Message: "m", Data: []byte("s"),
		Base: loaded.GetResults()[0].GetState().GetIdentity(), Identity: &runtimev1.Identity{Activation: rand.Uint64() | 1, Sequence: 1},
		Completes: &runtimev1.Completion{Key: key, Revision: delivery.GetTask().GetRevision()},
	}
	for again := true; again; {
		again = c.chance(100)
		answer, err := worker().Commit(c.t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{record}})
		if err == nil && answer.GetResults()[0].GetVerdict() == runtimev1.Verdict_VERDICT_APPLIED {
			c.took(delivery.GetTask())
		}
	}
}

func (c *calendar) took(s *runtimev1.ScheduledTask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := store.KeyOf(s.GetTask().GetKey()).Name
	if c.effects[name] == nil {
		c.effects[name] = map[time.Time]int{}
	}
	c.effects[name][s.GetScheduled().AsTime()]++
}

// disturb starts the runtime anew, or has the clock of the store jump, now and then.
func (c *calendar) disturb(days int) {
	for range days * 24 {
		time.Sleep(time.Hour)
		if c.chance(30) {
			c.startEngine()
		}
		if c.chance(20) {
			c.jumped.Store(time.Now().UnixNano())
			c.offset.Add(int64(c.upTo(20*time.Minute) - 10*time.Minute))
		}
	}
}

// Over weeks in which clocks are put forward and back, alarms and jobs are never early and
// never lost, and each of their times takes effect once.
func TestSchedulesOverWeeks(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]time.Time{
		"spring": time.Date(2026, time.March, 5, 17, 3, 0, 0, time.UTC),    // New York on the 8th, Rome on the 29th
		"autumn": time.Date(2026, time.October, 20, 17, 3, 0, 0, time.UTC), // Rome on the 25th, New York on the 1st
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { overWeeks(t, begin) })
		})
	}
}

func overWeeks(t *testing.T, begin time.Time) {
	c := &calendar{t: t, random: rand.New(rand.NewPCG(uint64(begin.Unix()), 4)), effects: map[string]map[time.Time]int{}}
	c.offset.Store(int64(time.Until(begin)))
	c.store = memory.NewAt(c.now)
	days := 26
	if testing.Short() || race.Enabled {
		days = 8
	}
	c.startEngine()
	for range 3 {
		c.employ()
	}
	timings := map[string]*runtimev1.Timing{}
	end := begin.Add(time.Duration(days)*24*time.Hour - 3*time.Hour)
	for name, timing := range map[string]*runtimev1.Timing{
		"Rome":     {Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "30 2 * * *", TimeZone: "Europe/Rome"}}},
		"New York": {Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "30 1,2 * * *", TimeZone: "America/New_York"}}},
		"quarters": {Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "*/15 * * * *", TimeZone: "Europe/Rome"}}},
		"days":     {Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Days: 1, TimeZone: "Europe/Rome"}}},
		"hours":    {Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(7 * time.Hour)}}},
	} {
		timing.First = &runtimev1.Timing_At{At: timestamppb.New(begin)}
		timing.Until, timing.Missed = timestamppb.New(end), runtimev1.Missed_MISSED_CATCH_UP
		timings[name] = timing
	}
	for i := range days {
		at := begin.Add(time.Duration(i)*24*time.Hour - time.Duration(i)*time.Hour)
		timings[fmt.Sprint("once", i)] = &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}}
	}
	setter := c.engine.Load().admit()
	for _, name := range slices.Sorted(maps.Keys(timings)) {
		task := job(fmt.Sprint("actor", len(name)), name, timings[name])
		task.Retry.Attempts = 1000
		setter.set(task)
	}
	c.disturb(days)
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	time.Sleep(3 * time.Hour)
	for name, timing := range timings {
		c.compare(name, timing, begin)
	}
	t.Logf("%d workers died; effects of %d tasks", c.deaths, len(c.effects))
	c.over.Store(true)
	c.wait.Wait()
}

// compare holds that each time of a task took effect once, and nothing else.
func (c *calendar) compare(name string, timing *runtimev1.Timing, begin time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := map[time.Time]int{}
	first, ok := schedule.First(timing, begin)
	for at := first; ok; at, ok = schedule.Next(timing, first, at, at) {
		want[at] = 1
	}
	if got := c.effects[name]; !maps.Equal(got, want) {
		c.t.Errorf("%s took effect at %d times, want %d:\n%v\nwant\n%v", name, len(got), len(want), got, want)
	}
}
