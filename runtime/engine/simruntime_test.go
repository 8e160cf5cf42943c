package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/runtime/store"
)

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
	// watchers wait for a change of the table, which closes changed.
	watchers []watcher
	changed  <-chan struct{}
}

// watcher is a Watch that waits. Its session has one at a time.
type watcher struct {
	session *session
	cursor  string
	answer  func(*runtimev1.WatchResponse, error)
}

func (w *world) startRuntime() {
	if w.control != nil {
		return
	}
	w.store.reopen()
	engine, err := New(Config{Store: w.store, Lease: w.lease, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.failf("start the runtime: %v", err)
		return
	}
	engine.newID = func() string { w.joined++; return fmt.Sprintf("w%d", w.joined) }
	engine.board = newBoard(fmt.Sprint(w.now))
	c := &control{world: w, engine: engine, judge: w.newJudge(engine), rate: w.rate(), started: w.now}
	w.control = c
	c.load()
	c.tick()
	w.afterOf(c, sweepInterval, "sweep", c.sweep)
}

// newJudge is the judge of a runtime that starts.
func (w *world) newJudge(engine *Engine) *lease.Judge {
	tick := lease.Tick(w.lease)
	if w.off.noOnce {
		tick = time.Hour
	}
	judge := lease.NewJudge(tick)
	if w.off.noGrace {
		members, _ := w.store.Workers(context.Background()) // memory does not fail
		for at := time.Duration(0); at < w.lease; at += tick {
			judge.Read(lease.Reading{Began: at, Ended: at, Signs: engine.signs(members)})
		}
	}
	return judge
}

// crash ends the runtime, and lets it start again.
func (w *world) crash(away time.Duration) {
	w.control = nil
	w.after(away, "start the runtime", w.startRuntime)
}

// at implements subject.
func (c *control) at(time.Duration) (bool, time.Duration) { return c.world.control == c, c.paused }

func (c *control) String() string { return theRuntime }

// pause lets the runtime rest, also longer than it does already.
func (c *control) pause(d time.Duration) {
	until := max(c.paused, c.world.now+d)
	c.rested += until - max(c.world.now, c.paused)
	c.paused = until
}

// ran is for how long the runtime has run, without its pauses.
func (c *control) ran() time.Duration {
	return c.world.now - c.started - c.rested + max(0, c.paused-c.world.now)
}

func (c *control) clock() time.Duration {
	return time.Hour + time.Duration(float64(c.world.now-c.started)*c.rate)
}

// serve runs a request that has arrived.
func (c *control) serve(what string, request func()) {
	if c.paused > c.world.now {
		c.world.afterOf(c, 0, "serves: "+what, request)
		return
	}
	request()
	c.attend()
}

// attend does what waits for a change: it wakes the planner, and answers who watches.
func (c *control) attend() {
	if c.world.control != c {
		return
	}
	select {
	case <-c.engine.woken:
		c.plan(c.world.upTo(20 * time.Millisecond))
	default:
	}
	select {
	case <-c.changed:
		c.answerWatchers()
	default:
	}
}

// load reads the store, and again until it can.
func (c *control) load() {
	w := c.world
	if !c.engine.load(context.Background()) {
		w.afterOf(c, retryInterval, "reads the store again", c.load)
		return
	}
	c.changed = c.engine.board.changed
	c.plan(w.upTo(20 * time.Millisecond))
}

// loaded reports whether the store was read.
func (c *control) loaded() bool { return c.changed != nil }

// plan settles the placement soon, sometimes on what is old by then.
func (c *control) plan(d time.Duration) {
	w := c.world
	w.afterOf(c, d, "settle", func() {
		if w.chance(500) {
			c.settled(c.engine.settle(context.Background()))
			return
		}
		table := c.engine.board.table()
		plan := table.Plan(c.engine.cfg.MovesInFlight)
		if len(plan) == 0 && !c.engine.doubtful.Load() {
			return
		}
		w.afterOf(c, w.upTo(50*time.Millisecond), "carry out an old plan", func() {
			if len(plan) > 0 {
				if err := c.engine.carryOut(context.Background(), table, plan); err != nil {
					c.settled(err)
					return
				}
			}
			c.settled(c.engine.settle(context.Background()))
		})
	})
}

// settled tries again what has failed, after what is old has been read anew.
func (c *control) settled(err error) {
	if err != nil {
		c.engine.doubtful.Store(true)
		c.plan(retryInterval)
	}
}

// tick is one session of the judge. Reading takes its time, and so may the decree.
func (c *control) tick() {
	w := c.world
	interval := time.Duration(float64(lease.Tick(w.lease)) / c.rate)
	w.afterOf(c, interval, "tick", func() {
		began, ended := c.clock()-w.upTo(interval/8), c.clock()+w.upTo(interval/8)
		times := []time.Duration{began, ended}
		reading, err := c.engine.look(context.Background(), func() time.Duration { now := times[0]; times = times[1:]; return now })
		if err != nil || !c.loaded() {
			c.tick()
			return
		}
		decrees := c.judge.Read(reading)
		if len(decrees) == 0 || w.chance(500) {
			c.execute(decrees)
			return
		}
		w.afterOf(c, w.upTo(w.lease), "a late decree", func() { c.execute(decrees) })
	})
}

func (c *control) execute(decrees []lease.Decree) {
	_ = c.engine.execute(context.Background(), decrees) // which notes the doubt; a decree is repeated
	c.tick()
}

// sweep lets the store forget.
func (c *control) sweep() {
	for more := true; more; {
		more, _ = c.engine.store.Forget(context.Background(), remember) // it is tried again
	}
	c.world.afterOf(c, sweepInterval, "sweep", c.sweep)
}

// watch is a Watch: it waits for a change after the cursor.
func (c *control) watch(s *session, cursor string, mark []byte, answer func(*runtimev1.WatchResponse, error)) {
	if err := c.engine.believe(context.Background(), mark); err != nil {
		answer(nil, c.engine.coded(s.id, err))
		return
	}
	c.watchers = slices.DeleteFunc(c.watchers, func(w watcher) bool { return w.session == s })
	if w := (watcher{s, cursor, answer}); !c.loaded() || !c.inform(w) {
		c.watchers = append(c.watchers, w)
	}
}

// answerWatchers answers those who have something to learn.
func (c *control) answerWatchers() {
	c.changed = c.engine.board.changed
	c.watchers = slices.DeleteFunc(c.watchers, c.inform)
}

// inform answers a watcher if there is something to tell, and reports whether it did.
func (c *control) inform(w watcher) bool {
	if c.engine.board.gone(w.session.id) {
		w.answer(nil, c.engine.coded(w.session.id, store.ErrDead))
		return true
	}
	change, _ := c.engine.board.since(w.cursor)
	if change == nil {
		return false
	}
	now, _ := c.world.store.Cluster(context.Background()) // memory does not fail
	change.Mark = c.engine.marks.seal(now.Point())
	w.answer(change, nil)
	return true
}
