//go:build unix

package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/sdk"
)

const (
	// perRound is how many alarms, and how many jobs, one round sets from outside, and as
	// many again in a turn.
	perRound = 10
	// times is how often an alarm comes that repeats.
	times = 5
	// ahead is how far ahead alarms are set from outside: by then they are set, although it
	// may take a few attempts, none of which comes when the alarm has come already.
	ahead = 8 * time.Second
)

// errands are alarms and jobs on their way to ledgers, and what must come of them. Each
// round sets some for a ledger of its own: from outside, and in a turn for it and for the
// next one.
type errands struct {
	cluster *cluster
	rounds  int
	client  *http.Client

	mu sync.Mutex
	// wanted are the entries that must be noted once: what is acknowledged to be set.
	wanted map[string]bool
}

func newErrands(c *cluster, tasks int) *errands {
	return &errands{
		cluster: c, rounds: tasks / (2 * perRound), wanted: map[string]bool{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}},
	}
}

// run sets everything, evenly over a time.
func (e *errands) run(ctx context.Context, lasts time.Duration) {
	defer e.client.CloseIdleConnections()
	began := time.Now()
	var next atomic.Int64
	var setting sync.WaitGroup
	for range clients {
		setting.Go(func() {
			for n := next.Add(1) - 1; n < int64(e.rounds) && ctx.Err() == nil; n = next.Add(1) - 1 {
				rest(ctx, time.Until(began.Add(lasts*time.Duration(n)/time.Duration(e.rounds))))
				e.round(ctx, int(n))
			}
		})
	}
	setting.Wait()
}

// ledgerOf names the ledger of a round.
func (e *errands) ledgerOf(n int) string { return fmt.Sprintf("ledger %d", n%e.rounds) }

// proxy calls a ledger through the gateway of any worker.
func (e *errands) proxy(ledger string) chaosv1francis.LedgerActorProxy {
	w := e.cluster.workers[rand.IntN(len(e.cluster.workers))]
	return chaosv1francis.NewLedgerActorProxy(sdk.Gateway(e.client, "http://"+w.gateway), ledger)
}

// round sets what one round sets.
func (e *errands) round(ctx context.Context, n int) {
	ledger := e.ledgerOf(n)
	e.plan(ctx, n)
	for i := range perRound {
		e.schedule(ctx, ledger, fmt.Sprintf("alarm %d.%d", n, i), i == 0)
		e.enqueue(ctx, ledger, fmt.Sprintf("job %d.%d", n, i), i)
	}
}

// schedule sets an alarm until that is acknowledged. Whether it was set before does not
// matter, as long as it has not come.
func (e *errands) schedule(ctx context.Context, ledger, entry string, repeats bool) {
	due := time.Now().Add(ahead).Truncate(time.Second)
	when := sdk.At(due)
	if repeats {
		when = sdk.Every(time.Second).From(due).Until(due.Add(times * time.Second))
	}
	e.insist(ctx, func(ctx context.Context) error {
		return e.proxy(ledger).ScheduleNote(ctx, entry, when, &chaosv1.NoteRequest{Entry: entry, Repeats: repeats}, sdk.WithMissed(sdk.CatchUp))
	})
	if late := time.Since(due); late > 0 {
		e.cluster.t.Errorf("%s of %s was set %v after its time", entry, ledger, late)
	}
	if !repeats {
		e.want(entry)
		return
	}
	for k := range times {
		e.want(fmt.Sprintf("%s@%d", entry, due.Unix()+int64(k)))
	}
}

// enqueue enqueues a job with a key until that is acknowledged. Some fail once.
func (e *errands) enqueue(ctx context.Context, ledger, entry string, i int) {
	note := &chaosv1.NoteRequest{Entry: entry, Failures: uint32(i % 2)}
	e.insist(ctx, func(ctx context.Context) error {
		_, err := e.proxy(ledger).EnqueueNote(ctx, note, sdk.WithIdempotencyKey(entry), sdk.WithDelay(time.Duration(i)*100*time.Millisecond))
		return err
	})
	e.want(entry)
}

// insist does something until it succeeds.
func (e *errands) insist(ctx context.Context, do func(context.Context) error) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, lease)
		err := do(attempt)
		cancel()
		if err == nil {
			return
		}
		rest(ctx, relief)
	}
}

// plan lets a turn set alarms and jobs, until one turn is acknowledged; what each sets has
// names of its own. Some turns fail.
func (e *errands) plan(ctx context.Context, n int) {
	ledger := e.ledgerOf(n)
	for attempt := 0; ctx.Err() == nil; attempt++ {
		req := &chaosv1.PlanRequest{Fails: attempt == 0 && n%5 == 0}
		for i := range perRound {
			target := e.ledgerOf(n + i%2)
			for _, kind := range []string{"alarm", "job"} {
				req.Items = append(req.Items, &chaosv1.PlanRequest_Item{
					Entry: fmt.Sprintf("planned %s %d.%d.%d", kind, n, attempt, i), Ledger: target, Alarm: kind == "alarm",
					After: durationpb.New(time.Duration(i) * 300 * time.Millisecond), Failures: uint32(i % 3 / 2),
				})
			}
		}
		if e.planOnce(ctx, ledger, req) {
			return
		}
	}
}

// planOnce reports whether a turn that sets alarms and jobs was acknowledged.
func (e *errands) planOnce(ctx context.Context, ledger string, req *chaosv1.PlanRequest) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*lease)
	defer cancel()
	_, err := e.proxy(ledger).Plan(ctx, req, sdk.WithoutRetries())
	if err != nil {
		rest(ctx, relief)
		return false
	}
	if req.GetFails() {
		e.cluster.t.Errorf("a turn of %s succeeded that fails", ledger)
	}
	for _, item := range req.GetItems() {
		e.want(item.GetEntry())
	}
	return true
}

func (e *errands) want(entry string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wanted[entry] = true
}

// audit waits until no alarm and no job is left, and compares what the ledgers have noted
// with what was set.
func (e *errands) audit() (found audit, breaches breaches) {
	e.cluster.awaitTasks(func(left, _ int) bool { return left == 0 })
	if _, dead := e.cluster.tasks(); dead > 0 {
		breaches.add("%d alarms and jobs are dead letters", dead)
	}
	noted, wanted := map[string]uint32{}, maps.Clone(e.wanted)
	for n := range e.rounds {
		state := e.cluster.ledgerState(e.ledgerOf(n))
		maps.Copy(noted, state.GetNoted())
		for _, entry := range state.GetPlanned() {
			if !wanted[entry] {
				wanted[entry] = true // the turn has happened, whatever its caller was told
				found.unheard++
			}
		}
		if early := state.GetEarly(); early > 0 {
			breaches.add("%d came early to %s", early, e.ledgerOf(n))
		}
		found.latest = max(found.latest, state.GetLatest().AsDuration())
	}
	for _, entry := range slices.Sorted(maps.Keys(wanted)) {
		if got := noted[entry]; got != 1 {
			breaches.add("%s has taken effect %d times, want once", entry, got)
		}
		delete(noted, entry)
	}
	for entry, got := range noted {
		breaches.add("%s has taken effect %d times, and was never set", entry, got)
	}
	found.effects = len(wanted)
	return found, breaches
}

// audit is what came of errands.
type audit struct {
	// effects counts the alarms and jobs that have taken effect; of one that repeats, each
	// time. Of them unheard were set by turns of which nobody was told.
	effects, unheard int
	// latest is how late the latest of them was.
	latest time.Duration
}

func (a audit) String() string {
	return fmt.Sprintf("%d times one came, each took effect once, none early, the latest %v after its time; %d were set by turns whose outcome nobody was told",
		a.effects, a.latest.Round(time.Millisecond), a.unheard)
}

// ledgerState is what a ledger has noted.
func (c *cluster) ledgerState(ledger string) *chaosv1.LedgerState {
	c.t.Helper()
	return c.askLedger(ledger).GetState()
}

func (c *cluster) askLedger(ledger string) *chaosv1.AuditResponse {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	res, err := c.workers[0].ledger(ledger).Audit(ctx, &chaosv1.AuditRequest{})
	if err != nil {
		c.t.Errorf("%s: %v", ledger, err)
	}
	return res
}

// ledger calls a ledger through the gateway of the worker.
func (w *worker) ledger(id string) chaosv1francis.LedgerActorProxy {
	return chaosv1francis.NewLedgerActorProxy(sdk.Gateway(http.DefaultClient, "http://"+w.gateway), id)
}

// awaitTasks waits until the numbers of tasks and of dead letters are good.
func (c *cluster) awaitTasks(good func(left, dead int) bool) {
	c.t.Helper()
	c.await("alarms and jobs end", func() bool { return good(c.tasks()) })
}

// tasks counts what is in the database: alarms and jobs, and dead letters.
func (c *cluster) tasks() (left, dead int) {
	c.t.Helper()
	db := c.open()
	defer db.Close()
	const count = `SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM dead)`
	if err := db.QueryRowContext(c.ctx, count).Scan(&left, &dead); err != nil {
		return -1, -1 // the file is being changed, or PostgreSQL is away; one asks again
	}
	return left, dead
}

// errandsUnder sets alarms and jobs while faults happen, until both are over, and wants
// each to have taken effect once.
func errandsUnder(c *cluster, faults func(ctx context.Context)) audit {
	c.t.Helper()
	effort := efforts(c.t)
	e := newErrands(c, effort.tasks)
	ctx, cancel := context.WithTimeout(c.ctx, 30*time.Minute)
	defer cancel()
	setting, set := context.WithCancel(ctx)
	go func() {
		defer set()
		e.run(ctx, effort.lasts)
		rest(ctx, ahead+times*time.Second) // by then everything is due
	}()
	faults(setting)
	<-setting.Done()
	if c.ctx.Err() != nil {
		return audit{} // it has failed already
	}
	found, breaches := e.audit()
	for _, breach := range breaches {
		c.t.Error(breach)
	}
	c.checkIntegrity()
	return found
}

// G9: alarms and jobs come and take effect once while a worker or a runtime is killed
// every two seconds, each in its turn.
func TestT2KillsWhileTasksCome(t *testing.T) {
	onlyLong(t)
	killsWhileTasksCome(start(t, 3))
}

func TestT2KillsWhileTasksComeTwoRuntimes(t *testing.T) { killsWhileTasksCome(startTwo(t, 3)) }

func killsWhileTasksCome(c *cluster) {
	c.t.Helper()
	kills := 0
	found := errandsUnder(c, func(ctx context.Context) {
		for rest(ctx, 2*time.Second); ctx.Err() == nil; rest(ctx, 2*time.Second) {
			if n := kills / 2; kills%2 == 0 {
				w := c.workers[n%len(c.workers)]
				w.current().kill()
				w.start()
			} else {
				r := c.runtimes[n%len(c.runtimes)]
				r.current().kill()
				r.start()
			}
			kills++
		}
		for _, w := range c.workers {
			w.awaitReady()
		}
	})
	n := efforts(c.t).tasks
	c.show(fmt.Sprintf("`kill -9` of a worker or of a runtime every 2 s, %d times, while %d alarms and %d jobs are set and come (G9)", kills, n, n), found.String())
}

// G9 and G14: alarms and jobs come and take effect once while every process is replaced by
// one of the next release, and by one of this release again.
func TestT18RollingUpgradeWhileTasksCome(t *testing.T) {
	onlyLong(t)
	upgradeWhileTasksCome(start(t, 3))
}

func TestT18RollingUpgradeWhileTasksComeTwoRuntimes(t *testing.T) {
	onlyLong(t)
	upgradeWhileTasksCome(startTwo(t, 3))
}

func upgradeWhileTasksCome(c *cluster) {
	c.t.Helper()
	releases, rounds := upgrades(c), 0
	found := errandsUnder(c, func(ctx context.Context) {
		for ; ctx.Err() == nil; rounds++ {
			c.upgrade(ctx, releases[rounds%len(releases)])
		}
	})
	n := efforts(c.t).tasks
	c.show(fmt.Sprintf("%d rounds of restarting every worker and runtime, from this release to the next one and back, while %d alarms and %d jobs are set and come (G9, G14)", rounds, n, n), found.String())
}

// batch is how many jobs come due at once.
const batch = 500

// T25: a job ends its process whenever it runs. Those that were out with it come again, and
// it becomes a dead letter alone.
func TestT25PoisonedJob(t *testing.T) {
	notShort(t)
	c := start(t, 2)
	c.letWorkersEnd()
	l := newLoad(c)
	var deaths []time.Duration
	var out int
	faults(t, l, func(context.Context, *rand.Rand) {
		b := c.newBatch(map[int]chaosv1.BreakRequest_Harm{batch / 2: chaosv1.BreakRequest_HARM_EXIT})
		c.awaitTasks(func(left, dead int) bool {
			for _, w := range c.workers {
				if !w.current().over() {
					continue
				}
				if len(deaths) == 0 {
					out = left - 1
				}
				deaths = append(deaths, l.now())
				w.start()
			}
			return left == 0 && dead == 1
		})
		for _, w := range c.workers {
			w.awaitReady()
		}
		b.check("its worker died")
	})
	if out < batch/10 {
		t.Errorf("%d neighbours were out when the worker died, which proves little", out)
	}
	if want := 1 + attempts; len(deaths) != want {
		t.Errorf("workers died %d times, want %d: once with others beside, and each attempt alone", len(deaths), want)
	}
	p99 := recovered(t, l, deaths, lease+3*time.Second)
	show(t, fmt.Sprintf("a job that ends its process, among %d others that are due at once (G9)", batch-1),
		fmt.Sprintf("%v; %d others had not ended when it ended its first worker; it became a dead letter after %d more, and every other one took effect once; actors answer again after %v (p99)",
			&l.tally, out, len(deaths)-1, p99))
}

// T25: jobs that panic and that never end harm nobody but their actors.
func TestT25FailingJobs(t *testing.T) {
	notShort(t)
	c := start(t, 2)
	l := newLoad(c)
	harms := map[int]chaosv1.BreakRequest_Harm{
		100: chaosv1.BreakRequest_HARM_PANIC, 200: chaosv1.BreakRequest_HARM_WAIT, 300: chaosv1.BreakRequest_HARM_HANG,
	}
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		b := c.newBatch(harms)
		c.awaitTasks(func(left, dead int) bool { return left == 1 && dead == 2 })
		hangs := b.ledgers[300]
		for job, err := range c.workers[0].ledger(hangs).Jobs(ctx) {
			if err != nil {
				t.Error(err)
				continue
			}
			if err := c.workers[0].ledger(hangs).CancelJob(ctx, job.Job); err != nil {
				t.Error(err)
			}
		}
		c.awaitTasks(func(left, dead int) bool { return left == 0 && dead == 2 })
		b.check("")
	})
	allOK(t, l, "although others have failed")
	show(t, fmt.Sprintf("jobs that panic, that end when their time is over, and that never end, among %d others that are due at once (G9)", batch-len(harms)),
		fmt.Sprintf("%v; the first two became dead letters after %d attempts, and the third one is out until it is deleted; every other one took effect once", &l.tally, attempts))
}

// attempts is how often a job is tried.
const attempts = 5

// jobBatch is jobs that are due at once, for ledgers that live on one worker.
type jobBatch struct {
	cluster *cluster
	ledgers []string
	harms   map[int]chaosv1.BreakRequest_Harm
}

// newBatch enqueues jobs, of which some do harm.
func (c *cluster) newBatch(harms map[int]chaosv1.BreakRequest_Harm) *jobBatch {
	c.t.Helper()
	c.awaitSpread()
	b := &jobBatch{cluster: c, harms: harms, ledgers: c.ledgersOn(c.workers[0], batch)}
	due := time.Now().Add(5 * time.Second)
	var enqueuing sync.WaitGroup
	for i, ledger := range b.ledgers {
		enqueuing.Go(func() {
			note := &chaosv1.NoteRequest{Entry: ledger, Harm: harms[i]}
			if _, err := c.workers[1].ledger(ledger).EnqueueNote(c.ctx, note, sdk.WithWhen(sdk.At(due))); err != nil {
				c.t.Errorf("%s: %v", ledger, err)
			}
		})
	}
	enqueuing.Wait()
	if time.Now().After(due) {
		c.t.Error("the jobs were enqueued too late to be due at once")
	}
	return b
}

// ledgersOn returns so many ledgers that live on a worker, by id.
func (c *cluster) ledgersOn(w *worker, count int) (ids []string) {
	c.t.Helper()
	for n := 0; len(ids) < count; n++ {
		id := fmt.Sprintf("ledger %05d", n)
		if c.askLedger(id).GetProcess() == int64(w.current().cmd.Process.Pid) {
			ids = append(ids, id)
		}
		if n > 20*count {
			c.t.Fatal("one of two workers has no actors")
		}
	}
	return ids
}

// check wants every job that does no harm to have taken effect once, and those that fail to
// be dead letters that say why.
func (b *jobBatch) check(why string) {
	b.cluster.t.Helper()
	for i, ledger := range b.ledgers {
		harm, harmful := b.harms[i]
		if harm == chaosv1.BreakRequest_HARM_HANG {
			continue // it holds its actor
		}
		noted := b.cluster.ledgerState(ledger).GetNoted()[ledger]
		if harmful && noted != 0 || !harmful && noted != 1 {
			b.cluster.t.Errorf("the job of %s, harm %v, has taken effect %d times", ledger, harm, noted)
		}
		if harmful {
			b.checkLetter(ledger, why)
		}
	}
}

// checkLetter wants a ledger to have one dead letter.
func (b *jobBatch) checkLetter(ledger, why string) {
	b.cluster.t.Helper()
	n := 0
	for letter, err := range b.cluster.workers[0].ledger(ledger).DeadLetters(b.cluster.ctx) {
		n++
		if err != nil || letter.Failures != attempts || !strings.Contains(letter.Error, why) || letter.Job == "" || letter.Died.IsZero() {
			b.cluster.t.Errorf("the dead letter of %s is %+v, %v; want %d attempts and %q", ledger, letter, err, attempts, why)
		}
	}
	if n != 1 {
		b.cluster.t.Errorf("%s has %d dead letters, want 1", ledger, n)
	}
}
