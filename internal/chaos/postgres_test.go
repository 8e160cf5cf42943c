//go:build unix

package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/sdk"
)

// T10: PostgreSQL is restarted, as one does and as after a crash.
func TestT10RestartPostgresTwoRuntimes(t *testing.T) {
	c := startTwo(t, 3)
	restarts := max(2, efforts(c.t).kills/2)
	c.underPostgres(fmt.Sprintf("PostgreSQL restarts, %d times, fast and immediate in turn (immediate is a crash)", restarts), func(ctx context.Context, i int) {
		c.server.Restart(t, []os.Signal{pgtest.Fast, pgtest.Immediate}[i%2])
		rest(ctx, 2*time.Second)
	}, restarts)
}

// T10: PostgreSQL stands still for two leases and a half. Nobody is declared dead for it.
func TestT10StalledPostgresTwoRuntimes(t *testing.T) {
	const stall = 5 * time.Second
	c := startTwo(t, 3)
	stalls := max(1, efforts(c.t).kills/6)
	c.underPostgres(fmt.Sprintf("all processes of PostgreSQL are stopped for %v, %d times", stall, stalls), func(ctx context.Context, _ int) {
		thaw := c.server.Freeze(t)
		rest(ctx, stall)
		thaw()
		rest(ctx, 2*time.Second)
	}, stalls)
	c.wantNoDeath()
}

// T10: the sessions of the runtimes are ended again and again.
func TestT10KilledConnectionsTwoRuntimes(t *testing.T) {
	c := startTwo(t, 3)
	db := c.open()
	defer db.Close()
	ends := 10 * efforts(c.t).kills
	c.underPostgres(fmt.Sprintf("`pg_terminate_backend` of all sessions of the runtimes, %d times, 5 times a second", ends), func(ctx context.Context, _ int) {
		const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'francis' AND pid <> pg_backend_pid()`
		if _, err := db.ExecContext(ctx, end); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		rest(ctx, 200*time.Millisecond)
	}, ends)
}

// T10: transactions of the runtimes fail and are repeated, because they meet another one that locks rows in
// the other order.
func TestT10DeadlocksTwoRuntimes(t *testing.T) {
	notShort(t)
	c := launch(t, setup{topology: twoRuntimes, workers: 3, settings: []string{"deadlock_timeout=20ms"}})
	db := c.open()
	defer db.Close()
	before := c.deadlocks()
	c.underPostgres("transactions that lock rows in another order than the runtimes, all the time (40P01)", func(ctx context.Context, _ int) {
		c.lockBackwards(ctx, db)
	}, 10*efforts(c.t).kills)
	if n := c.deadlocks() - before; n < efforts(c.t).kills {
		t.Errorf("there were %d deadlocks, which proves little", n)
	}
}

// underPostgres does something to PostgreSQL again and again while clients call. What was
// acknowledged is there, and at most one call in a hundred has an unknown outcome.
func (c *cluster) underPostgres(fault string, do func(ctx context.Context, i int), times int) {
	c.t.Helper()
	l := newLoad(c)
	faults(c.t, l, func(ctx context.Context, _ *rand.Rand) {
		for i := range times {
			do(ctx, i)
		}
	})
	all := l.tally.ok + l.tally.failed + l.tally.unknown
	if l.tally.unknown*100 > all {
		c.t.Errorf("%d of %d calls have an unknown outcome: %q", l.tally.unknown, all, l.tally.errors)
	}
	c.checkIntegrity()
	c.show(fault, l.tally.String())
}

// deadlocks is how many PostgreSQL has found.
func (c *cluster) deadlocks() (n int) {
	c.t.Helper()
	db := c.open()
	defer db.Close()
	if err := db.QueryRowContext(c.ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n); err != nil {
		c.t.Error(err)
	}
	return n
}

// lockBackwards locks what each commit locks last, and then what it locks first. Of two who
// wait for each other it is the patient one, so the commit fails that came to wait for it
// last; for those who waited before, it gives up.
func (c *cluster) lockBackwards(ctx context.Context, db *sql.DB) {
	tx, err := db.BeginTx(ctx, nil)
	for _, statement := range []string{
		`SET LOCAL deadlock_timeout = '10s'`, `SET LOCAL lock_timeout = '100ms'`,
		`SELECT 1 FROM cluster FOR UPDATE`, `SELECT 1 FROM shards FOR UPDATE`,
	} {
		if err == nil {
			_, err = tx.ExecContext(ctx, statement)
		}
	}
	if tx != nil {
		_ = tx.Rollback() // it has changed nothing
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); err != nil && ctx.Err() == nil && (!ok || answer.Code != lockNotAvailable) {
		c.t.Error(err)
	}
	rest(ctx, 50*time.Millisecond)
}

// lockNotAvailable is the code of who has waited too long for a lock.
const lockNotAvailable = "55P03"

// T11 and G11: PostgreSQL fails over to a copy that is five seconds old, while calls go on.
// The cluster begins a new generation, in which everybody joins again; what was
// acknowledged before the copy is there, and nothing of what was lost comes back.
func TestT11LostTailTwoRuntimes(t *testing.T) {
	const age = 5 * time.Second
	c := startTwo(t, 2)
	generation := c.generation()
	logs := make([]callLog, actors)
	counting, stop := context.WithCancel(c.ctx)
	defer stop()
	var callers sync.WaitGroup
	for i := range logs {
		logs[i].id = fmt.Sprint("counter ", i)
		callers.Go(func() { logs[i].count(counting, c.workers[i%2]) })
	}
	c.awaitCalls(logs, 5)
	least := lastValues(logs)
	c.server.Backup(t)
	rest(c.ctx, age)
	c.server.Stop(t, pgtest.Immediate)
	c.server.Restore(t)
	c.server.Launch(t)
	began := time.Now()
	c.await("a new generation", func() bool { return c.generation() > generation })
	found := time.Since(began).Round(time.Millisecond)
	c.await("all workers join again", func() bool {
		for _, w := range c.workers {
			if w.says("joined the cluster") < 2 {
				return false
			}
		}
		return true
	})
	c.awaitCalls(logs, 5)
	stop()
	callers.Wait()
	lost := int64(0)
	for i := range logs {
		lost += logs[i].check(t, least[i])
	}
	if lost == 0 {
		t.Error("nothing was lost, so nothing was tried")
	}
	c.show(fmt.Sprintf("PostgreSQL fails over to a copy that is %v old, under load (G11)", age),
		fmt.Sprintf("%d actors: found out %v after the start; every worker joined again; %d acknowledged calls are lost, none from before the copy, and nothing of them came back", actors, found, lost))
}

// generation is that of the cluster, 0 where PostgreSQL does not answer.
func (c *cluster) generation() (n int64) {
	db := c.open()
	defer db.Close()
	_ = db.QueryRowContext(c.ctx, `SELECT generation FROM cluster`).Scan(&n) // it may be away
	return n
}

// callLog is what one client saw that adds 1 to an actor, one call after the other.
type callLog struct {
	id string

	mu     sync.Mutex
	values []int64 // what each call has answered; 0 for one that has failed
	ok     int
}

func (n *callLog) count(ctx context.Context, w *worker) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, 2*lease)
		res, err := w.proxy(n.id).Add(attempt, &chaosv1.AddRequest{In: 1}, sdk.WithoutRetries())
		cancel()
		n.note(res.GetValue(), err)
		rest(ctx, relief)
	}
}

func (n *callLog) note(value int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		value = 0
	} else {
		n.ok++
	}
	n.values = append(n.values, value)
}

// answered is how many calls have succeeded, and last what the last of them has answered.
func (n *callLog) answered() (count int, last int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, value := range n.values {
		if value > 0 {
			last = value
		}
	}
	return n.ok, last
}

// check wants the values to grow with the calls, but for one step back to least or more,
// and returns how far that was. A value that has come back would be a leap ahead.
func (n *callLog) check(t *testing.T, least int64) (lost int64) {
	t.Helper()
	steps, last, calls := 0, int64(0), int64(0)
	for i, value := range n.values {
		calls++ // each may have happened, whatever its caller was told
		switch {
		case value == 0:
			continue
		case value <= last:
			steps++
			lost = last - value + 1
			if value <= least {
				t.Errorf("%s is back at %d, and %d was acknowledged before the copy", n.id, value, least)
			}
		case value > last+calls:
			t.Errorf("%s is %d after %d and %d calls (call %d): something lost has come back", n.id, value, last, calls, i)
		}
		last, calls = value, 0
	}
	if steps > 1 {
		t.Errorf("%s went back %d times", n.id, steps)
	}
	return lost
}

// awaitCalls waits until everybody has been answered so many times more.
func (c *cluster) awaitCalls(logs []callLog, more int) {
	c.t.Helper()
	for i := range logs {
		before, _ := logs[i].answered()
		c.await(logs[i].id+" counts", func() bool {
			now, _ := logs[i].answered()
			return now >= before+more
		})
	}
}

func lastValues(logs []callLog) []int64 {
	values := make([]int64, len(logs))
	for i := range logs {
		_, values[i] = logs[i].answered()
	}
	return values
}
