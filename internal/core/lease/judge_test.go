package lease_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/core/lease"
)

const tick = 250 * time.Millisecond

// court is a judge of one worker with a lease of 5 s, read once a tick.
type court struct {
	judge *lease.Judge
	now   time.Duration
}

func newCourt() *court { return &court{judge: lease.NewJudge(tick), now: 1000 * second} }

// read lets time pass and returns whether the worker is to be declared dead.
func (c *court) read(passed time.Duration, beat uint64) bool {
	c.now += passed
	sign := lease.Sign{Worker: "w", Beat: beat, Lease: 5 * second}
	return len(c.judge.Read(lease.Reading{Began: c.now, Ended: c.now, Signs: []lease.Sign{sign}})) > 0
}

// until is after how much time of reading one beat the worker is to be declared
// dead.
func (c *court) until(step time.Duration, beat uint64) time.Duration {
	start := c.now
	for !c.read(step, beat) {
	}
	return c.now - start
}

func TestJudgeCountsLeaseAndMargin(t *testing.T) {
	t.Parallel()
	c := newCourt()
	c.read(0, 0)
	if got := c.until(tick, 0); got != 5500*time.Millisecond {
		t.Errorf("dead after %v, want 5.5s", got)
	}
	if !c.read(tick, 0) {
		t.Error("the decree is not repeated")
	}
	if c.read(tick, 1) {
		t.Error("dead in spite of a new beat")
	}
	if got := c.until(tick, 1); got != 5500*time.Millisecond {
		t.Errorf("dead %v after the new beat, want 5.5s", got)
	}
}

func TestJudgeCountsALateTickOnce(t *testing.T) {
	t.Parallel()
	c := newCourt()
	c.read(0, 7)
	if c.read(time.Hour, 7) {
		t.Fatal("dead after a pause of the judge")
	}
	if got := c.until(tick, 7); got != 5250*time.Millisecond {
		t.Errorf("dead %v after the pause, want 5.25s: the pause counts one tick", got)
	}
}

func TestJudgeCountsEarlyTicksForWhatTheyAre(t *testing.T) {
	t.Parallel()
	c := newCourt()
	c.read(0, 7)
	if got := c.until(tick/10, 7); got != 5500*time.Millisecond {
		t.Errorf("dead after %v, want 5.5s however often the beats are read", got)
	}
}

func TestJudgeStartsAtZero(t *testing.T) {
	t.Parallel()
	for name, beat := range map[string]uint64{"beat 0": 0, "beat 9": 9} {
		if c := newCourt(); c.read(0, beat) || c.until(tick, beat) != 5500*time.Millisecond {
			t.Errorf("%s: a new judge does not start at zero", name)
		}
	}
}

// A worker's beat may have been read at the very end of a reading.
func TestJudgeLeavesOutTheFirstReading(t *testing.T) {
	t.Parallel()
	judge := lease.NewJudge(tick)
	sign := []lease.Sign{{Worker: "w", Beat: 1, Lease: 2 * second}}
	judge.Read(lease.Reading{Began: 0, Ended: 2 * second, Signs: sign})
	for now := tick; now < 4200*time.Millisecond; now += tick {
		if len(judge.Read(lease.Reading{Began: now, Ended: now + second, Signs: sign})) > 0 {
			t.Fatalf("dead at %v, 2.2s after the end of the first reading is 4.2s", now)
		}
	}
	if len(judge.Read(lease.Reading{Began: 4250 * time.Millisecond, Signs: sign})) == 0 {
		t.Error("not dead at 4.25s")
	}
}

func TestJudgeOfManyLeases(t *testing.T) {
	t.Parallel()
	judge := lease.NewJudge(tick)
	signs := []lease.Sign{{Worker: "slow", Lease: 60 * second}, {Worker: "b", Lease: 2 * second}, {Worker: "a", Lease: 2 * second}}
	var got []lease.Decree
	now := time.Duration(0)
	for ; len(got) == 0; now += tick {
		got = judge.Read(lease.Reading{Began: now, Ended: now, Signs: signs})
	}
	if want := []lease.Decree{{Worker: "a"}, {Worker: "b"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("decrees %v at %v, want %v", got, now, want)
	}
	judge.Read(lease.Reading{Began: now, Ended: now, Signs: signs[:1]}) // the two are gone
	if got := judge.Read(lease.Reading{Began: now, Ended: now, Signs: signs}); got != nil {
		t.Errorf("decrees %v for workers that were not watched", got)
	}
}

// Whatever the ticks: the judge never counts more than has passed.
func TestJudgeIsNeverHasty(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		c := newCourt()
		c.read(0, 1)
		start := c.now
		for !c.read(time.Duration(random.ExpFloat64()*float64(tick)), 1) {
		}
		if passed := c.now - start; passed < 5500*time.Millisecond {
			t.Fatalf("seed %d: dead after %v", seed, passed)
		}
	}
}

// The two sides of a lease, at the extremes of their clocks: the worker has stopped
// before the judge decrees, and a worker that was killed is dead within lease and a
// second.
func TestBothSides(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{lease.Min, lease.Default, lease.Max} {
		runs := float64(lease.Span(d)) / 0.9
		judged := float64(d+lease.Margin(d)) / 1.1
		if runs >= judged {
			t.Errorf("lease %v: the worker runs for %v, the judge counts %v", d, time.Duration(runs), time.Duration(judged))
		}
	}
	if longest := lease.Default + lease.Margin(lease.Default) + 2*lease.Tick(lease.Default); longest > lease.Default+time.Second {
		t.Errorf("failover takes up to %v", longest)
	}
}

func BenchmarkJudge(b *testing.B) {
	judge := lease.NewJudge(tick)
	signs := make([]lease.Sign, 1000)
	for i := range signs {
		signs[i] = lease.Sign{Worker: string(rune('a'+i%26)) + time.Duration(i).String(), Beat: 1, Lease: time.Hour}
	}
	b.ReportAllocs()
	for i := range b.N {
		now := time.Duration(i) * time.Millisecond
		judge.Read(lease.Reading{Began: now, Ended: now, Signs: signs})
	}
}
