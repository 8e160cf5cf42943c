package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
)

// Connections are ended and the server is restarted while two runtimes commit for actors
// that send each record until it is answered: nothing that was acknowledged is lost, and
// nothing is there twice.
func TestServerComesAndGoes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	database := server.Database(t)
	stores := [2]*Store{mustOpen(t, Config{ConnectionString: database}), mustOpen(t, Config{ConnectionString: database})}
	own(t, stores[0], "w1")

	ctx, stop := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	actors := make([]*actor, 16)
	for i := range actors {
		actors[i] = &actor{id: fmt.Sprint("a", i), activation: uint64(i) + 1, stores: stores}
		writing.Go(func() { actors[i].run(ctx, t) })
	}
	progress := func() {
		total := func() (n uint64) {
			for _, a := range actors {
				n += a.acknowledged.Load()
			}
			return n
		}
		for began, limit := total(), time.Now().Add(time.Minute); total() < began+100; {
			if time.Now().After(limit) {
				t.Fatal("nothing is committed any more")
			}
			time.Sleep(time.Millisecond) // real time: a server is at work
		}
	}
	restarts := 4
	if testing.Short() {
		restarts = 2
	}
	for i := range restarts {
		for range 5 {
			progress()
			endSessions(t, database)
		}
		progress()
		if i%2 == 0 {
			server.Restart(t, pgtest.Immediate)
		} else {
			server.Restart(t, pgtest.Fast)
		}
	}
	progress()
	stop()
	writing.Wait()
	resent := uint64(0)
	for _, a := range actors {
		resent += a.resent
		state := loadOne(t, stores[1], "w1", a.id).GetState()
		if state.GetVersion() != a.acknowledged.Load() || string(state.GetData()) != fmt.Sprint(a.acknowledged.Load()) {
			t.Errorf("actor %s has version %d and state %s after %d acknowledged records", a.id, state.GetVersion(), state.GetData(), a.acknowledged.Load())
		}
	}
	t.Logf("%d records had to be sent again", resent)
}

// endSessions ends all sessions of the store.
func endSessions(t *testing.T, database string) {
	t.Helper()
	c, err := pgx.Connect(context.Background(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'francis'`); err != nil {
		t.Fatal(err)
	}
}

// actor commits one record after the other.
type actor struct {
	id         string
	activation uint64
	stores     [2]*Store

	acknowledged atomic.Uint64
	resent       uint64
}

func (a *actor) run(ctx context.Context, t *testing.T) {
	base := (*runtimev1.Identity)(nil)
	for n := uint64(1); ctx.Err() == nil; n++ {
		next := identity(a.activation, n)
		if !a.send(t, n, record(a.id, base, next, fmt.Append(nil, n))) {
			return
		}
		base = next
		a.acknowledged.Add(1)
	}
}

// send sends a record until it is answered, to one runtime and then to the other.
func (a *actor) send(t *testing.T, n uint64, r *runtimev1.Record) bool {
	for tries := n; ; tries++ {
		results, _, err := a.stores[tries%2].Commit(context.Background(), "w1", []*runtimev1.Record{r})
		switch {
		case errors.Is(err, store.ErrAway):
			a.resent++
			continue
		case err != nil:
			t.Errorf("record %d of %s: %v", n, a.id, err)
			return false
		}
		switch verdict := results[0].GetVerdict(); verdict {
		case runtimev1.Verdict_VERDICT_APPLIED, runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
			return true
		default:
			t.Errorf("record %d of %s: %v", n, a.id, verdict)
			return false
		}
	}
}

// A runtime that was stopped in the middle of a transaction does not hold its shards for
// longer than the server waits for it.
func TestStoppedRuntimeHoldsNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	database := server.Database(t)
	other := mustOpen(t, Config{ConnectionString: database})
	own(t, other, "w1")
	stopped, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := mustOpen(t, Config{ConnectionString: database, judged: func() {
		once.Do(func() {
			close(stopped)
			<-goOn
		})
	}})
	verdict := make(chan runtimev1.Verdict)
	go func() {
		results, _, err := s.Commit(context.Background(), "w1", []*runtimev1.Record{record("a", nil, identity(1, 1), []byte("x"))})
		if err != nil {
			t.Error(err)
			close(verdict)
			return
		}
		verdict <- results[0].GetVerdict()
	}()
	<-stopped
	if _, _, err := other.Evict(t.Context(), "w1", nil); err != nil {
		t.Errorf("the worker of the stopped runtime cannot be evicted: %v", err)
	}
	close(goOn)
	if got := <-verdict; got != runtimev1.Verdict_VERDICT_STALE_EPOCH {
		t.Errorf("the record of before: %v", got)
	}
}

// Without the server calls fail, by name and soon, and go on when it is back.
func TestServerAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := mustOpen(t, Config{ConnectionString: server.Database(t)})
	own(t, s, "w1")
	server.Stop(t, pgtest.Immediate)
	if _, err := s.Shards(t.Context()); !errors.Is(err, store.ErrAway) {
		t.Errorf("shards without a server: %v", err)
	}
	if err := s.Beat(t.Context(), "w1"); !errors.Is(err, store.ErrAway) {
		t.Errorf("a beat without a server: %v", err)
	}
	if _, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{record("a", nil, identity(1, 1), nil)}); !errors.Is(err, store.ErrAway) {
		t.Errorf("a record without a server: %v", err)
	}
	server.Launch(t)
	if err := s.Beat(t.Context(), "w1"); err != nil {
		t.Errorf("a beat when the server is back: %v", err)
	}
}
