package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no store":       {},
		"short lease":    {Store: memory.New(), Lease: time.Second},
		"long lease":     {Store: memory.New(), Lease: time.Hour},
		"negative moves": {Store: memory.New(), MovesInFlight: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	e, err := New(Config{Store: memory.New()})
	if err != nil || e.cfg.Lease != 5*time.Second || e.cfg.MovesInFlight != 16 || e.cfg.Logger == nil {
		t.Errorf("defaults %+v, %v", e.cfg, err)
	}
}

func TestRunRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		synctest.Wait()
		if err := h.Run(t.Context()); err == nil {
			t.Error("Run ran twice")
		}
		if err := h.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFirstWorkerOwnsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart", "user")
		began := time.Now()
		a.look()
		for _, typ := range types {
			if owned, moving := a.owned(typ); len(owned) != placement.Shards || len(moving) != 0 {
				t.Errorf("owns %d shards of %s, %d are moving", len(owned), typ, len(moving))
			}
		}
		if time.Since(began) != 0 {
			t.Errorf("it took %v of waiting", time.Since(began))
		}
	})
}

// A worker that joins receives its share in steps of at most 16, each as soon as the
// owner has released the one before.
func TestJoinMovesGradually(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		a.look()
		b := h.join("cart")
		steps := 0
		for ; ; steps++ {
			a.look()
			_, moving := a.owned("cart")
			if len(moving) == 0 {
				break
			}
			if len(moving) > 16 {
				t.Fatalf("%d shards are moving", len(moving))
			}
			for _, shard := range a.release(releases(moving)) {
				if shard.GetWorker() != b.id || shard.GetEpoch() != 2 {
					t.Fatalf("released to %v", shard)
				}
			}
		}
		b.look()
		if owned, _ := b.owned("cart"); len(owned) != placement.Shards/2 || steps != 8 {
			t.Errorf("b owns %d shards after %d steps", len(owned), steps)
		}
	})
}

func TestSilentWorkerDiesByDecree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		a.look()
		b := h.join("cart")
		b.look()
		began := time.Now()
		a.quiet()
		for slices.Contains(b.table.Workers(), a.id) {
			b.watch()
		}
		if took := seconds(began); took < 5 || took > 6 {
			t.Errorf("the decree took %v s; a lease and at most a second are right", took)
		}
		b.look()
		owned, _ := b.owned("cart")
		if len(owned) != placement.Shards || owned[0].GetEpoch() != 2 {
			t.Errorf("b owns %d shards, the first at epoch %d; each should be its own at epoch 2, in one step", len(owned), owned[0].GetEpoch())
		}
		answer, err := a.Renew(t.Context(), &runtimev1.RenewRequest{})
		if !answer.GetDead() || err != nil {
			t.Errorf("a renewal of the dead is answered %v, %v", answer, err)
		}
		_, err = a.Announce(t.Context(), announcement("a:1", "cart"))
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
		_, err = a.Watch(t.Context(), &runtimev1.WatchRequest{})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
		if shards := a.release(releases(owned[:1])); shards[0].GetWorker() != b.id || shards[0].GetEpoch() != 2 {
			t.Errorf("the dead gives away what is not its own: %v", shards)
		}
	})
}

// The watch of a worker ends when it is declared dead, not half a minute later.
func TestWatchOfTheDeadEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		a.look()
		a.quiet()
		_, err := a.Watch(t.Context(), &runtimev1.WatchRequest{Cursor: a.cursor})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
	})
}

func TestLeaseSetsTheFailover(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{2 * time.Second, 60 * time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := start(t, Config{Lease: d})
				a, b := h.join(), h.join()
				if answer, err := a.Renew(t.Context(), nil); err != nil || answer.GetDead() {
					t.Errorf("renewed: %v, %v", answer, err)
				}
				b.look()
				began := time.Now()
				a.quiet()
				for slices.Contains(b.table.Workers(), a.id) {
					b.watch()
				}
				if took := time.Since(began); took < d || took > d+d/5 {
					t.Errorf("the decree took %v", took)
				}
			})
		})
	}
}

// A runtime that starts again leaves everybody the whole of a lease.
func TestRestartGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeps := memory.New()
		h := start(t, Config{Store: keeps})
		a := h.join("cart")
		a.quiet()
		time.Sleep(4 * time.Second)
		_ = h.stop()
		time.Sleep(time.Minute)

		h = start(t, Config{Store: keeps})
		a = &member{Worker: h.Worker(a.id), h: h, table: new(placement.Table), quiet: a.quiet}
		a.look()
		if owned, _ := a.owned("cart"); len(owned) != placement.Shards || owned[0].GetEpoch() != 1 {
			t.Errorf("after the restart a owns %d shards", len(owned))
		}
		time.Sleep(5 * time.Second)
		if answer, err := a.Renew(t.Context(), nil); answer.GetDead() || err != nil {
			t.Errorf("dead %v, %v within a lease of the restart", answer.GetDead(), err)
		}
		time.Sleep(6 * time.Second)
		if answer, err := a.Renew(t.Context(), nil); !answer.GetDead() || err != nil {
			t.Errorf("dead %v, %v a lease after the last renewal", answer.GetDead(), err)
		}
	})
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		synctest.Wait()
		if answer := a.watch(); !answer.GetComplete() || len(answer.GetTypes()) != 1 || len(answer.GetWorkers()) != 1 || len(answer.GetShards()) != placement.Shards {
			t.Fatalf("the first answer is not the whole table: %d shards", len(answer.GetShards()))
		}
		began, cursor := time.Now(), a.cursor
		if answer := a.watch(); seconds(began) != 30 || answer.GetComplete() || answer.GetCursor() != cursor || len(answer.GetShards()) != 0 {
			t.Errorf("without news: after %v s %v", seconds(began), answer)
		}
		go func() {
			time.Sleep(3 * time.Second)
			h.admit()
		}()
		began = time.Now()
		if answer := a.watch(); seconds(began) != 3 || answer.GetComplete() || len(answer.GetWorkers()) != 1 || len(answer.GetShards()) != 0 {
			t.Errorf("with news: after %v s %v", seconds(began), answer)
		}
		a.cursor = "what a runtime before this one said"
		if answer := a.watch(); !answer.GetComplete() {
			t.Error("the answer to an unknown cursor is not complete")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Watch(ctx, &runtimev1.WatchRequest{Cursor: a.cursor})
		expectError(t, err, connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE)
	})
}

func TestRunDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := newBroken()
		slow.blocks = make(chan struct{})
		h := start(t, Config{Store: slow})
		a := h.join("cart")
		a.look()
		var committed, watched error
		var requests sync.WaitGroup
		requests.Go(func() { _, watched = a.Watch(t.Context(), &runtimev1.WatchRequest{Cursor: a.cursor}) })
		requests.Go(func() {
			_, committed = a.Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{record(0, 1)}})
		})
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- h.stop() }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("Run ended while a commit was running")
		default:
		}
		_, err := a.Renew(t.Context(), nil)
		expectError(t, err, connect.CodeUnavailable, francisv1.Reason_REASON_SHUTTING_DOWN)
		_, err = h.Admit(t.Context())
		expectError(t, err, connect.CodeUnavailable, francisv1.Reason_REASON_SHUTTING_DOWN)
		close(slow.blocks)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		requests.Wait()
		if committed != nil {
			t.Error(committed)
		}
		expectError(t, watched, connect.CodeUnavailable, francisv1.Reason_REASON_SHUTTING_DOWN)
	})
}

func TestRunEndsWithTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := newBroken()
		h := start(t, Config{Store: failing})
		synctest.Wait()
		close(failing.failed)
		synctest.Wait()
		if err := h.stop(); !errors.Is(err, store.ErrFatal) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// A request that comes before the store has been read waits.
func TestStartWithAStoreThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := newBroken()
		failing.set(store.ErrFull)
		h := start(t, Config{Store: failing})
		began := time.Now()
		go func() {
			time.Sleep(2500 * time.Millisecond)
			failing.set(nil)
		}()
		a := h.join("cart")
		if took := seconds(began); took != 3 {
			t.Errorf("announced after %v s", took)
		}
		a.look()
		if owned, _ := a.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("owns %d shards", len(owned))
		}
	})
}

func TestPlannerRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := newBroken()
		h := start(t, Config{Store: failing})
		synctest.Wait()
		failing.set(store.ErrFull)
		a := h.join("cart")
		time.Sleep(10 * time.Second)
		failing.set(nil)
		time.Sleep(time.Second)
		a.look()
		if owned, _ := a.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("owns %d shards a second after the store works again", len(owned))
		}
	})
}

// Nobody is declared dead for what the store failed to take or to tell.
func TestNobodyDiesOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := newBroken()
		h := start(t, Config{Store: failing})
		a := h.join("cart")
		a.look()
		failing.set(errors.New("connection reset"))
		time.Sleep(time.Hour)
		_, err := a.Renew(t.Context(), nil)
		expectError(t, err, connect.CodeUnavailable, francisv1.Reason_REASON_STORE_FAILED)
		failing.set(nil)
		time.Sleep(time.Minute)
		a.look()
		if owned, _ := a.owned("cart"); len(owned) != placement.Shards || owned[0].GetEpoch() != 1 {
			t.Errorf("owns %d shards", len(owned))
		}
	})
}

// A release whose answer was lost has happened; the engine finds out by itself.
func TestLostAnswerOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := newBroken()
		h := start(t, Config{Store: failing})
		a := h.join("cart")
		a.look()
		owned, _ := a.owned("cart")
		failing.set(errors.New("connection reset"))
		_, err := a.Release(t.Context(), releases(owned[:3]))
		expectError(t, err, connect.CodeUnavailable, francisv1.Reason_REASON_STORE_FAILED)
		failing.set(nil)
		time.Sleep(2 * time.Second)
		a.look()
		for _, shard := range a.table.Shards("cart")[:3] {
			if shard.GetWorker() != a.id || shard.GetEpoch() != 3 {
				t.Errorf("released to nobody and given again: %v", shard)
			}
		}
	})
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a, b := h.join("cart"), h.join("cart")
		a.look()
		owned, _ := a.owned("cart")
		req := releases(owned)
		req.Leaving = true
		for range 2 { // the answer to a repetition is the same
			shards := a.release(req)
			for i, shard := range shards {
				if shard.GetWorker() != b.id || shard.GetEpoch() != 2 || shard.GetShard() != owned[i].GetShard() {
					t.Fatalf("shard %d was released to %v", i, shard)
				}
			}
			if len(shards) != len(owned) {
				t.Errorf("%d of %d releases are answered", len(shards), len(owned))
			}
		}
		b.look()
		if !b.table.Worker(a.id).GetLeaving() {
			t.Error("a is not known to leave")
		}
		for range 2 {
			if _, err := a.Leave(t.Context(), nil); err != nil {
				t.Error(err)
			}
		}
		b.look()
		if got := b.table.Workers(); !slices.Equal(got, []string{b.id}) {
			t.Errorf("workers %v", got)
		}
		if owned, _ := b.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("b owns %d shards", len(owned))
		}
	})
}

// Who leaves without a release still leaves nothing unowned.
func TestLeaveWithoutRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a, b := h.join("cart"), h.join("cart")
		b.look()
		if _, err := a.Leave(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		b.look()
		if owned, _ := b.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("b owns %d shards", len(owned))
		}
		if _, err := b.Leave(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		c := h.join("cart")
		c.look()
		if owned, _ := c.owned("cart"); len(owned) != placement.Shards {
			t.Errorf("c owns %d shards of what nobody had", len(owned))
		}
	})
}

// A shard that is released though nobody was to have it gets an owner in the answer.
func TestReleaseWithoutNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		a.look()
		owned, _ := a.owned("cart")
		for _, shard := range a.release(releases(owned[:2])) {
			if shard.GetWorker() != a.id || shard.GetEpoch() != 3 {
				t.Errorf("got %v", shard)
			}
		}
		unknown := releases([]*runtimev1.Shard{{Type: "nothing"}, {Type: "cart", Shard: 9999}})
		if shards := a.release(unknown); len(shards) != 0 {
			t.Errorf("unknown shards are answered with %v", shards)
		}
		_, err := a.Release(t.Context(), &runtimev1.ReleaseRequest{Releases: make([]*runtimev1.ReleaseRequest_Release, 4097)})
		expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_TOO_LARGE)
	})
}

func TestAnnounceRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.admit()
		cart := func(change func(*runtimev1.ActorType)) *runtimev1.AnnounceRequest {
			req := announcement("a:1", "cart")
			change(req.GetTypes()[0])
			return req
		}
		for name, req := range map[string]*runtimev1.AnnounceRequest{
			"no address":         announcement("", "cart"),
			"no port":            announcement("a", "cart"),
			"port 0":             announcement("a:0", "cart"),
			"port too large":     announcement("a:65536", "cart"),
			"no host":            announcement(":80", "cart"),
			"listening address":  announcement("0.0.0.0:80", "cart"),
			"listening address6": announcement("[::]:80", "cart"),
			"a type twice":       announcement("a:1", "cart", "cart"),
			"a wrong type":       cart(func(typ *runtimev1.ActorType) { typ.Name = "no/type" }),
			"no type":            cart(func(typ *runtimev1.ActorType) { typ.Name = "" }),
			"no service":         cart(func(typ *runtimev1.ActorType) { typ.Service = "" }),
			"another service":    cart(func(typ *runtimev1.ActorType) { typ.Service = "test.Other" }),
			"no files":           cart(func(typ *runtimev1.ActorType) { typ.Files = nil }),
			"damaged files": cart(func(typ *runtimev1.ActorType) {
				typ.Files.File[0].Dependency = []string{"missing.proto"}
			}),
		} {
			_, err := a.Announce(t.Context(), req)
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED)
		}
		_, err := a.Announce(t.Context(), &runtimev1.AnnounceRequest{Address: "a:1", Types: make([]*runtimev1.ActorType, 1025)})
		expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_TOO_LARGE)
		_, err = h.Worker("nobody").Announce(t.Context(), announcement("a:1", "cart"))
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
		for _, address := range []string{"a:1", "10.0.0.1:80", "[::1]:80"} {
			if _, err := a.Announce(t.Context(), announcement(address, "cart")); err != nil {
				t.Error(err)
			}
		}
	})
}

// Whatever a worker announces, it is refused or it is whole.
func FuzzCheckType(f *testing.F) {
	for _, typ := range []*runtimev1.ActorType{actorType("cart"), {Name: "cart"}, {}} {
		seed, err := proto.Marshal(typ)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, announced []byte) {
		typ := &runtimev1.ActorType{}
		if proto.Unmarshal(announced, typ) == nil {
			_ = checkType(typ)
		}
	})
}

func TestAnnounceWithoutAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Local: true, Probe: func(context.Context, string, string) bool { return true }})
		for range 2 {
			if _, err := h.admit().Announce(t.Context(), announcement("", "cart")); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestOneContractPerType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a, b := h.join("cart"), h.admit()
		renamed := &runtimev1.AnnounceRequest{Address: "b:1", Types: []*runtimev1.ActorType{actorTypeOf("cart", "test.v2.Service")}}
		_, err := b.Announce(t.Context(), renamed)
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_TYPE_CONFLICT)
		b.look()
		if len(b.table.Worker(b.id).GetTypes()) != 0 {
			t.Error("the refused worker is listed")
		}
		if _, err := a.Announce(t.Context(), renamed); err != nil { // it may rename its own
			t.Error(err)
		}
		a.quiet()
		time.Sleep(7 * time.Second)
		if _, err := b.Announce(t.Context(), announcement("b:1", "cart")); err != nil { // nobody else is left
			t.Error(err)
		}
		b.look()
		if owned, _ := b.owned("cart"); len(owned) != placement.Shards || b.table.Type("cart").GetService() != "test.cart.Service" {
			t.Errorf("b owns %d shards of %v", len(owned), b.table.Type("cart").GetService())
		}
	})
}

func TestTwoWorkersAtOneAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := true
		var probed []string
		h := start(t, Config{Probe: func(_ context.Context, address, worker string) bool {
			probed = append(probed, address+" "+worker)
			return answers
		}})
		a, b := h.admit(), h.admit()
		for range 2 { // a repetition asks nobody
			if _, err := a.Announce(t.Context(), announcement("host:1", "cart")); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Announce(t.Context(), announcement("host:1", "cart"))
		expectError(t, err, connect.CodeAlreadyExists, francisv1.Reason_REASON_ADDRESS_TAKEN)
		if want := []string{"host:1 " + a.id}; !slices.Equal(probed, want) {
			t.Errorf("probed %v, want %v", probed, want)
		}
		answers = false
		a.quiet()
		if _, err := b.Announce(t.Context(), announcement("host:1", "cart")); err != nil {
			t.Fatal(err)
		}
		b.look()
		if len(b.table.Workers()) != 2 {
			t.Error("the old one is gone before its lease has run out")
		}
		time.Sleep(7 * time.Second)
		b.look()
		if owned, _ := b.owned("cart"); len(owned) != placement.Shards || len(b.table.Workers()) != 1 {
			t.Errorf("b owns %d shards beside %v", len(owned), b.table.Workers())
		}
	})
}

// record is the first record of an actor in a shard.
func record(shard uint32, epoch uint64) *runtimev1.Record {
	return &runtimev1.Record{
		Actor:    place(shard).actor(),
		Fence:    &runtimev1.Fence{Shard: shard, Epoch: epoch},
		Identity: &runtimev1.Identity{Activation: 7, Sequence: 1},
		Message:  "test.State", Data: []byte("state"),
	}
}

func read(record *runtimev1.Record) *runtimev1.LoadRequest {
	return &runtimev1.LoadRequest{Reads: []*runtimev1.LoadRequest_Read{{Actor: record.GetActor(), Fence: record.GetFence()}}}
}

// A worker reads and writes by the shards that it owns, at their epoch, and by no
// others.
func TestWorkerUsesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		a.look()
		rogue := h.join("other")
		good := record(0, 1)
		stale, shifted := record(0, 0), record(0, 1)
		shifted.Fence.Shard = 1
		for name, test := range map[string]struct {
			worker *member
			record *runtimev1.Record
			want   runtimev1.Verdict
		}{
			"another worker":           {rogue, good, runtimev1.Verdict_VERDICT_STALE_EPOCH},
			"another epoch":            {a, stale, runtimev1.Verdict_VERDICT_STALE_EPOCH},
			"the shard of other actor": {a, shifted, runtimev1.Verdict_VERDICT_STALE_EPOCH},
		} {
			commit, err := test.worker.Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{test.record}})
			if err != nil || commit.GetResults()[0].GetVerdict() != test.want {
				t.Errorf("%s commits: %v, %v", name, commit, err)
			}
			load, err := test.worker.Load(t.Context(), read(test.record))
			if err != nil || load.GetResults()[0].GetVerdict() != test.want {
				t.Errorf("%s loads: %v, %v", name, load, err)
			}
		}
		for _, want := range []runtimev1.Verdict{runtimev1.Verdict_VERDICT_APPLIED, runtimev1.Verdict_VERDICT_ALREADY_APPLIED} {
			commit, err := a.Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{good}})
			if err != nil || commit.GetResults()[0].GetVerdict() != want || commit.GetResults()[0].GetVersion() != 1 {
				t.Errorf("the owner commits: %v, %v", commit, err)
			}
		}
		load, err := a.Load(t.Context(), read(good))
		if err != nil || string(load.GetResults()[0].GetState().GetData()) != "state" {
			t.Errorf("the owner loads: %v, %v", load, err)
		}
		if shards := rogue.release(releases(a.table.Shards("cart"))); shards[0].GetWorker() != a.id || shards[0].GetEpoch() != 1 {
			t.Errorf("a rogue worker releases what is not its own: %v", shards[0])
		}
	})
}

func TestBatchesAreChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{})
		a := h.join("cart")
		_, err := a.Load(t.Context(), &runtimev1.LoadRequest{Reads: make([]*runtimev1.LoadRequest_Read, 1025)})
		expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_TOO_LARGE)
		_, err = a.Commit(t.Context(), &runtimev1.CommitRequest{Records: make([]*runtimev1.Record, 1025)})
		expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_TOO_LARGE)

		twice := &runtimev1.CommitRequest{Records: []*runtimev1.Record{record(0, 1), record(0, 1)}}
		_, err = a.Commit(t.Context(), twice)
		expectError(t, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED)
		for reason, actor := range map[francisv1.Reason]*runtimev1.Actor{
			francisv1.Reason_REASON_INVALID_ID: {Type: "cart", Id: " x"},
			francisv1.Reason_REASON_MALFORMED:  {Type: "no/type", Id: "x"},
		} {
			bad := record(0, 1)
			bad.Actor = actor
			_, err = a.Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{bad}})
			expectError(t, err, connect.CodeInvalidArgument, reason)
			_, err = a.Load(t.Context(), read(bad))
			expectError(t, err, connect.CodeInvalidArgument, reason)
		}
	})
}

func TestCertify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		want := &runtimev1.CertifyResponse{Certificate: []byte("leaf")}
		h := start(t, Config{Certify: func(_ context.Context, worker string, csr []byte) (*runtimev1.CertifyResponse, error) {
			if string(csr) != "csr of "+worker {
				return nil, errors.New("no such key")
			}
			return want, nil
		}})
		a := h.admit()
		got, err := a.Certify(t.Context(), &runtimev1.CertifyRequest{Csr: []byte("csr of " + a.id)})
		if got != want || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		_, err = a.Certify(t.Context(), &runtimev1.CertifyRequest{})
		expectError(t, err, connect.CodeInternal, francisv1.Reason_REASON_UNSPECIFIED)
		a.quiet()
		time.Sleep(7 * time.Second)
		_, err = a.Certify(t.Context(), &runtimev1.CertifyRequest{Csr: []byte("csr of " + a.id)})
		expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
		_, err = start(t, Config{}).admit().Certify(t.Context(), &runtimev1.CertifyRequest{})
		expectError(t, err, connect.CodeUnimplemented, francisv1.Reason_REASON_UNSPECIFIED)
	})
}

// Over Connect, a request is made in the name of whom the connection proves.
func TestHandler(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	membership, err := h.Admit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var identity error
	server := connect.NewServer()
	runtimev1connect.RegisterWorkerServiceHandler(server, h.Handler(Identify{
		Worker: func(context.Context) (string, error) { return membership.WorkerID, identity },
		Caller: func(context.Context) (string, error) { return membership.WorkerID, identity },
	}))
	client := runtimev1connect.NewWorkerServiceClient(connect.NewClient(connectinprocess.New(server)))
	if _, err := client.Announce(t.Context(), announcement("a:1", "cart")); err != nil {
		t.Fatal(err)
	}
	answer, err := client.Watch(t.Context(), &runtimev1.WatchRequest{})
	if err != nil || answer.GetWorkers()[0].GetAddress() != "a:1" {
		t.Errorf("got %v, %v", answer, err)
	}
	calls := map[string]func() error{
		"Renew":   func() error { _, err := client.Renew(t.Context(), &runtimev1.RenewRequest{}); return err },
		"Load":    func() error { _, err := client.Load(t.Context(), &runtimev1.LoadRequest{}); return err },
		"Commit":  func() error { _, err := client.Commit(t.Context(), &runtimev1.CommitRequest{}); return err },
		"Release": func() error { _, err := client.Release(t.Context(), &runtimev1.ReleaseRequest{}); return err },
		"Leave":   func() error { _, err := client.Leave(t.Context(), &runtimev1.LeaveRequest{}); return err },
	}
	for _, method := range []string{"Renew", "Load", "Commit", "Release", "Leave"} {
		if err := calls[method](); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	identity = errors.New("no certificate")
	calls["Certify"] = func() error { _, err := client.Certify(t.Context(), &runtimev1.CertifyRequest{}); return err }
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			expectError(t, call(), connect.CodeUnauthenticated, francisv1.Reason_REASON_UNSPECIFIED)
		})
	}
	identity = fault.NotOffered("talk to strangers")
	expectError(t, calls["Renew"](), connect.CodeUnimplemented, francisv1.Reason_REASON_UNSPECIFIED)
}

func TestErrorsHaveNames(t *testing.T) {
	t.Parallel()
	e, err := New(Config{Store: memory.New(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	nothing, unknown := francisv1.Outcome_OUTCOME_NOTHING_HAPPENED, francisv1.Outcome_OUTCOME_UNKNOWN
	for _, test := range []struct {
		err     error
		code    connect.Code
		reason  francisv1.Reason
		outcome francisv1.Outcome
	}{
		{store.ErrDead, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD, nothing},
		{store.ErrInvalid, connect.CodeInvalidArgument, francisv1.Reason_REASON_MALFORMED, nothing},
		{store.ErrFull, connect.CodeResourceExhausted, francisv1.Reason_REASON_STORE_FULL, nothing},
		{store.ErrDamaged, connect.CodeDataLoss, francisv1.Reason_REASON_STORE_FAILED, nothing},
		{store.ErrFatal, connect.CodeUnavailable, francisv1.Reason_REASON_STORE_FAILED, unknown},
		{store.ErrClosed, connect.CodeUnavailable, francisv1.Reason_REASON_SHUTTING_DOWN, nothing},
		{context.Canceled, connect.CodeCanceled, francisv1.Reason_REASON_DEADLINE, unknown},
		{context.DeadlineExceeded, connect.CodeDeadlineExceeded, francisv1.Reason_REASON_DEADLINE, unknown},
		{errors.New("secret of the driver"), connect.CodeUnavailable, francisv1.Reason_REASON_STORE_FAILED, unknown},
	} {
		err := e.coded("w", fmt.Errorf("wrapped: %w", test.err))
		expectError(t, err, test.code, test.reason)
		if got := fault.Detail(err).GetOutcome(); got != test.outcome {
			t.Errorf("%v: outcome %v, want %v", test.err, got, test.outcome)
		}
	}
	if e.coded("w", nil) != nil {
		t.Error("no error became one")
	}
}

// Many workers come, go and die on goroutines of their own; in the end the shards
// are where they belong.
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Lease: 2 * time.Second})
	var workers sync.WaitGroup
	stay := make(chan *member, 5)
	for i := range 25 {
		workers.Go(func() {
			m := h.join("cart", "user")
			m.follow(20)
			switch i % 5 {
			case 0:
				stay <- m
			case 1:
				m.quiet()
			default:
				m.goAway()
			}
		})
	}
	workers.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range 5 {
		m := <-stay
		workers.Go(func() {
			for ctx.Err() == nil && !h.atRest(5) {
				m.follow(1)
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		t.Fatal("the shards have not come to rest")
	}
}

// follow does what a worker does with its table: it learns, and releases what others
// shall have.
func (m *member) follow(times int) {
	for range times {
		ctx, cancel := context.WithTimeout(m.h.t.Context(), 20*time.Millisecond)
		answer, err := m.Watch(ctx, &runtimev1.WatchRequest{Cursor: m.cursor})
		cancel()
		if err != nil {
			continue
		}
		m.cursor, m.table = answer.GetCursor(), m.table.Merge(answer)
		for _, typ := range types {
			if _, moving := m.owned(typ); len(moving) > 0 {
				_, _ = m.Release(m.h.t.Context(), releases(moving))
			}
		}
	}
}

func (m *member) goAway() {
	for _, typ := range types {
		owned, _ := m.owned(typ)
		req := releases(owned)
		req.Leaving = true
		_, _ = m.Release(m.h.t.Context(), req)
	}
	_, _ = m.Leave(m.h.t.Context(), nil)
	m.quiet()
}

// atRest reports whether only so many workers are left and nothing is left to plan.
func (h *harness) atRest(workers int) bool {
	table := h.board.table()
	if len(table.Workers()) != workers {
		return false
	}
	for _, typ := range types {
		for _, shard := range table.Shards(typ) {
			if shard.GetNext() != "" || shard.GetWorker() == "" {
				return false
			}
		}
	}
	return len(table.Plan(16)) == 0
}

func BenchmarkRenew(b *testing.B) {
	e, err := New(Config{Store: memory.New()})
	if err != nil {
		b.Fatal(err)
	}
	membership, err := e.Admit(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	worker := e.Worker(membership.WorkerID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := worker.Renew(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
