package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

func entry(typ string, number uint32, epoch uint64, worker, next string) *runtimev1.Shard {
	return &runtimev1.Shard{Type: typ, Shard: number, Epoch: epoch, Worker: worker, Next: next}
}

func worker(id string, types ...string) *runtimev1.Worker {
	return &runtimev1.Worker{Id: id, Address: id + ":1", Types: types}
}

func shardsChange(shards ...*runtimev1.Shard) *runtimev1.WatchResponse {
	return &runtimev1.WatchResponse{Shards: shards}
}

func TestTableMergesByEpoch(t *testing.T) {
	t.Parallel()
	var zero Table
	if zero.Place("t", "id1") != nil || zero.Worker("a") != nil || zero.Type("t") != nil {
		t.Error("the zero table is not empty")
	}
	old := zero.Merge(shardsChange(entry("t", 1, 5, "a", ""), entry("t", 2, 1, "a", "")))
	table := old.Merge(shardsChange(entry("t", 1, 4, "z", ""), entry("t", 2, 1, "a", "b"), entry("u", 0, 0, "", ""), entry("t", Shards, 9, "z", "")))
	for _, want := range []*runtimev1.Shard{entry("t", 1, 5, "a", ""), entry("t", 2, 1, "a", "b"), entry("u", 0, 0, "", "")} {
		if got := table.Shard(want.GetType(), want.GetShard()); !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if old.Shard("t", 2).GetNext() != "" || old.Shards("u") != nil {
		t.Error("the table before has changed")
	}
	if table.Shard("t", 3) != nil || table.Shard("t", Shards) != nil {
		t.Error("there are entries that never came")
	}
}

func TestTableNews(t *testing.T) {
	t.Parallel()
	table := new(Table).Merge(shardsChange(entry("t", 1, 5, "a", "b"), entry("t", 2, 5, "a", "")))
	higher, unknown := entry("t", 2, 6, "b", ""), entry("t", 3, 1, "a", "")
	got := table.News([]*runtimev1.Shard{entry("t", 1, 5, "a", ""), entry("t", 1, 4, "c", ""), higher, unknown, entry("t", 2, 5, "a", "b")})
	if !slices.Equal(got, []*runtimev1.Shard{higher, unknown}) {
		t.Errorf("news are %v", got)
	}
}

func TestTablePlace(t *testing.T) {
	t.Parallel()
	want := entry("t", ShardOf("id1", Shards), 3, "a", "")
	if got := new(Table).Merge(shardsChange(want)).Place("t", "id1"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTableMembers(t *testing.T) {
	t.Parallel()
	table := new(Table).Merge(&runtimev1.WatchResponse{
		Workers: []*runtimev1.Worker{worker("b", "t"), worker("a", "t", "u"), worker("c")},
		Types:   []*runtimev1.ActorType{{Name: "u"}, {Name: "t"}},
		Shards:  []*runtimev1.Shard{entry("t", 0, 1, "a", ""), entry("u", 0, 1, "a", "")},
	})
	table = table.Merge(&runtimev1.WatchResponse{Gone: []string{"c"}, Workers: []*runtimev1.Worker{worker("d")}})
	if got := table.Workers(); !slices.Equal(got, []string{"a", "b", "d"}) {
		t.Errorf("workers %v", got)
	}
	if other, found := table.Server("t", "a"); other != "b" || !found {
		t.Errorf("t is served by %q beside a", other)
	}
	if other, found := table.Server("u", "a"); found {
		t.Errorf("u is served by %q beside a", other)
	}
	table = table.Merge(&runtimev1.WatchResponse{Complete: true, Workers: []*runtimev1.Worker{worker("a")}, Types: []*runtimev1.ActorType{{Name: "t"}}})
	if got := fmt.Sprint(table.Workers(), table.Types()); got != "[a] [t]" {
		t.Errorf("after a complete change: %s", got)
	}
	if table.Shards("u") != nil || table.Shard("t", 0).GetEpoch() != 1 {
		t.Error("a complete change keeps the entries of the types it names, and no others")
	}
}

func TestTablePlansTypesTogether(t *testing.T) {
	t.Parallel()
	change := &runtimev1.WatchResponse{Workers: []*runtimev1.Worker{worker("a", "t0", "t1", "t2", "t3"), worker("b", "t0", "t1", "t2", "t3"), worker("c", "other")}}
	for i := range 4 { // four types of one shard each
		name := fmt.Sprintf("t%d", i)
		change.Types = append(change.Types, &runtimev1.ActorType{Name: name})
		change.Shards = append(change.Shards, entry(name, 0, 0, "", ""))
	}
	counts := map[string]int{}
	for _, a := range new(Table).Merge(change).Plan(16) {
		counts[a.Worker]++
	}
	if counts["a"] != 2 || counts["b"] != 2 {
		t.Errorf("four small types go to %v", counts)
	}
}

func TestTableHeirs(t *testing.T) {
	t.Parallel()
	table := new(Table).Merge(&runtimev1.WatchResponse{
		Types:   []*runtimev1.ActorType{{Name: "t"}},
		Workers: []*runtimev1.Worker{worker("a", "t"), worker("b", "t"), worker("c", "t"), worker("d", "t")},
		Shards: []*runtimev1.Shard{
			entry("t", 0, 1, "a", ""), entry("t", 1, 1, "a", "d"), entry("t", 2, 1, "a", "b"),
			entry("t", 3, 1, "b", ""), entry("t", 4, 1, "c", "a"), entry("t", 5, 0, "", ""),
		},
	})
	heirs := table.Heirs("a", []string{"a", "b"})
	if got := fmt.Sprint(words(heirs)); got != "[0=c 2=d]" && got != "[0=d 2=c]" {
		t.Errorf("the heirs of a are %s; 1 has a next owner, and b is doomed too", got)
	}
	if got := table.Heirs("b", []string{"a", "b", "c", "d"}); len(got) != 0 {
		t.Errorf("heirs without anybody: %v", words(got))
	}
}

func TestJournalTellsWhatIsNew(t *testing.T) {
	t.Parallel()
	j := NewJournal("j1")
	empty := j.Since("")
	if !empty.GetComplete() || j.Since(empty.GetCursor()) != nil {
		t.Fatalf("an empty journal answers %v", empty)
	}
	j.Merge(Change{Counter: 1, Workers: []*runtimev1.Worker{worker("a", "t"), worker("b", "t")}, Types: []*runtimev1.ActorType{{Name: "t"}}})
	j.Merge(Change{Counter: 2, Shards: []*runtimev1.Shard{entry("t", 0, 1, "a", ""), entry("t", 1, 1, "b", "")}})
	first := j.Since(empty.GetCursor())
	if first.GetComplete() || len(first.GetWorkers()) != 2 || len(first.GetTypes()) != 1 || len(first.GetShards()) != 2 {
		t.Errorf("got %v", first)
	}
	j.Merge(Change{Counter: 3, Shards: []*runtimev1.Shard{entry("t", 0, 2, "b", "")}, Gone: []string{"a"}})
	want := &runtimev1.WatchResponse{Cursor: j.cursor(), Shards: []*runtimev1.Shard{entry("t", 0, 2, "b", "")}, Gone: []string{"a"}}
	if got := j.Since(first.GetCursor()); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, cursor := range []string{"", "j2.1", "j1.99", "j1.x", "j1."} {
		if got := j.Since(cursor); !got.GetComplete() || len(got.GetWorkers()) != 1 || len(got.GetShards()) != 2 || got.GetGone() != nil {
			t.Errorf("for the unknown cursor %q: %v", cursor, got)
		}
	}
}

func TestJournalPutsAnswersInOrder(t *testing.T) {
	t.Parallel()
	j := NewJournal("j")
	j.Merge(Change{Counter: 5, Shards: []*runtimev1.Shard{entry("t", 0, 1, "a", "")}, Workers: []*runtimev1.Worker{{Id: "a", Address: "new:1", Leaving: true}}})
	for name, late := range map[string]Change{
		"an earlier next":         {Counter: 4, Shards: []*runtimev1.Shard{entry("t", 0, 1, "a", "b")}},
		"a lower epoch":           {Counter: 9, Shards: []*runtimev1.Shard{entry("t", 0, 0, "", "")}},
		"an earlier announcement": {Counter: 3, Workers: []*runtimev1.Worker{{Id: "a", Address: "old:1"}}},
		"one that does not leave": {Counter: 9, Workers: []*runtimev1.Worker{{Id: "a", Address: "new:1"}}},
		"what is known":           {Counter: 9, Shards: []*runtimev1.Shard{entry("t", 0, 1, "a", "")}},
		"a shard out of range":    {Counter: 9, Shards: []*runtimev1.Shard{entry("t", Shards, 0, "", "")}},
	} {
		if j.Merge(late) {
			t.Errorf("%s counts as news", name)
		}
	}
	if j.Members(4, nil) || j.Table().Worker("a") == nil {
		t.Error("a reading from before the announcement removes the worker")
	}
	if !j.Members(9, nil) || j.Table().Worker("a") != nil || !j.Gone("a") {
		t.Error("a reading without the worker does not remove it")
	}
	if j.Merge(Change{Counter: 99, Workers: []*runtimev1.Worker{worker("a")}}) || j.Merge(Change{Counter: 99, Gone: []string{"a"}}) {
		t.Error("a dead worker is news")
	}
}

func TestJournalForgetsDepartures(t *testing.T) {
	t.Parallel()
	j := NewJournal("j")
	cursor := ""
	for i := range 3 * maxGone {
		id := fmt.Sprintf("w%d", i)
		j.Merge(Change{Workers: []*runtimev1.Worker{worker(id)}})
		if i == 2*maxGone {
			cursor = j.Since("").GetCursor()
		}
		j.Merge(Change{Gone: []string{id}})
	}
	if len(j.gone) > maxGone {
		t.Errorf("%d departures are remembered", len(j.gone))
	}
	if got := j.Since(cursor); !got.GetComplete() {
		t.Error("a cursor from before the forgotten departures is answered as if it was known")
	}
}

// A watcher that asks now and then, whose answers may come twice and late, ends up
// with the journal's table.
func TestWatchersFollow(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		j := NewJournal("j")
		follower, cursor := new(Table), ""
		var late []*runtimev1.WatchResponse
		for counter := range uint64(150) {
			j.Merge(randomChange(random, counter))
			if random.IntN(4) == 0 {
				if answer := j.Since(cursor); answer != nil {
					follower, cursor = follower.Merge(answer), answer.GetCursor()
					late = append(late, shardsChange(answer.GetShards()...))
				}
			}
			if len(late) > 0 && random.IntN(6) == 0 {
				follower = follower.Merge(late[random.IntN(len(late))])
			}
		}
		if answer := j.Since(cursor); answer != nil {
			follower = follower.Merge(answer)
		}
		compare(t, seed, follower, j.Table())
	}
}

func randomChange(random *rand.Rand, counter uint64) Change {
	change := Change{Counter: counter}
	typ, id := fmt.Sprintf("t%d", random.IntN(3)), fmt.Sprintf("w%d", random.IntN(30))
	switch random.IntN(5) {
	case 0:
		change.Types = []*runtimev1.ActorType{{Name: typ, Service: fmt.Sprint(random.IntN(2))}}
	case 1:
		change.Workers = []*runtimev1.Worker{worker(id, typ)}
	case 2:
		change.Gone = []string{id}
	default:
		for range random.IntN(9) {
			epoch := uint64(random.IntN(20)) // which says who the owner is
			change.Shards = append(change.Shards, entry(typ, uint32(random.IntN(Shards)), epoch, fmt.Sprint(epoch), ""))
		}
	}
	return change
}

func compare(t *testing.T, seed uint64, got, want *Table) {
	t.Helper()
	if g, w := fmt.Sprint(got.Workers(), got.Types()), fmt.Sprint(want.Workers(), want.Types()); g != w {
		t.Fatalf("seed %d: members %s, want %s", seed, g, w)
	}
	for _, typ := range []string{"t0", "t1", "t2"} {
		for number := range uint32(Shards) {
			if g, w := got.Shard(typ, number), want.Shard(typ, number); !proto.Equal(g, w) {
				t.Fatalf("seed %d: got %v, want %v", seed, g, w)
			}
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	change := &runtimev1.WatchResponse{}
	for i := range uint32(Shards) {
		change.Shards = append(change.Shards, entry("t", i, 1, "a", ""))
	}
	table := new(Table).Merge(change)
	b.ReportAllocs()
	for b.Loop() {
		table.Place("t", "customer-0123456789")
	}
}

// large is a cluster of a hundred types on ten workers, in balance.
func large() Change {
	change := Change{Counter: 1}
	var names []string
	for i := range 100 {
		name := fmt.Sprintf("t%02d", i)
		names = append(names, name)
		change.Types = append(change.Types, &runtimev1.ActorType{Name: name})
		for number := range uint32(Shards) {
			change.Shards = append(change.Shards, entry(name, number, 1, fmt.Sprintf("w%d", number%10), ""))
		}
	}
	for i := range 10 {
		change.Workers = append(change.Workers, worker(fmt.Sprintf("w%d", i), names...))
	}
	return change
}

func BenchmarkLargeCluster(b *testing.B) {
	j := NewJournal("j")
	j.Merge(large())
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			j.Table().Plan(inFlight)
		}
	})
	b.Run("merge 16 shards and tell", func(b *testing.B) {
		b.ReportAllocs()
		epoch, cursor := uint64(1), j.cursor()
		for b.Loop() {
			epoch++
			change := Change{Counter: epoch}
			for number := range uint32(16) {
				change.Shards = append(change.Shards, entry("t07", number, epoch, "w1", ""))
			}
			j.Merge(change)
			cursor = j.Since(cursor).GetCursor()
		}
	})
	b.Run("tell everything", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			j.Since("")
		}
		b.ReportMetric(float64(proto.Size(j.Since(""))), "bytes")
	})
}
