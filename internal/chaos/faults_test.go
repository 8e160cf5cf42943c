//go:build unix

package chaos

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/sdk"
)

const (
	actors  = 50
	clients = 20
)

// faults runs what it is given while clients call, until it has returned and the time of
// the form is over, and checks what they saw.
func faults(t *testing.T, l *load, do func(ctx context.Context, random *rand.Rand)) {
	t.Helper()
	e := efforts(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { l.run(loading, 1<<40) })
	began := time.Now()
	rest(ctx, time.Second)
	do(ctx, rand.New(rand.NewPCG(1, 2)))
	rest(ctx, e.lasts-time.Since(began))
	stop()
	work.Wait()
	report(t, l)
}

// report checks and logs a run.
func report(t *testing.T, l *load) {
	t.Helper()
	l.check(t)
	if l.tally.ok < 100 {
		t.Errorf("%d operations succeeded, which proves nothing", l.tally.ok)
	}
	t.Log(&l.tally)
}

func newLoad(c *cluster) *load { return &load{cluster: c, actors: actors, clients: clients} }

// T1: without faults every operation succeeds, and the history is linearizable.
func TestT1NoFaults(t *testing.T) {
	l := newLoad(start(t, 3))
	l.run(t.Context(), efforts(t).operations)
	report(t, l)
	if l.tally.failed+l.tally.unknown > 0 {
		t.Errorf("%d operations failed and %d are unknown, without any fault", l.tally.failed, l.tally.unknown)
	}
}

// T2: workers are killed and come back.
func TestT2KillWorkers(t *testing.T) {
	c := start(t, 3)
	l := newLoad(c)
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for range efforts(t).kills {
			w := c.workers[random.IntN(len(c.workers))]
			w.current().kill()
			rest(ctx, time.Second)
			w.start()
			w.awaitReady()
			rest(ctx, 2*time.Second)
		}
	})
	if most := lease + 3*time.Second; l.tally.quantile(0.99) > most {
		t.Errorf("p99 is %v, want at most %v", l.tally.quantile(0.99), most)
	}
}

// T3: the runtime is killed and comes back. Nobody is placed anew (G13): an actor that
// answers before and after does so from one activation.
func TestT3KillRuntime(t *testing.T) {
	c := start(t, 2)
	l := newLoad(c)
	l.keyed = true
	before := activations(t, c)
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for range efforts(t).kills {
			c.current().kill()
			c.startRuntime()
			rest(ctx, time.Duration(200+random.IntN(1000))*time.Millisecond)
			for actor, activation := range activations(t, c) {
				if before[actor] != activation {
					t.Errorf("%s was activated anew after the runtime was killed", actor)
				}
			}
		}
	})
	if l.tally.failed+l.tally.unknown > 0 {
		t.Errorf("%d calls failed and %d are unknown, although each had a key", l.tally.failed, l.tally.unknown)
	}
}

// activations asks the actors of a few ids which activation they are.
func activations(t *testing.T, c *cluster) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	for _, id := range []string{"steady 1", "steady 2", "steady 3"} {
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		res, err := chaosv1francis.NewRegisterActorProxy(sdk.Gateway(http.DefaultClient, "http://"+c.workers[0].gateway), id).
			Add(ctx, &chaosv1.AddRequest{In: 1})
		cancel()
		if err != nil {
			t.Error(err)
		}
		found[id] = res.GetActivation()
	}
	return found
}

// T4: workers are stopped for a part of their lease or much longer, also in the middle of
// a turn, and go on.
func TestT4PauseWorkers(t *testing.T) {
	c := start(t, 3)
	l := newLoad(c)
	l.pause = 50 * time.Millisecond
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for i := range efforts(t).kills {
			factor := []float64{0.5, 3, 0.9, 1.1}[i%4]
			w := c.workers[random.IntN(len(c.workers))]
			w.current().pause(ctx, time.Duration(factor*float64(lease)))
			rest(ctx, 500*time.Millisecond)
		}
	})
}

// T6: links are cut, both ways or one way, refused, and flap.
func TestT6Partitions(t *testing.T) {
	c := start(t, 3)
	l := newLoad(c)
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		links := []*link{c.front}
		for _, w := range c.workers {
			links = append(links, w.peers)
		}
		for i := range 2 * efforts(t).kills {
			cutOff := links[random.IntN(len(links))]
			cutOff.set([]cut{silent, refused, deaf, mute}[i%4])
			rest(ctx, time.Duration(200+random.IntN(int(2*lease/time.Millisecond)))*time.Millisecond)
			cutOff.set(whole)
			rest(ctx, time.Second)
		}
		for range 20 {
			c.front.set(refused)
			rest(ctx, 20*time.Millisecond)
			c.front.set(whole)
			rest(ctx, 50*time.Millisecond)
		}
	})
	if l.tally.longest > callTimeout+time.Second {
		t.Errorf("a call took %v; it had %v", l.tally.longest, callTimeout)
	}
}

// T18: every process is restarted, one after the other, as an upgrade does; with keys and
// the proxies' retries no call fails, and none takes effect twice.
func TestT18RollingRestart(t *testing.T) {
	c := start(t, 3)
	l := newLoad(c)
	l.keyed = true
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		for range max(1, efforts(t).kills/6) {
			for _, w := range c.workers {
				w.current().stop(t)
				w.start()
				w.awaitReady()
			}
			c.current().stop(t)
			c.startRuntime()
		}
	})
	if l.tally.failed+l.tally.unknown > 0 {
		t.Errorf("%d calls failed and %d are unknown: %q", l.tally.failed, l.tally.unknown, l.tally.errors)
	}
}

// T25: a method that kills its worker, panics or hangs harms its own actor only.
func TestT25PoisonedActors(t *testing.T) {
	c := start(t, 2)
	l := newLoad(c)
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		for _, harm := range []chaosv1.BreakRequest_Harm{chaosv1.BreakRequest_HARM_PANIC, chaosv1.BreakRequest_HARM_HANG, chaosv1.BreakRequest_HARM_EXIT} {
			call, cancel := context.WithTimeout(ctx, 2*time.Second)
			began := time.Now()
			_, err := chaosv1francis.NewRegisterActorProxy(sdk.Gateway(http.DefaultClient, "http://"+c.workers[0].gateway), "poisoned "+harm.String()).
				Break(call, &chaosv1.BreakRequest{Harm: harm}, sdk.WithoutRetries())
			cancel()
			if took := time.Since(began); err == nil || took > 3*time.Second {
				t.Errorf("%v: the call ended after %v with %v", harm, took, err)
			}
		}
		for _, w := range c.workers {
			select {
			case <-w.current().ended:
				w.start()
				w.awaitReady()
			default:
			}
		}
	})
}
