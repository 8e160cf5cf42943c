//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
)

// T5: runtimes are stopped for three leases: one, the other one, and both at once, which is
// longer than anybody's lease. No worker is declared dead for it, neither by who goes on
// nor by who finds old beats when it goes on itself.
func TestT5PauseRuntimesTwoRuntimes(t *testing.T) {
	c := startTwo(t, 3)
	l := newLoad(c)
	l.keyed = true
	rounds := max(1, efforts(c.t).pauses/20)
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		for range rounds {
			for _, stopped := range [][]*replica{{c.runtimes[0]}, {c.runtimes[1]}, c.runtimes} {
				pauseAll(ctx, stopped, 3*lease)
				rest(ctx, time.Second)
			}
		}
	})
	allOK(t, l, "although each had a key")
	c.wantNoDeath()
	c.show(fmt.Sprintf("`SIGSTOP` of one runtime for 3 leases, of the other one, and of both, %d times", rounds),
		fmt.Sprintf("%v; nobody was declared dead", &l.tally))
}

// pauseAll stops runtimes for a while.
func pauseAll(ctx context.Context, runtimes []*replica, d time.Duration) {
	for _, r := range runtimes {
		r.current().signal(syscall.SIGSTOP)
	}
	rest(ctx, d)
	for _, r := range runtimes {
		r.current().signal(syscall.SIGCONT)
	}
}

// T6: a runtime is cut off from PostgreSQL or from all workers, both ways or one way, for up
// to two leases. The workers go on with the other one: whoever calls is told within the time of
// the call, hardly anybody is declared dead, and when all is whole again everything is as before.
func TestT6PartitionsTwoRuntimes(t *testing.T) {
	c := startTwo(t, 3)
	l := newLoad(c)
	l.timeout = 4 * time.Second
	cuts := max(8, 2*efforts(c.t).kills) // each kind of each link
	var heals []time.Duration
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for i := range cuts {
			r := c.runtimes[random.IntN(len(c.runtimes))]
			cutOff := []*link{r.store, r.front}[i%2]
			cutOff.set([]cut{silent, refused, deaf, mute}[i/2%4])
			rest(ctx, lease/2+time.Duration(random.IntN(int(lease*3/2/time.Millisecond)))*time.Millisecond)
			cutOff.set(whole)
			heals = append(heals, l.now())
			rest(ctx, time.Second)
		}
	})
	if most := l.timeout + 100*time.Millisecond + leeway(t); l.tally.longest > most {
		t.Errorf("a call took %v; it had %v", l.tally.longest, l.timeout)
	}
	p99 := recovered(t, l, heals, lease+2*time.Second)
	deaths := c.says("a worker was declared dead")
	// A busy machine may take the half of a lease that is left to go on with the other one. Who
	// waits for the runtime that is cut off dies in every cut, and with him the others.
	if deaths*4 > cuts {
		t.Errorf("workers were declared dead %d times in %d cuts: they do not go on with the other runtime", deaths, cuts)
	}
	c.show(fmt.Sprintf("a runtime cut off from PostgreSQL or from the workers, both ways, one way, refused, %d times; calls have %v", cuts, l.timeout),
		fmt.Sprintf("%v; actors answer again after %v (p99); workers were declared dead %d times", &l.tally, p99, deaths))
}

// T4 and G5: a worker is stopped until a runtime is about to declare it dead, and renews its
// lease before that happens. The renewal was accepted, so it is not dead.
func TestT4RenewalBeforeTheDecreeTwoRuntimes(t *testing.T) {
	c := startTwo(t, 2)
	c.play(renewalsBeforeDecrees, "`SIGSTOP` of a worker until the runtimes have judged it; its next renewal is accepted before their decree (G5)",
		fmt.Sprintf("%d times: it lived on, and its actors were not activated anew", c.decrees()))
}

// decrees is how often a decree is overtaken.
func (c *cluster) decrees() int { return max(1, efforts(c.t).pauses/3) }

func renewalsBeforeDecrees(c *cluster) []string {
	owner, _, ids := c.divide()
	var breaches breaches
	for range c.decrees() {
		before := c.activationsOf(owner, ids)
		if overtaken := c.overtakeDecree(owner); !overtaken {
			breaches.add("no decree was overtaken, and nothing was tried")
			return breaches
		}
		for id, activation := range c.activationsOf(owner, ids) {
			if activation != before[id] {
				breaches.add("%s was activated anew, although its worker renewed its lease", id)
			}
		}
		if n := c.deadWorkers(); n > 0 {
			breaches.add("%d workers are dead after a renewal that was accepted", n)
			return breaches
		}
	}
	return breaches
}

// overtakeDecree stops a worker until the runtimes want to declare it dead, and lets it renew
// its lease while they wait for the row that every change of the placement locks. It reports
// whether a decree was still waiting then.
func (c *cluster) overtakeDecree(w *worker) bool {
	db := c.open()
	defer db.Close()
	count := func(query string) (n int) {
		if err := db.QueryRowContext(c.ctx, query).Scan(&n); err != nil && c.ctx.Err() == nil {
			c.t.Errorf("%s: %v", query, err)
		}
		return n
	}
	const waiting = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'francis' AND wait_event_type = 'Lock'`
	tx, err := db.BeginTx(c.ctx, nil)
	if err == nil {
		_, err = tx.ExecContext(c.ctx, `SELECT 1 FROM placement FOR UPDATE`)
	}
	if err != nil {
		c.t.Error(err)
		return false
	}
	defer func() { _ = tx.Rollback() }() // it ends the lock
	w.current().signal(syscall.SIGSTOP)
	judged := time.Now().Add(lease + lease/5) // others wait for the row too, now and then
	c.await("a runtime wants to declare the worker dead", func() bool { return time.Now().After(judged) && count(waiting) > 0 })
	w.current().signal(syscall.SIGCONT)
	renewed := w.says("renewed after a lapse")
	c.await("the worker has renewed its lease", func() bool { return w.says("renewed after a lapse") > renewed })
	overtaken := count(waiting) > 0
	if err := tx.Rollback(); err != nil {
		c.t.Error(err)
	}
	c.await("the decrees are over", func() bool { return count(waiting) == 0 })
	return overtaken
}

// says counts the lines of a worker's process that hold a text.
func (w *worker) says(text string) int { return strings.Count(w.current().output.String(), text) }

// deadWorkers is how many workers are declared dead, as the database says.
func (c *cluster) deadWorkers() (n int) {
	c.t.Helper()
	db := c.open()
	defer db.Close()
	if err := db.QueryRowContext(c.ctx, `SELECT count(*) FROM workers WHERE died > 0`).Scan(&n); err != nil {
		c.t.Error(err)
	}
	return n
}

// activationsOf asks actors which activations they are.
func (c *cluster) activationsOf(w *worker, ids []string) map[string]uint64 {
	c.t.Helper()
	found := map[string]uint64{}
	for _, id := range ids {
		res, err := w.add(c.ctx, id, &chaosv1.AddRequest{In: 1})
		if err != nil {
			c.t.Errorf("%s: %v", id, err)
		}
		found[id] = res.GetActivation()
	}
	return found
}

// localHosts is processes that share one PostgreSQL, without runtimes beside them.
var localHosts = topology{postgres: true, local: true}

// T2: local hosts that share one PostgreSQL are killed and come back. Each judges the
// others, and is judged.
func TestT2KillLocalHosts(t *testing.T) {
	notShort(t)
	killWorkers(launch(t, setup{topology: localHosts, workers: 3}))
}
