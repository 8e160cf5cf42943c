package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// commons is a store that several engines share.
type commons struct{ *memory.Store }

func (c commons) Placements(ctx context.Context) (store.Placements, error) {
	cluster, err := c.Cluster(ctx)
	return store.Placements{Changes: uint64(cluster.Counter)}, err
}

// settled is long enough for every engine to see what another one has done.
const settled = 2 * followInterval

// Workers of two engines on one store see each other, share the shards, and inherit from
// each other, whichever engine they have joined.
func TestTwoEnginesOfOneStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := commons{memory.New()}
		one, two := start(t, Config{Store: shared}), start(t, Config{Store: shared})
		a, b := one.join("cart"), two.join("cart")
		time.Sleep(settled)
		for _, m := range []*member{a, b} {
			m.look()
			if workers := m.table.Workers(); len(workers) != 2 {
				t.Errorf("a worker sees the workers %v", workers)
			}
		}
		handOver(a, b)
		time.Sleep(settled)
		for _, m := range []*member{a, b} {
			m.look()
			if owned, moving := m.owned("cart"); len(owned) != placement.Shards/2 || len(moving) != 0 {
				t.Errorf("a worker owns %d shards, and %d are moving", len(owned), len(moving))
			}
		}

		a.quiet() // engine one has admitted it; either may judge
		time.Sleep(10 * time.Second)
		b.look()
		if owned, _ := b.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("the worker that is left owns %d shards", len(owned))
		}

		if err := two.stop(); err != nil {
			t.Fatal(err)
		}
		again := &member{Worker: one.Worker(b.id), h: one, table: b.table, quiet: func() {}}
		again.look()
		if owned, _ := again.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("seen through the other engine it owns %d shards", len(owned))
		}
	})
}

// slowReads is a shared store whose answer about the workers is held back while it is slow.
type slowReads struct {
	commons

	slow    atomic.Bool
	release chan struct{}
}

func (s *slowReads) Workers(ctx context.Context) ([]store.Member, error) {
	members, err := s.commons.Workers(ctx)
	if s.slow.CompareAndSwap(true, false) {
		<-s.release
	}
	return members, err
}

// Who has joined at another engine is not taken for dead by the judge, who has read the
// store before that and is slower than who read it after that, nor by anybody else who reads
// it. Breaks where readings overlap.
func TestALateReadBuriesNobody(t *testing.T) {
	t.Parallel()
	for who, reads := range map[string]func(h *harness) error{
		"a planner": func(h *harness) error { return h.read(h.t.Context()) },
		"the judge": func(h *harness) error {
			_, err := h.look(h.t.Context(), func() time.Duration { return 0 })
			return err
		},
	} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared := &slowReads{commons: commons{memory.New()}, release: make(chan struct{})}
				h := start(t, Config{Store: shared})
				time.Sleep(settled)
				shared.slow.Store(true)
				early := make(chan error, 1)
				go func() { early <- reads(h) }()
				synctest.Wait()
				if _, err := shared.AddWorker(t.Context(), &runtimev1.Worker{Id: "elsewhere"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(settled) // the engine follows, or wants to
				close(shared.release)
				if err := <-early; err != nil {
					t.Fatal(err)
				}
				time.Sleep(settled)
				if workers := h.board.table().Workers(); h.board.gone("elsewhere") || len(workers) != 1 {
					t.Errorf("the workers are %v; want the one that has joined elsewhere", workers)
				}
			})
		})
	}
}

// cutOff is a shared store that says nothing once it is.
type cutOff struct {
	commons

	is atomic.Bool
}

func (c *cutOff) Placements(ctx context.Context) (store.Placements, error) {
	if c.is.Load() {
		<-ctx.Done()
		return store.Placements{}, ctx.Err()
	}
	return c.commons.Placements(ctx)
}

// Whoever watches at an engine that is cut off from the store is told so, instead of that
// nothing has changed. Breaks without current.
func TestAWatchEndsWithoutTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &cutOff{commons: commons{memory.New()}}
		h := start(t, Config{Store: shared})
		h.join("cart")
		caller := h.Worker("a-client")
		watch := func(cursor string) (*runtimev1.WatchResponse, error) {
			return caller.Watch(t.Context(), &runtimev1.WatchRequest{Cursor: cursor})
		}
		time.Sleep(settled)
		table, err := watch("")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := watch(table.GetCursor()); err != nil || again.GetCursor() != table.GetCursor() || len(again.GetShards()) > 0 {
			t.Errorf("without news it is told %v, %v", again, err)
		}
		shared.is.Store(true)
		began := time.Now()
		if again, err := watch(table.GetCursor()); err == nil {
			t.Errorf("cut off it is told %v", again)
		}
		if took := time.Since(began); took > watchPatience+h.cfg.Lease+time.Second {
			t.Errorf("it hears of it after %v", took)
		}
	})
}

// handOver lets workers release what is to move, until nothing is.
func handOver(members ...*member) {
	for moved := true; moved; {
		moved = false
		for _, m := range members {
			m.look()
			if _, moving := m.owned("cart"); len(moving) > 0 {
				m.release(releases(moving))
				moved = true
				time.Sleep(settled)
			}
		}
	}
}
