package deadline

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sleeper notes when it is woken.
type sleeper struct {
	Entry

	queue *Queue
	woken chan time.Duration
	// then runs after that.
	then func()
}

func (s *sleeper) Wake() {
	s.woken <- s.queue.Now()
	if s.then != nil {
		s.then()
	}
}

// bed is a queue in a bubble of virtual time. The bubble fails the test if a
// goroutine is left when it ends.
type bed struct {
	*testing.T
	queue *Queue
}

func inBubble(t *testing.T, test func(b bed)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(bed{t, NewQueue()}) })
}

func (b bed) sleeper() *sleeper {
	return &sleeper{queue: b.queue, woken: make(chan time.Duration, 10)}
}

func (b bed) set(at time.Duration) *sleeper {
	s := b.sleeper()
	b.queue.Set(&s.Entry, s, at)
	return s
}

// wantWoken checks that s has been woken, once for each of the given times.
func (b bed) wantWoken(s *sleeper, want ...time.Duration) {
	b.Helper()
	synctest.Wait()
	var got []time.Duration
	for len(s.woken) > 0 {
		got = append(got, <-s.woken)
	}
	if !slices.Equal(got, want) {
		b.Errorf("woken at %v, want %v", got, want)
	}
}

// wantAtRest checks that nothing is in the queue and that none of its timers runs.
func (b bed) wantAtRest() {
	b.Helper()
	for i := range b.queue.stripes {
		s := &b.queue.stripes[i]
		s.mu.Lock()
		if first := s.entries.first(); first != nil || s.armed != 0 {
			b.Errorf("the first entry of stripe %d is %+v, and its timer is armed for %v", i, first, s.armed)
		}
		s.mu.Unlock()
	}
}

func TestWakesAtItsTime(t *testing.T) {
	inBubble(t, func(b bed) {
		for _, at := range []time.Duration{2, time.Millisecond, time.Second, 24 * time.Hour} {
			s := b.set(b.queue.Now() + at)
			want := b.queue.Now() + at
			time.Sleep(at - 1)
			b.wantWoken(s)
			time.Sleep(1)
			b.wantWoken(s, want)
		}
		b.wantAtRest()
	})
}

func TestPastWakesAtOnce(t *testing.T) {
	inBubble(t, func(b bed) {
		time.Sleep(time.Minute)
		for _, at := range []time.Duration{-time.Hour, 0, 1, time.Minute} {
			b.wantWoken(b.set(at), time.Minute)
		}
		b.wantAtRest()
	})
}

// At the very start of a queue, zero is not yet over.
func TestZeroAtTheStart(t *testing.T) {
	inBubble(t, func(b bed) {
		s := b.set(0)
		time.Sleep(1)
		b.wantWoken(s, 1)
	})
}

// An entry may be due before all that are set already, in any stripe.
func TestEarlierThanArmed(t *testing.T) {
	inBubble(t, func(b bed) {
		var sleepers []*sleeper
		for i := range 100 {
			sleepers = append(sleepers, b.set(time.Duration(100-i)*time.Second))
		}
		time.Sleep(time.Hour)
		for i, s := range sleepers {
			b.wantWoken(s, time.Duration(100-i)*time.Second)
		}
		b.wantAtRest()
	})
}

func TestWakesInOrder(t *testing.T) {
	inBubble(t, func(b bed) {
		const entries = 1000
		order := make(chan int, entries)
		for _, i := range rand.Perm(entries) {
			s := b.sleeper()
			s.then = func() { order <- i }
			b.queue.Set(&s.Entry, s, time.Duration(i+1)*time.Microsecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for want := range entries {
			if got := <-order; got != want {
				b.Fatalf("entry %d was woken as number %d", got, want)
			}
		}
	})
}

func TestStop(t *testing.T) {
	inBubble(t, func(b bed) {
		s := b.sleeper()
		if b.queue.Stop(&s.Entry) {
			b.Error("an entry that was never set was stopped")
		}
		b.queue.Set(&s.Entry, s, time.Second)
		if !b.queue.Stop(&s.Entry) {
			b.Error("an entry that is set was not stopped")
		}
		if b.queue.Stop(&s.Entry) {
			b.Error("an entry was stopped twice")
		}
		time.Sleep(time.Minute)
		b.wantWoken(s)

		b.queue.Set(&s.Entry, s, 2*time.Minute) // an entry can be set again
		time.Sleep(time.Minute)
		b.wantWoken(s, 2*time.Minute)
		if b.queue.Stop(&s.Entry) {
			b.Error("an entry was stopped after it had been woken")
		}
		b.wantAtRest()
	})
}

// The timer of an entry that was stopped may ring for nothing, and then sleeps
// until the next one.
func TestStopOfTheFirst(t *testing.T) {
	inBubble(t, func(b bed) {
		var first, second []*sleeper
		for range 10 * stripes {
			first = append(first, b.set(time.Second))
			second = append(second, b.set(time.Minute))
		}
		for _, s := range first {
			if !b.queue.Stop(&s.Entry) {
				b.Error("not stopped")
			}
		}
		time.Sleep(time.Minute)
		for i := range first {
			b.wantWoken(first[i])
			b.wantWoken(second[i], time.Minute)
		}
		b.wantAtRest()
	})
}

// Who is woken may set itself again, as an activation does that was used meanwhile,
// and stop others.
func TestSetAndStopWhileWaking(t *testing.T) {
	inBubble(t, func(b bed) {
		other := b.set(10 * time.Second)
		s := b.sleeper()
		s.then = func() {
			if b.queue.Now() < 5*time.Second {
				b.queue.Set(&s.Entry, s, b.queue.Now()+time.Second)
				return
			}
			b.queue.Stop(&other.Entry)
		}
		b.queue.Set(&s.Entry, s, time.Second)
		time.Sleep(time.Minute)
		b.wantWoken(s, 1*time.Second, 2*time.Second, 3*time.Second, 4*time.Second, 5*time.Second)
		b.wantWoken(other)
		b.wantAtRest()
	})
}

// Many entries at random times, many of them stopped at random times: whoever was
// not stopped is woken once, at its time.
func TestManyEntries(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run("", func(t *testing.T) {
			inBubble(t, func(b bed) { manyEntries(b, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func manyEntries(b bed, random *rand.Rand) {
	const entries = 10_000
	sleepers := make([]*sleeper, entries)
	wanted := make([]time.Duration, entries) // 0 for one that was stopped
	for i := range entries {
		if random.IntN(4) == 0 {
			time.Sleep(time.Duration(random.IntN(int(10 * time.Millisecond))))
		}
		// Few different times, so that many are due together.
		wanted[i] = b.queue.Now() + time.Duration(1+random.IntN(1000))*time.Millisecond
		sleepers[i] = b.set(wanted[i])
		if other := random.IntN(i + 1); random.IntN(3) == 0 && b.queue.Stop(&sleepers[other].Entry) {
			wanted[other] = 0
		}
	}
	time.Sleep(time.Hour)
	for i, s := range sleepers {
		if wanted[i] == 0 {
			b.wantWoken(s)
		} else {
			b.wantWoken(s, wanted[i])
		}
	}
	b.wantAtRest()
}

// In real time, and from many goroutines: an entry is stopped or woken, never both
// and never neither.
func TestStoppedOrWoken(t *testing.T) {
	t.Parallel()
	const callers, rounds = 8, 2000
	queue := NewQueue()
	var stopped atomic.Int32
	var calls sync.WaitGroup
	for caller := range callers {
		calls.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 0))
			s := &sleeper{queue: queue, woken: make(chan time.Duration, 10)}
			for range rounds {
				at := queue.Now() + time.Duration(random.IntN(20_000))
				queue.Set(&s.Entry, s, at)
				if random.IntN(2) == 0 {
					for end := at + time.Duration(random.IntN(2000)); queue.Now() < end; { //nolint:revive // spins: a timer is too coarse to meet the race
					}
				}
				if queue.Stop(&s.Entry) {
					stopped.Add(1)
				} else if woken := <-s.woken; woken < at {
					t.Errorf("woken at %v, before its time %v", woken, at)
				}
				if len(s.woken) > 0 {
					t.Error("woken again")
				}
			}
		})
	}
	calls.Wait()
	t.Logf("%d of %d were stopped", stopped.Load(), callers*rounds)
}
