package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	storetest.Run(t, func(t testing.TB, now func() time.Time) store.Store {
		return mustOpen(t, Config{ConnectionString: server.Database(t), Now: now})
	})
}

// Two runtimes that share a database are as good as one, whoever answers which call.
func TestStoreOfTwo(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	storetest.Run(t, func(t testing.TB, now func() time.Time) store.Store {
		config := Config{ConnectionString: server.Database(t), Now: now, Lanes: 2}
		return &pair{stores: [2]*Store{mustOpen(t, config), mustOpen(t, config)}}
	})
}

// pair is two stores of one database, which take turns.
type pair struct {
	stores [2]*Store
	calls  atomic.Uint64
}

func (p *pair) next() *Store { return p.stores[p.calls.Add(1)%2] }

func (p *pair) Close() error {
	_ = p.stores[0].Close()
	return p.stores[1].Close()
}

func (p *pair) Failed() <-chan struct{} { return p.next().Failed() }

func (p *pair) Cluster(ctx context.Context) (store.Cluster, error) { return p.next().Cluster(ctx) }

func (p *pair) Now(ctx context.Context) (time.Time, error) { return p.next().Now(ctx) }

func (p *pair) AddWorker(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	return p.next().AddWorker(ctx, worker)
}

func (p *pair) Announce(ctx context.Context, worker *runtimev1.Worker) (store.Counter, error) {
	return p.next().Announce(ctx, worker)
}

func (p *pair) SetLeaving(ctx context.Context, worker string) (store.Placed, error) {
	return p.next().SetLeaving(ctx, worker)
}

func (p *pair) Beat(ctx context.Context, worker string) error { return p.next().Beat(ctx, worker) }

func (p *pair) Workers(ctx context.Context) ([]store.Member, error) { return p.next().Workers(ctx) }

func (p *pair) DeclareDead(ctx context.Context, worker string, beat uint64, heirs []store.Assignment) (bool, store.Placed, error) {
	return p.next().DeclareDead(ctx, worker, beat, heirs)
}

func (p *pair) Evict(ctx context.Context, worker string, heirs []store.Assignment) (bool, store.Placed, error) {
	return p.next().Evict(ctx, worker, heirs)
}

func (p *pair) Regenerate(ctx context.Context, seen store.Point) (bool, store.Placed, error) {
	return p.next().Regenerate(ctx, seen)
}

func (p *pair) Forget(ctx context.Context, age time.Duration) (bool, error) {
	return p.next().Forget(ctx, age)
}

func (p *pair) RegisterType(ctx context.Context, typ *runtimev1.ActorType, shards uint32) (store.Type, store.Placed, error) {
	return p.next().RegisterType(ctx, typ, shards)
}

func (p *pair) Types(ctx context.Context) ([]store.Type, error) { return p.next().Types(ctx) }

func (p *pair) Shards(ctx context.Context) (store.Placed, error) { return p.next().Shards(ctx) }

func (p *pair) Assign(ctx context.Context, assignments []store.Assignment) (store.Placed, error) {
	return p.next().Assign(ctx, assignments)
}

func (p *pair) Release(ctx context.Context, worker string, releases []*runtimev1.ReleaseRequest_Release) (store.Placed, error) {
	return p.next().Release(ctx, worker, releases)
}

func (p *pair) Load(ctx context.Context, worker string, reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	return p.next().Load(ctx, worker, reads)
}

func (p *pair) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	return p.next().Commit(ctx, worker, records)
}

func (p *pair) Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, store.Moved, error) {
	return p.next().Change(ctx, changes)
}

func (p *pair) Settle(ctx context.Context, worker string, settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
	return p.next().Settle(ctx, worker, settlements)
}

func (p *pair) Strand(ctx context.Context, out []*runtimev1.Completion) (store.Moved, error) {
	return p.next().Strand(ctx, out)
}

func (p *pair) Due(ctx context.Context, query store.DueQuery) (store.Due, error) {
	return p.next().Due(ctx, query)
}

func (p *pair) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return p.next().ListActors(ctx, req)
}

func (p *pair) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return p.next().List(ctx, req)
}

func (p *pair) Backup(ctx context.Context) store.Backup { return p.next().Backup(ctx) }

func (p *pair) Restore(ctx context.Context, restoration store.Restoration) (store.Cluster, error) {
	return p.next().Restore(ctx, restoration)
}

func mustOpen(t testing.TB, config Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// own makes a worker the owner of the only shard of the type cart, at epoch 1.
func own(t testing.TB, s store.Store, worker string) {
	t.Helper()
	ctx := context.Background()
	_, err := s.AddWorker(ctx, &runtimev1.Worker{Id: worker})
	if err == nil {
		_, _, err = s.RegisterType(ctx, &runtimev1.ActorType{Name: "cart"}, 1)
	}
	if err == nil {
		_, err = s.Assign(ctx, []store.Assignment{{Type: "cart", Worker: worker}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func identity(activation, sequence uint64) *runtimev1.Identity {
	return &runtimev1.Identity{Activation: activation, Sequence: sequence}
}

func record(id string, base, identity *runtimev1.Identity, data []byte) *runtimev1.Record {
	return &runtimev1.Record{
		Actor: &runtimev1.Actor{Type: "cart", Id: id}, Fence: &runtimev1.Fence{Epoch: 1},
		Base: base, Identity: identity, Message: "shop.v1.CartState", Data: data,
	}
}

func loadOne(t testing.TB, s store.Store, worker, id string) *runtimev1.LoadResponse_Result {
	t.Helper()
	results, err := s.Load(context.Background(), worker, []*runtimev1.LoadRequest_Read{{
		Actor: &runtimev1.Actor{Type: "cart", Id: id}, Fence: &runtimev1.Fence{Epoch: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// execute runs a statement as somebody else would.
func execute(t testing.TB, database, statement string, args ...any) {
	t.Helper()
	c, err := pgx.Connect(context.Background(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// What is committed is there when the store is opened again, and nothing else.
func TestReopenKeepsAll(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	config := Config{ConnectionString: server.Database(t)}
	s := mustOpen(t, config)
	own(t, s, "w1")
	if _, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{record("a", nil, identity(1<<63, 1), []byte("state"))}); err != nil {
		t.Fatal(err)
	}
	if err := s.Beat(t.Context(), "w1"); err != nil {
		t.Fatal(err)
	}
	before := picture(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	server.Restart(t, pgtest.Immediate)
	if after := picture(t, mustOpen(t, config)); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// picture is all that a store knows, as text.
func picture(t testing.TB, s *Store) string {
	t.Helper()
	members, err := s.Workers(t.Context())
	text := fmt.Sprintln(err)
	for _, m := range members {
		text += fmt.Sprintln(m.Worker, m.Alive, m.Beat)
	}
	types, err := s.Types(t.Context())
	for _, typ := range types {
		text += fmt.Sprintln(typ.Type, typ.Shards, err)
	}
	placed, err := s.Shards(t.Context())
	return text + fmt.Sprintln(placed, err) + fmt.Sprintln(loadOne(t, s, "w1", "a"))
}
