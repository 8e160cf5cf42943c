package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openAt)
}

func TestCopies(t *testing.T) {
	t.Parallel()
	storetest.Copies(t, openAt, func(t testing.TB, s store.Store) store.Store {
		config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
		copyFile(t, strings.TrimSuffix(s.(*Store).lock.Name(), ".lock"), config.Path)
		return mustOpen(t, config)
	})
}

func openAt(t testing.TB, now func() time.Time) store.Store {
	return mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db"), Now: now})
}

func TestReopenKeepsAll(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	commit(t, s, "w1", "a", nil, identity(1<<63, 1), "state")
	if _, err := s.SetLeaving(t.Context(), "w1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddWorker(t.Context(), &runtimev1.Worker{Id: "gone"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Evict(t.Context(), "gone", nil); err != nil {
		t.Fatal(err)
	}
	before := picture(t, s)
	mustClose(t, s)

	again := mustOpen(t, config)
	defer mustClose(t, again)
	if after := picture(t, again); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if got := commit(t, again, "w1", "a", identity(1<<63, 1), identity(2, 1), "next"); got.GetVersion() != 2 {
		t.Errorf("the next record: %v", got)
	}
}

// picture is all that a store knows, but for beats, as text.
func picture(t testing.TB, s *Store) string {
	t.Helper()
	cluster, err := s.Cluster(t.Context())
	text := fmt.Sprintln(cluster.ID, cluster.Point(), err)
	members, err := s.Workers(t.Context())
	for _, m := range members {
		text += fmt.Sprintln(m.Worker, m.Alive)
	}
	text += fmt.Sprintln(err)
	types, err := s.Types(t.Context())
	for _, typ := range types {
		text += fmt.Sprintln(typ.Type, typ.Shards, err)
	}
	placed, err := s.Shards(t.Context())
	return text + fmt.Sprintln(placed, err) + fmt.Sprintln(loadOne(t, s, "w1", "a"))
}

func mustOpen(t testing.TB, config Config) *Store {
	t.Helper()
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
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

func commit(t testing.TB, s store.Store, worker, id string, base, identity *runtimev1.Identity, data string) *runtimev1.CommitResponse_Result {
	t.Helper()
	results, _, err := s.Commit(t.Context(), worker, []*runtimev1.Record{record(id, base, identity, []byte(data))})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

func loadOne(t testing.TB, s store.Store, worker, id string) *runtimev1.LoadResponse_Result {
	t.Helper()
	results, err := s.Load(t.Context(), worker, []*runtimev1.LoadRequest_Read{readOf(id)})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

func readOf(id string) *runtimev1.LoadRequest_Read {
	return &runtimev1.LoadRequest_Read{Actor: &runtimev1.Actor{Type: "cart", Id: id}, Fence: &runtimev1.Fence{Epoch: 1}}
}
