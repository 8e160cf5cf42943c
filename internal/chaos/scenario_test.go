//go:build unix

package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/sdk"
)

// A scenario brings about the one situation in which a guarantee is needed, and reports
// every breach of it. With the guarantee it reports none, and without, some: see
// TestGuaranteesAreNoticed.
type scenario func(c *cluster) (breaches []string)

// subjects are how many actors a scenario tries at the same time.
const subjects = 8

// play lets a scenario happen and wants no breach.
func play(t *testing.T, s scenario, fault, found string) {
	t.Helper()
	start(t, 2).play(s, fault, found)
}

func (c *cluster) play(s scenario, fault, found string) {
	c.t.Helper()
	for _, breach := range s(c) {
		c.t.Error(breach)
	}
	c.show(fault, found)
}

// T4 and G1: a worker is stopped in the middle of turns, for longer than its lease.
// Another one has the actors and serves them; then the first one goes on, and what its
// turns leave must not count.
func TestT4StaleTurnsAreRefused(t *testing.T) {
	play(t, staleTurns, "`SIGSTOP` of a worker mid-turn until another one has served its actors, then `SIGCONT` (G1)",
		fmt.Sprintf("%d actors: every stale turn was refused, and what was acknowledged is what is there", subjects))
}

func staleTurns(c *cluster) []string {
	const size = 4 << 10 // of each record, so that one sees them pass
	owner, other, ids := c.divide()
	var breaches breaches
	stale := make([]error, len(ids))
	var turns sync.WaitGroup
	for i, id := range ids {
		c.pad(owner, id, size)
		turns.Go(func() {
			_, stale[i] = other.add(c.ctx, id, &chaosv1.AddRequest{In: 100, Pause: durationpb.New(time.Second)}, sdk.WithoutRetries())
		})
	}
	for _, id := range ids {
		owner.awaitTurn(id)
	}
	owner.current().signal(syscall.SIGSTOP)
	owner.cut(mute) // it shall not hear that it is dead before it has sent what it has
	acknowledged := make([]int64, len(ids))
	for i, id := range ids { // half of them are only read: then no later record is in the way of the stale one
		if i%2 == 0 {
			acknowledged[i] = c.addOnce(other, id, "meanwhile")
		}
		if got := c.read(other, id); got != acknowledged[i] {
			breaches.add("%s is %d and %d was acknowledged, while its owner is stopped", id, got, acknowledged[i])
		}
	}
	sent := owner.sent()
	owner.current().signal(syscall.SIGCONT)
	c.await("the records of the stale turns are sent", func() bool { return owner.sent()-sent > int64(len(ids)*size) })
	c.addOnce(other, "bystander", "later") // a commit after them
	owner.cut(whole)
	turns.Wait()
	c.await("the worker is told", func() bool { return strings.Contains(owner.current().output.String(), "declared dead by the runtime") })
	for i, id := range ids {
		if stale[i] == nil {
			breaches.add("a stale turn of %s was acknowledged", id)
		}
		c.addOnce(other, id, "after")
		if got := c.read(other, id); got != acknowledged[i]+1 {
			breaches.add("%s is %d and %d was acknowledged", id, got, acknowledged[i]+1)
		}
	}
	return breaches
}

// T4 and G4: a worker is stopped while others change its actors. What it is asked when it
// goes on, it must not answer from memory.
func TestT4ResumedWorkerAnswersNothingStale(t *testing.T) {
	play(t, resumedViews, "`SIGSTOP` of a worker; others change its actors; it finds requests to read them when it goes on (G4)",
		fmt.Sprintf("%d actors: no answer is older than what was acknowledged before the question", subjects))
}

func resumedViews(c *cluster) []string {
	owner, other, ids := c.divide()
	for _, id := range ids {
		c.read(owner, id) // it is in memory
	}
	owner.current().signal(syscall.SIGSTOP)
	for _, id := range ids {
		c.addOnce(other, id, "meanwhile")
	}
	var breaches breaches
	var asked, answered sync.WaitGroup
	for _, id := range ids {
		asked.Add(1)
		sent := sync.OnceFunc(asked.Done)
		answered.Go(func() {
			defer sent()
			ctx := httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }})
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			res, err := owner.proxy(id).Read(ctx, &chaosv1.ReadRequest{}, sdk.WithoutRetries())
			if err == nil && res.GetValue() != 1 {
				breaches.add("%s is answered to be %d after 1 was acknowledged", id, res.GetValue())
			}
		})
	}
	asked.Wait()
	owner.current().signal(syscall.SIGCONT)
	answered.Wait()
	return breaches
}

// T2 and G6: what was acknowledged while the runtime could not answer is there after all
// workers were killed.
func TestT2AcknowledgedMeansCommitted(t *testing.T) {
	play(t, earlyReplies, "`SIGSTOP` of the runtime, calls, `kill -9` of all workers, `SIGCONT` of the runtime (G6)",
		fmt.Sprintf("%d actors: nothing was acknowledged that is not there", subjects))
}

func earlyReplies(c *cluster) []string {
	owner, _, ids := c.divide()
	c.runtimes[0].current().signal(syscall.SIGSTOP)
	acknowledged := make([]int64, len(ids))
	var calls sync.WaitGroup
	for i, id := range ids {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(c.ctx, lease/2)
			defer cancel()
			for range 2 { // the first record lies in a socket, and is committed in the end; the second waits in its worker
				res, err := owner.proxy(id).Add(ctx, &chaosv1.AddRequest{In: 1}, sdk.WithoutRetries())
				if err != nil {
					return
				}
				acknowledged[i] = res.GetValue()
			}
		})
	}
	calls.Wait()
	for _, w := range c.workers {
		w.current().kill()
	}
	c.runtimes[0].current().signal(syscall.SIGCONT)
	for _, w := range c.workers {
		w.restart()
	}
	var breaches breaches
	for i, id := range ids {
		if got := c.read(owner, id); got < acknowledged[i] {
			breaches.add("%s is %d and %d was acknowledged", id, got, acknowledged[i])
		}
	}
	return breaches
}

// T3 and G13: the runtime is killed and comes back. It declares nobody dead whom it did not
// wait for: actors stay where they are.
func TestT3RestartIsNobodysDeath(t *testing.T) {
	play(t, restarts, "`kill -9` of the runtime, and a lease of waiting (G13)",
		fmt.Sprintf("%d actors: none was activated anew", subjects))
}

func restarts(c *cluster) []string {
	owner, _, ids := c.divide()
	activation := func(id string) uint64 {
		res, err := owner.add(c.ctx, id, &chaosv1.AddRequest{In: 1}, sdk.WithIdempotencyKey(rand.Text()))
		if err != nil {
			c.t.Errorf("%s: %v", id, err)
		}
		return res.GetActivation()
	}
	before := map[string]uint64{}
	for _, id := range ids {
		before[id] = activation(id)
	}
	c.runtimes[0].current().kill()
	c.runtimes[0].start()
	rest(c.ctx, lease)
	var breaches breaches
	for _, id := range ids {
		if after := activation(id); after != before[id] {
			breaches.add("%s was activated anew", id)
		}
	}
	return breaches
}

// T6 and G7: the answers of a worker are lost after the turns were committed. Calls that
// have a key are made again, and take effect once.
func TestT6LostAnswersOfKeyedCalls(t *testing.T) {
	play(t, lostAnswers, "a link that swallows the answers of turns that are committed; every call has a key (G7)",
		fmt.Sprintf("%d actors: every call was repeated and took effect once", subjects))
}

func lostAnswers(c *cluster) []string {
	owner, other, ids := c.divide()
	owner.peers.set(mute)
	var breaches breaches
	var calls sync.WaitGroup
	for _, id := range ids {
		calls.Go(func() {
			if got := c.addOnce(other, id, "answer lost"); got != 1 {
				breaches.add("a call that adds 1 to %s made it %d", id, got)
			}
		})
	}
	for _, id := range ids {
		c.await(id+" is committed", func() bool { return c.read(owner, id) > 0 })
	}
	owner.peers.set(whole)
	calls.Wait()
	for _, id := range ids {
		if got := c.read(owner, id); got != 1 {
			breaches.add("one call added 1 to %s, and it is %d", id, got)
		}
	}
	return breaches
}

// T2 and G9: a worker is killed when the turns of its alarms and jobs are committed, and
// others have its actors. None of them comes once more.
func TestT2CommittedTasksAreOver(t *testing.T) {
	play(t, committedTasks, "`kill -9` of a worker whose alarms and jobs are committed (G9)",
		fmt.Sprintf("%d alarms and jobs: none came once more", subjects))
}

func committedTasks(c *cluster) []string {
	c.awaitSpread()
	owner, other := c.workers[0], c.workers[1]
	ids := c.ledgersOn(owner, subjects)
	for i, id := range ids {
		var err error
		if note := (&chaosv1.NoteRequest{Entry: id}); i%2 == 0 {
			err = other.ledger(id).ScheduleNote(c.ctx, id, sdk.After(0), note)
		} else {
			_, err = other.ledger(id).EnqueueNote(c.ctx, note)
		}
		if err != nil {
			c.t.Errorf("%s: %v", id, err)
		}
	}
	noted := func(id string) uint32 { return c.askLedger(id).GetState().GetNoted()[id] } // what is committed
	for _, id := range ids {
		c.await(id+" has noted it", func() bool { return noted(id) > 0 })
	}
	owner.current().kill()
	owner.restart()
	c.await("nothing is left, or something has come once more", func() bool {
		left, _ := c.tasks()
		return left == 0 || slices.ContainsFunc(ids, func(id string) bool { return noted(id) > 1 })
	})
	var breaches breaches
	for _, id := range ids {
		if n := noted(id); n != 1 {
			breaches.add("%s has noted one alarm or job %d times", id, n)
		}
	}
	return breaches
}

// breaches may be added to concurrently.
type breaches []string

var adding sync.Mutex

func (b *breaches) add(format string, args ...any) {
	adding.Lock()
	defer adding.Unlock()
	*b = append(*b, fmt.Sprintf(format, args...))
}

// divide returns a worker, another one, and the ids of actors that live on the first one.
func (c *cluster) divide() (owner, other *worker, ids []string) {
	c.t.Helper()
	c.awaitSpread()
	owner, other = c.workers[0], c.workers[1]
	for n := 0; len(ids) < subjects; n++ {
		id := "subject " + strconv.Itoa(n)
		res, err := other.add(c.ctx, id, &chaosv1.AddRequest{})
		if err != nil {
			c.t.Fatal(err)
		}
		if res.GetProcess() == int64(owner.current().cmd.Process.Pid) {
			ids = append(ids, id)
		}
		if n > 1_000 {
			c.t.Fatal("one of two workers has no actors")
		}
	}
	return owner, other, ids
}

// awaitSpread waits until every worker has its share of the shards of each type and none is
// on its way to another one, as the database says.
func (c *cluster) awaitSpread() {
	c.t.Helper()
	db := c.open()
	defer db.Close()
	even := fmt.Sprintf(`SELECT count(*) = %d * (SELECT count(*) FROM types) AND max(n) - min(n) <= 1 AND sum(moving) = 0
		FROM (SELECT count(*) AS n, count(CASE WHEN next <> '' THEN 1 END) AS moving FROM shards GROUP BY type, worker) AS owners`, len(c.workers))
	c.await("the shards are spread", func() bool {
		var spread bool
		err := db.QueryRowContext(c.ctx, even).Scan(&spread)
		return err == nil && spread
	})
}

// awaitTurn waits until a turn of an actor waits in the worker.
func (w *worker) awaitTurn(id string) {
	w.cluster.t.Helper()
	w.cluster.await("a turn of "+id, func() bool { return strings.Contains(w.current().output.String(), "turn of "+id+"\n") })
}

// addOnce adds 1 to an actor, with a key that is used once for each purpose, and returns
// the number after it.
func (c *cluster) addOnce(w *worker, id, purpose string) int64 {
	c.t.Helper()
	res, err := w.add(c.ctx, id, &chaosv1.AddRequest{In: 1}, sdk.WithIdempotencyKey(purpose))
	if err != nil {
		c.t.Errorf("%s: %v", id, err)
	}
	return res.GetValue()
}

// pad makes the state of an actor larger.
func (c *cluster) pad(w *worker, id string, bytes int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	if _, err := w.proxy(id).Write(ctx, &chaosv1.WriteRequest{Padding: make([]byte, bytes)}); err != nil {
		c.t.Errorf("%s: %v", id, err)
	}
}

// read reads an actor.
func (c *cluster) read(w *worker, id string) int64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	res, err := w.proxy(id).Read(ctx, &chaosv1.ReadRequest{})
	if err != nil {
		c.t.Errorf("%s: %v", id, err)
	}
	return res.GetValue()
}

// Each guarantee, switched off, is missed in its scenario.
func TestGuaranteesAreNoticed(t *testing.T) {
	notShort(t)
	for _, test := range []struct {
		tag      string
		play     scenario
		topology topology
	}{
		{tag: "without_g1", play: staleTurns},
		{tag: "without_g4", play: resumedViews},
		{tag: "without_g5", play: renewalsBeforeDecrees, topology: twoRuntimes},
		{tag: "without_g6", play: earlyReplies},
		{tag: "without_g7", play: lostAnswers},
		{tag: "without_g9", play: committedTasks},
		{tag: "without_g13", play: restarts},
	} {
		t.Run(test.tag, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			breaches := test.play(launch(t, setup{topology: test.topology, workers: 2, tags: test.tag}))
			if len(breaches) == 0 {
				t.Error("nobody noticed that the guarantee is switched off")
			}
			t.Log(strings.Join(breaches, "\n"))
		})
	}
}
