// Package storetest is the contract of a store, as tests. Each driver passes it on
// one page:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) store.Store { return … })
//	}
//
// A trap found in one driver belongs here, for all of them.
package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	applied    = runtimev1.Verdict_VERDICT_APPLIED
	already    = runtimev1.Verdict_VERDICT_ALREADY_APPLIED
	staleEpoch = runtimev1.Verdict_VERDICT_STALE_EPOCH
	staleBase  = runtimev1.Verdict_VERDICT_STALE_BASE
)

// Run runs the suite. Open returns an empty store of its own for each test, which
// the suite closes; the store takes the time from the given clock.
func Run(t *testing.T, open func(t testing.TB, now func() time.Time) store.Store) {
	t.Helper()
	tests := slices.Concat(storeTests, memberTests, placementTests, recordTests, listingTests, fenceTests, loadTests, keyTests,
		taskTests, settleTests, deleteTests, expireTests, dueTests, archiveTests, raceTests, taskRaceTests)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			b := newBench(t, open(t, clock.now), clock)
			b.another = func() *bench { return newBench(t, open(t, clock.now), clock) }
			test.run(b)
		})
	}
}

// test is one statement of the contract.
type test struct {
	name string
	run  func(b *bench)
}

// bench is a store under test.
type bench struct {
	*testing.T
	store.Store

	clock *clock
	// another is a bench with an empty store of its own, by the same clock.
	another func() *bench
}

// clock is that of a store under test. It stands still but for what passes, so that no test
// depends on how fast it runs.
type clock struct {
	begun  time.Time
	passed atomic.Int64
}

func newClock() *clock { return &clock{begun: time.Now().Truncate(time.Second)} }

func (c *clock) now() time.Time { return c.begun.Add(time.Duration(c.passed.Load())) }

func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

func newBench(t *testing.T, s store.Store, clock *clock) *bench {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &bench{T: t, Store: s, clock: clock}
}

// want compares two values that print alike when they are equal.
func want[T any](b *bench, what string, got, want T) {
	b.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		b.Errorf("%s: %s, want %s", what, g, w)
	}
}

func wantError(b *bench, what string, got, want error) {
	b.Helper()
	if !errors.Is(got, want) {
		b.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// worker adds living workers.
func (b *bench) worker(ids ...string) {
	b.Helper()
	for _, id := range ids {
		_, err := b.AddWorker(b.Context(), &runtimev1.Worker{Id: id, Address: id + ":7500", Types: []string{"cart"}})
		b.ok(err)
	}
}

// ok ends the test unless a preparation succeeded.
func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// cart registers a type.
func (b *bench) cart(shards uint32) {
	b.Helper()
	_, _, err := b.RegisterType(b.Context(), &runtimev1.ActorType{Name: "cart", Service: "shop.v1.Cart"}, shards)
	b.ok(err)
}

// assign says who shall own a shard, seen at its present epoch.
func (b *bench) assign(shard uint32, worker string) *runtimev1.Shard {
	b.Helper()
	_, err := b.Assign(b.Context(), []store.Assignment{{Type: "cart", Shard: shard, Epoch: b.shard(shard).GetEpoch(), Worker: worker}})
	b.ok(err)
	return b.shard(shard)
}

// shard returns an entry of the cluster table.
func (b *bench) shard(number uint32) *runtimev1.Shard {
	b.Helper()
	for _, shard := range b.table() {
		if shard.GetType() == "cart" && shard.GetShard() == number {
			return shard
		}
	}
	b.Fatalf("there is no shard %d", number)
	return nil
}

// table returns all shards.
func (b *bench) table() []*runtimev1.Shard {
	b.Helper()
	placed, err := b.Shards(b.Context())
	b.ok(err)
	return placed.Shards
}

// entry is a shard in short: owner@epoch, and >next.
func entry(s *runtimev1.Shard) string {
	text := fmt.Sprintf("%d:%s@%d", s.GetShard(), s.GetWorker(), s.GetEpoch())
	if s.GetNext() != "" {
		text += ">" + s.GetNext()
	}
	return text
}

func entries(shards []*runtimev1.Shard) []string {
	var all []string
	for _, s := range shards {
		all = append(all, entry(s))
	}
	return all
}

// single prepares one worker that owns the only shard, at epoch 1.
func (b *bench) single() {
	b.Helper()
	b.worker("w1")
	b.cart(1)
	b.assign(0, "w1")
}

// commit sends records of a worker.
func (b *bench) commit(worker string, records ...*runtimev1.Record) []runtimev1.Verdict {
	b.Helper()
	results, _, err := b.Commit(b.Context(), worker, records)
	if err != nil {
		b.Fatal(err)
	}
	return verdicts(results)
}

func verdicts[R interface{ GetVerdict() runtimev1.Verdict }](results []R) []runtimev1.Verdict {
	var all []runtimev1.Verdict
	for _, r := range results {
		all = append(all, r.GetVerdict())
	}
	return all
}

// load reads one actor.
func (b *bench) load(worker, id string, epoch uint64) *runtimev1.LoadResponse_Result {
	b.Helper()
	results, err := b.Load(b.Context(), worker, []*runtimev1.LoadRequest_Read{read(id, epoch)})
	if err != nil || len(results) != 1 {
		b.Fatalf("load %s: %d results, error %v", id, len(results), err)
	}
	return results[0]
}

func read(id string, epoch uint64) *runtimev1.LoadRequest_Read {
	return &runtimev1.LoadRequest_Read{Actor: actor(id), Fence: &runtimev1.Fence{Epoch: epoch}}
}

func actor(id string) *runtimev1.Actor { return &runtimev1.Actor{Type: "cart", Id: id} }

// at is an identity.
func at(activation, sequence uint64) *runtimev1.Identity {
	return &runtimev1.Identity{Activation: activation, Sequence: sequence}
}

// record is a record of an actor of the only shard, at epoch 1.
func record(id string, base, identity *runtimev1.Identity, data string) *runtimev1.Record {
	return &runtimev1.Record{
		Actor: actor(id), Fence: &runtimev1.Fence{Epoch: 1},
		Base: base, Identity: identity,
		Message: "shop.v1.CartState", Data: []byte(data),
	}
}

// atEpoch is a record at another epoch.
func atEpoch(r *runtimev1.Record, epoch uint64) *runtimev1.Record {
	r = proto.CloneOf(r)
	r.Fence.Epoch = epoch
	return r
}

// idIn returns an id whose actor is in a shard.
func idIn(shard, shards uint32) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("a%d", i); placement.ShardOf(id, shards) == shard {
			return id
		}
	}
}
