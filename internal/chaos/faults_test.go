//go:build unix

package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/internal/failpoint"
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
	ctx, cancel := context.WithTimeout(l.cluster.ctx, 30*time.Minute)
	defer cancel()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { l.run(loading, 1<<40) })
	began := time.Now()
	rest(ctx, time.Second)
	do(ctx, rand.New(rand.NewPCG(1, 2)))
	rest(ctx, max(e.lasts-time.Since(began), time.Second))
	stop()
	work.Wait()
	check(t, l)
}

// check judges a run.
func check(t *testing.T, l *load) {
	t.Helper()
	l.check(t)
	if l.tally.ok < 100 {
		t.Errorf("%d operations succeeded, which proves nothing", l.tally.ok)
	}
}

// allOK wants every operation to have succeeded.
func allOK(t *testing.T, l *load, why string) {
	t.Helper()
	if l.tally.failed+l.tally.unknown > 0 {
		t.Errorf("%d operations failed and %d are unknown, %s: %q", l.tally.failed, l.tally.unknown, why, l.tally.errors)
	}
}

// recovered wants actors to answer again within a time after each of the moments, in 99
// of 100 cases, and says how long it took.
func recovered(t *testing.T, l *load, moments []time.Duration, within time.Duration) time.Duration {
	t.Helper()
	took := l.recovery(moments)
	p99 := quantile(0.99, took)
	if most := within + leeway(t); p99 > most || len(took) < actors {
		t.Errorf("of %d times an actor took %v (p99) to answer again, want at most %v", len(took), p99, most)
	}
	return p99.Round(time.Millisecond)
}

// T1: without faults every operation succeeds, and the history is linearizable.
func TestT1NoFaults(t *testing.T) { noFaults(start(t, 3)) }

func TestT1NoFaultsTwoRuntimes(t *testing.T) {
	noFaults(launch(t, setup{topology: twoRuntimes, workers: 3}))
}

func noFaults(c *cluster) {
	l := newLoad(c)
	l.run(c.ctx, efforts(c.t).operations)
	check(c.t, l)
	allOK(c.t, l, "without any fault")
	c.show("none", l.tally.String())
}

// T2: workers are killed and come back.
func TestT2KillWorkers(t *testing.T)            { killWorkers(start(t, 3)) }
func TestT2KillWorkersTwoRuntimes(t *testing.T) { killWorkers(startTwo(t, 3)) }

func killWorkers(c *cluster) {
	l := newLoad(c)
	var kills []time.Duration
	faults(c.t, l, func(ctx context.Context, random *rand.Rand) {
		for range efforts(c.t).kills {
			w := c.workers[random.IntN(len(c.workers))]
			w.current().kill()
			kills = append(kills, l.now())
			rest(ctx, time.Second)
			w.restart()
			rest(ctx, 2*time.Second)
		}
	})
	p99 := recovered(c.t, l, kills, lease+3*time.Second)
	c.show(fmt.Sprintf("`kill -9` of workers, %d times", len(kills)), fmt.Sprintf("%v; actors answer again after %v (p99)", &l.tally, p99))
}

// T3: a runtime is killed and comes back. Nobody is placed anew (G13): an actor that answers
// before and after does so from one activation. Of two, they are killed in turn, and each
// stays away for a lease: the workers go on with the other one.
func TestT3KillRuntime(t *testing.T)             { killRuntimes(start(t, 2), 0) }
func TestT3KillRuntimesTwoRuntimes(t *testing.T) { killRuntimes(startTwo(t, 3), lease) }

func killRuntimes(c *cluster, absence time.Duration) {
	t, l := c.t, newLoad(c)
	l.keyed = true
	c.awaitSpread()
	before := activations(t, c)
	var away []time.Duration
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for i := range efforts(c.t).kills {
			r := c.runtimes[i%len(c.runtimes)]
			r.current().kill()
			rest(ctx, absence)
			if absence > 0 {
				c.wantActivations(before) // the other runtime serves
			}
			began := time.Now()
			r.start()
			away = append(away, time.Since(began))
			rest(ctx, time.Duration(200+random.IntN(1000))*time.Millisecond)
			c.wantActivations(before)
		}
	})
	allOK(t, l, "although each had a key")
	backWithin(t, away)
	c.wantNoDeath()
	c.checkIntegrity()
	c.show(fmt.Sprintf("`kill -9` of the runtime, %d times; every call has a key (G7, G13)", len(away)),
		fmt.Sprintf("%v; back after %v at most; no actor activated anew", &l.tally, quantile(1, away).Round(time.Millisecond)))
}

// wantActivations wants the steady actors to be in the activations that they were in.
func (c *cluster) wantActivations(before map[string]uint64) {
	c.t.Helper()
	for actor, activation := range activations(c.t, c) {
		if before[actor] != activation {
			c.t.Errorf("%s was activated anew", actor)
		}
	}
}

// wantNoDeath wants no runtime to have declared a worker dead.
func (c *cluster) wantNoDeath() {
	c.t.Helper()
	if deaths := c.says("a worker was declared dead"); deaths > 0 {
		c.t.Errorf("workers were declared dead %d times, and none had died", deaths)
	}
}

// T3 at the points where it matters: the runtime is killed just before and after it has
// committed, and before and after it has answered.
func TestT3KillRuntimeAtPoints(t *testing.T) {
	notShort(t)
	c := launch(t, setup{workers: 2, tags: "failpoints"})
	l := newLoad(c)
	l.keyed = true
	var away []time.Duration
	faults(t, l, func(_ context.Context, random *rand.Rand) {
		r := c.runtimes[0]
		r.mortal.Store(true)
		points := []string{failpoint.BeforeCommit, failpoint.AfterCommit, failpoint.BeforeReply, failpoint.AfterReply}
		r.current().kill()
		for i := range efforts(t).points {
			began := time.Now()
			r.start("env", fmt.Sprintf("%s=%s:%d", failpoint.Variable, points[i%len(points)], 20+random.IntN(200)))
			away = append(away, time.Since(began))
			r.awaitEnd()
		}
		r.start()
	})
	allOK(t, l, "although each had a key")
	backWithin(t, away)
	c.checkIntegrity()
	show(t, fmt.Sprintf("`kill -9` of the runtime just before and after a commit and its answer, %d times; every call has a key", len(away)),
		fmt.Sprintf("%v; back after %v at most", &l.tally, quantile(1, away).Round(time.Millisecond)))
}

// backWithin wants a runtime that was killed to be back soon.
func backWithin(t *testing.T, away []time.Duration) {
	t.Helper()
	if longest, most := quantile(1, away), 2*time.Second+leeway(t); longest > most {
		t.Errorf("the runtime was back after %v, want at most %v", longest, most)
	}
}

// activations asks the actors of a few ids which activation they are.
func activations(t *testing.T, c *cluster) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	for _, id := range []string{"steady 1", "steady 2", "steady 3"} {
		res, err := c.workers[0].add(t.Context(), id, &chaosv1.AddRequest{In: 1})
		if err != nil {
			t.Error(err)
		}
		found[id] = res.GetActivation()
	}
	return found
}

// proxy calls an actor through the gateway of the worker.
func (w *worker) proxy(id string) chaosv1francis.RegisterActorProxy {
	return chaosv1francis.NewRegisterActorProxy(sdk.Gateway(http.DefaultClient, "http://"+w.gateway), id)
}

// add calls Add of an actor, with the time of an operation.
func (w *worker) add(ctx context.Context, id string, req *chaosv1.AddRequest, opts ...sdk.CallOption) (*chaosv1.AddResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return w.proxy(id).Add(ctx, req, opts...)
}

// T4: workers are stopped for a part of their lease or much longer, also in the middle of
// a turn, and go on.
func TestT4PauseWorkers(t *testing.T) {
	c := start(t, 3)
	l := newLoad(c)
	l.pause = 50 * time.Millisecond
	pauses := efforts(t).pauses
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for i := range pauses {
			factor := []float64{3, 0.5, 0.9, 1.1}[i%4]
			w := c.workers[random.IntN(len(c.workers))]
			w.current().pause(ctx, time.Duration(factor*float64(lease)))
			rest(ctx, 500*time.Millisecond)
		}
	})
	lapses, deaths, refusals := c.says("renewed after a lapse"), c.says("declared dead by the runtime"), c.says("records were refused")
	if least := pauses*3/4 - 2; lapses+deaths+refusals < least {
		t.Errorf("after %d pauses there are %d lapses, %d deaths and %d times of refused records; that is too few to prove anything", pauses, lapses, deaths, refusals)
	}
	show(t, fmt.Sprintf("`SIGSTOP` of workers, %d times for 0.5, 0.9, 1.1 and 3 leases, also mid-turn", pauses),
		fmt.Sprintf("%v; leases lapsed %d times, workers were declared dead %d times and had records refused %d times", &l.tally, lapses, deaths, refusals))
}

// says counts the lines of all processes that hold a text.
func (c *cluster) says(text string) int {
	n := 0
	for _, p := range c.processes {
		n += strings.Count(p.output.String(), text)
	}
	return n
}

// T6: links are cut, both ways or one way, refused, and flap. Whoever calls is told within
// the time of the call, and when all is whole again everything is as before.
func TestT6Partitions(t *testing.T) {
	c := start(t, 3)
	l := newLoad(c)
	l.timeout = 4 * time.Second
	l.run(t.Context(), 1_000)
	var last []int
	base := c.goroutines(func(now []int) bool { // what the run has left is ending
		steady := slices.Equal(now, last)
		last = now
		return steady
	})
	var heals []time.Duration
	heal := func(ctx context.Context, k *link, d time.Duration) {
		k.set(whole)
		heals = append(heals, l.now())
		rest(ctx, d)
	}
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		links := []*link{c.runtimes[0].front}
		for _, w := range c.workers {
			links = append(links, w.peers)
		}
		for i := range 2 * efforts(t).kills {
			cutOff := links[random.IntN(len(links))]
			cutOff.set([]cut{silent, refused, deaf, mute}[i%4])
			rest(ctx, time.Duration(200+random.IntN(int(2*lease/time.Millisecond)))*time.Millisecond)
			heal(ctx, cutOff, time.Second)
		}
		for range 20 {
			c.runtimes[0].front.set(refused)
			rest(ctx, 20*time.Millisecond)
			heal(ctx, c.runtimes[0].front, 50*time.Millisecond)
		}
	})
	if most := l.timeout + 100*time.Millisecond + leeway(t); l.tally.longest > most {
		t.Errorf("a call took %v; it had %v", l.tally.longest, l.timeout)
	}
	p99 := recovered(t, l, heals, lease+2*time.Second)
	after := c.goroutines(func(now []int) bool {
		for i := range now {
			if now[i] > base[i]+5 {
				return false
			}
		}
		return true
	})
	show(t, fmt.Sprintf("links cut both ways, one way, refused, %d times, and flapping 20 times; calls have %v", 2*efforts(t).kills, l.timeout),
		fmt.Sprintf("%v; actors answer again after %v (p99); goroutines of the workers before and after: %v, %v", &l.tally, p99, base, after))
}

// goroutines waits until the numbers of goroutines of the workers are good, and returns
// them.
func (c *cluster) goroutines(good func([]int) bool) []int {
	c.t.Helper()
	var now []int
	c.await("goroutines end", func() bool {
		now = nil
		for _, w := range c.workers {
			now = append(now, w.goroutines())
		}
		return good(now)
	})
	return now
}

// goroutines is how many goroutines the worker has, without those that its pool keeps for
// the next calls.
func (w *worker) goroutines() int {
	res, err := http.Get("http://" + w.gateway + "/debug/goroutines")
	if err != nil {
		w.cluster.t.Error(err)
		return 0
	}
	defer res.Body.Close()
	profile, err := io.ReadAll(res.Body)
	if err != nil {
		w.cluster.t.Error(err)
	}
	n := 0
	for stack := range strings.SplitSeq(string(profile), "\n\n") {
		if head, rest, _ := strings.Cut(stack, "\n"); strings.HasPrefix(head, "goroutine profile:") {
			stack = rest
		}
		var alike int
		idle := strings.Contains(stack, "host.(*pool)") && !strings.Contains(stack, ".execute+")
		if _, err := fmt.Sscanf(stack, "%d @", &alike); err == nil && !idle {
			n += alike
		}
	}
	return n
}

// T18: every process is replaced by one of the next release, one after the other, and by
// one of this release again; with keys and the proxies' retries no call fails, and none
// takes effect twice. The short form restarts them only.
func TestT18RollingUpgrade(t *testing.T)            { rollingUpgrade(start(t, 3)) }
func TestT18RollingUpgradeTwoRuntimes(t *testing.T) { rollingUpgrade(startTwo(t, 3)) }

func rollingUpgrade(c *cluster) {
	t, l := c.t, newLoad(c)
	l.keyed, l.perSecond = true, 500
	releases := upgrades(c)
	rounds := efforts(c.t).rounds
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		for round := range rounds {
			c.upgrade(ctx, releases[round%len(releases)])
		}
	})
	allOK(t, l, "although each had a key")
	if p99, most := quantile(0.99, l.tally.waits), time.Second+leeway(t); p99 > most {
		t.Errorf("p99 is %v, want at most %v", p99, most)
	}
	c.show(fmt.Sprintf("%d rounds, from this release to the next one and back, of restarting every worker and runtime; 500 calls a second, each with a key (G7, G14)", rounds), l.tally.String())
}

// upgrades are the releases that replace a cluster one after the other: the next one and
// the present one again, or in the short form the present one only.
func upgrades(c *cluster) []string {
	if *form == shortForm {
		return []string{c.runtimeBin}
	}
	return []string{compile(c.t, "next_release", binaries...), c.runtimeBin}
}

// upgrade replaces every process by one of a release, one after the other.
func (c *cluster) upgrade(ctx context.Context, release string) {
	c.t.Helper()
	c.workerBin, c.runtimeBin = release, release
	for _, w := range c.workers {
		w.current().stop(c.t)
		w.restart()
		rest(ctx, 500*time.Millisecond) // old and new ones beside each other
	}
	for _, r := range c.runtimes {
		r.current().stop(c.t)
		r.start()
	}
}

// T25: a method that panics, hangs, computes for ever, takes all memory or ends its
// process harms its own actor, and others of its worker only until the lease has run out.
func TestT25PoisonedActors(t *testing.T) {
	limit := memoryLimit(t, 1<<30)
	c := launch(t, setup{workers: 2, wrapWorkers: [][]string{limit, limit}})
	c.letWorkersEnd()
	l := newLoad(c)
	var moments []time.Duration
	harms := []chaosv1.BreakRequest_Harm{
		chaosv1.BreakRequest_HARM_PANIC, chaosv1.BreakRequest_HARM_HANG, chaosv1.BreakRequest_HARM_EXIT,
		chaosv1.BreakRequest_HARM_LOOP, chaosv1.BreakRequest_HARM_ALLOCATE,
	}
	if *form == shortForm {
		harms = []chaosv1.BreakRequest_Harm{chaosv1.BreakRequest_HARM_PANIC, chaosv1.BreakRequest_HARM_EXIT}
	}
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		for _, harm := range harms {
			moments = append(moments, l.now())
			breakOne(ctx, t, c, harm)
			rest(ctx, time.Second)
			for _, w := range c.workers {
				if w.current().over() {
					w.restart()
				}
			}
			rest(ctx, time.Second)
		}
	})
	p99 := recovered(t, l, moments, lease+3*time.Second)
	show(t, "methods that panic, hang, end their process, loop, and allocate without end (the process may have 1 GiB)",
		fmt.Sprintf("%v; other actors answer again after %v (p99); who calls the poisoned one is told in time", &l.tally, p99))
}

// letWorkersEnd says that workers may end by themselves from now on.
func (c *cluster) letWorkersEnd() {
	for _, w := range c.workers {
		w.mortal.Store(true)
	}
}

// breakOne calls a method that does harm. Its caller is told within the time of the call.
func breakOne(ctx context.Context, t *testing.T, c *cluster, harm chaosv1.BreakRequest_Harm) {
	t.Helper()
	const timeout = 2 * time.Second
	call, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	_, err := c.workers[0].proxy("poisoned "+harm.String()).Break(call, &chaosv1.BreakRequest{Harm: harm}, sdk.WithoutRetries())
	if took := time.Since(began); err == nil || took > timeout+time.Second {
		t.Errorf("%v: the call ended after %v with %v", harm, took, err)
	}
}
