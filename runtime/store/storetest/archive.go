package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var archiveTests = []test{
	{"a backup restores everything", archiveWhole},
	{"a restored cluster goes on in a later generation", archiveGoesOn},
	{"the generation is later than that of the store", archiveLater},
	{"a store that is not empty is kept", archiveKept},
	{"a backup replaces what is there", archiveReplaces},
	{"a backup that breaks off restores nothing", archiveBroken},
	{"records out of order are refused", archiveOrder},
	{"malformed records are refused", archiveMalformed},
	{"what is damaged stays damaged", archiveDamaged},
	{"a backup is of one moment while others commit", archiveMoment},
	{"a backup ends when nobody wants it", archiveUnwanted},
}

// archive fills a store with something of every kind.
func (b *bench) archive() {
	b.Helper()
	b.single()
	b.commit("w1", keyed(record("a", nil, at(1, 1), "a1"), 1, 2), record("b", nil, at(1<<63, 1), ""), record("c", nil, at(3, 1), "c1"))
	b.clock.pass(2 * time.Second)
	gone := record("c", at(3, 1), at(3, 2), "")
	gone.Message, gone.Data = "", nil
	b.commit("w1", keyed(record("a", at(1, 1), at(1, 2), "a2"), 3), keyed(gone, 4))
	b.set(task(job("b", "1"), "x"), task(job("b", "2"), "y"), after(alarm("a", "x"), time.Hour), every(alarm("b", "x"), time.Minute))
	b.settle("w1", permanent(b.stored(job("b", "2")), "it cannot be"), permanent(b.stored(alarm("b", "x")), "nor this"))
}

// backup takes a backup.
func (b *bench) backup() []*backupv1.Record {
	b.Helper()
	var records []*backupv1.Record
	for record, err := range b.Backup(b.Context()) {
		b.ok(err)
		records = append(records, record)
	}
	return records
}

// replay is a backup of these records, which then ends with an error, if there is one.
func replay(records []*backupv1.Record, end error) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

// restore restores records.
func (b *bench) restore(records []*backupv1.Record) store.Cluster {
	b.Helper()
	now, err := b.Restore(b.Context(), store.Restoration{Backup: replay(records, nil)})
	b.ok(err)
	return now
}

func archiveWhole(b *bench) {
	b.archive()
	before := b.backup()
	now, err := b.Cluster(b.Context())
	b.ok(err)
	header := before[0].GetHeader()
	want(b, "header", []any{header.GetCluster(), header.GetGeneration(), header.GetCounter()}, []any{now.ID, now.Generation, uint64(now.Counter)})
	counts := map[string]int{}
	for _, record := range before {
		counts[strings.TrimPrefix(fmt.Sprintf("%T", record.GetRecord()), "*backupv1.Record_")]++
	}
	want(b, "records", counts, map[string]int{"Header": 1, "Type": 1, "Actor": 3, "Key": 4, "Task": 5})

	copied := b.another()
	restored := copied.restore(before)
	want(b, "the backup of what was restored", fmt.Sprint(copied.backup()[1:]), fmt.Sprint(before[1:]))
	again, err := copied.Cluster(b.Context())
	b.ok(err)
	want(b, "the cluster", restored, again)
	want(b, "where it is", restored.Point(), again.Point())
	members, err := copied.Workers(b.Context())
	b.ok(err)
	want(b, "members", len(members), 0)
}

func archiveGoesOn(b *bench) {
	b.archive()
	source, err := b.Cluster(b.Context())
	b.ok(err)
	c := b.another()
	now := c.restore(b.backup())
	if now.ID != source.ID || now.Generation != source.Generation+1 || now.Counter < source.Counter {
		b.Errorf("%+v was restored as %+v", source, now)
	}
	if shard := c.shard(0); shard.GetWorker() != "" || shard.GetEpoch() <= b.shard(0).GetEpoch() {
		b.Errorf("the shard is %v, and was %v", shard, b.shard(0))
	}
	want(b, "a record of before", c.commit("w1", record("a", at(1, 2), at(1, 3), "a3")), []runtimev1.Verdict{staleEpoch})
	wantError(b, "a beat of before", c.Beat(b.Context(), "w1"), store.ErrDead)

	c.worker("w2")
	epoch := c.assign(0, "w2").GetEpoch()
	loaded := c.load("w2", "a", epoch)
	want(b, "state", string(loaded.GetState().GetData()), "a2")
	want(b, "keys", len(loaded.GetKeys()), 3)
	want(b, "keys of the actor without state", len(c.load("w2", "c", epoch).GetKeys()), 1)
	recall := read("a", epoch)
	recall.Recall = digest(3)
	results, err := c.Load(b.Context(), "w2", []*runtimev1.LoadRequest_Read{recall})
	b.ok(err)
	want(b, "reply", string(results[0].GetKeys()[0].GetReply()), "reply 3")
	want(b, "the next record", c.commit("w2", atEpoch(record("a", at(1, 2), at(5, 1), "a3"), epoch)), []runtimev1.Verdict{applied})
	want(b, "due", names(c.due()), []string{"b#1"})
	c.set(task(job("b", "9"), ""))
	if revision := c.stored(job("b", "9")).GetRevision(); revision <= uint64(source.Counter) {
		b.Errorf("a task has the revision %d; the backup was of %d", revision, source.Counter)
	}
	c.forgetAfter(0)
	want(b, "who has no state and a key", c.load("w2", "c", epoch).GetState().GetIdentity(), at(3, 2))
}

func archiveLater(b *bench) {
	b.archive()
	records := b.backup()
	records[0].GetHeader().Generation = 7
	c := b.another()
	want(b, "generation", c.restore(records).Generation, 8)
	records[0].GetHeader().Generation = 3
	now, err := c.Restore(b.Context(), store.Restoration{Backup: replay(records, nil), Replace: true})
	b.ok(err)
	want(b, "generation", now.Generation, 9)
	c.worker("w1")
	_, _, err = c.RegisterType(b.Context(), &runtimev1.ActorType{Name: "late"}, 1)
	b.ok(err)
	for _, shard := range c.table() {
		if shard.GetEpoch()>>40 != 8 {
			b.Errorf("%v is of another generation", shard)
		}
	}
}

func archiveKept(b *bench) {
	b.archive()
	_, _, err := b.Evict(b.Context(), "w1", nil)
	b.ok(err)
	before := fmt.Sprint(b.backup()[1:])
	_, err = b.Restore(b.Context(), store.Restoration{Backup: b.Backup(b.Context())})
	wantError(b, "restore", err, store.ErrNotEmpty)
	want(b, "the store", fmt.Sprint(b.backup()[1:]), before)
}

func archiveReplaces(b *bench) {
	b.archive()
	c := b.another()
	_, err := c.AddWorker(b.Context(), &runtimev1.Worker{Id: "w1", Lease: durationpb.New(10 * time.Millisecond)})
	b.ok(err)
	c.cart(1)
	c.assign(0, "w1")
	c.commit("w1", keyed(record("a", nil, at(9, 9), "other"), 7), record("z", nil, at(9, 9), "other"))
	c.set(task(job("z", "1"), ""), task(alarm("a", "x"), "another"))
	now, err := c.Restore(b.Context(), store.Restoration{Backup: b.Backup(b.Context()), Replace: true})
	b.ok(err)
	want(b, "generation", now.Generation, 2)
	want(b, "the store", fmt.Sprint(c.backup()[1:]), fmt.Sprint(b.backup()[1:]))
}

// A backup that ends with an error, wherever, leaves a store that serves nobody, and that
// takes another backup.
func archiveBroken(b *bench) {
	b.archive()
	records := b.backup()
	cause := errors.New("the line is dead")
	c := b.another()
	for n := range len(records) + 1 {
		_, err := c.Restore(b.Context(), store.Restoration{Backup: replay(records[:n], cause)})
		wantError(b, fmt.Sprint("restore ", n, " records"), err, cause)
		_, err = c.Cluster(b.Context())
		var backup error
		for _, backup = range c.Backup(b.Context()) {
		}
		if n == 0 { // nothing has happened
			b.ok(errors.Join(err, backup))
			continue
		}
		wantError(b, "cluster", err, store.ErrUnfinished)
		wantError(b, "backup", backup, store.ErrUnfinished)
		_, err = c.AddWorker(b.Context(), &runtimev1.Worker{Id: "w9"})
		wantError(b, "add a worker", err, store.ErrUnfinished)
	}
	want(b, "generation", c.restore(records).Generation, uint64(len(records)+2))
	want(b, "the store", fmt.Sprint(c.backup()[1:]), fmt.Sprint(records[1:]))
}

func archiveOrder(b *bench) {
	b.archive()
	records := b.backup()
	c := b.another()
	for i := 1; i < len(records); i++ {
		swapped := append([]*backupv1.Record{}, records...)
		swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
		_, err := c.Restore(b.Context(), store.Restoration{Backup: replay(swapped, nil)})
		wantError(b, fmt.Sprint("records ", i-1, " and ", i, " swapped"), err, store.ErrInvalid)
		twice := append(append([]*backupv1.Record{}, records[:i]...), records[i-1:]...)
		_, err = c.Restore(b.Context(), store.Restoration{Backup: replay(twice, nil)})
		wantError(b, fmt.Sprint("record ", i-1, " twice"), err, store.ErrInvalid)
	}
}

func archiveMalformed(b *bench) {
	header := &backupv1.Record{Record: &backupv1.Record_Header{Header: &backupv1.Header{Cluster: "c", Generation: 1}}}
	bad := map[string]*backupv1.Record{
		"no kind":          {},
		"a summary":        {Record: &backupv1.Record_Summary{Summary: &backupv1.Summary{}}},
		"a type":           {Record: &backupv1.Record_Type{Type: &backupv1.Type{Shards: 1}}},
		"no shards":        {Record: &backupv1.Record_Type{Type: &backupv1.Type{Type: &runtimev1.ActorType{Name: "t"}}}},
		"too many shards":  {Record: &backupv1.Record_Type{Type: &backupv1.Type{Type: &runtimev1.ActorType{Name: "t"}, Shards: 1 << 20}}},
		"an actor":         {Record: &backupv1.Record_Actor{Actor: &backupv1.Actor{Type: "t"}}},
		"a key":            {Record: &backupv1.Record_Key{Key: &backupv1.Key{Type: "t", Id: "a", Key: &runtimev1.Key{Digest: []byte("short")}}}},
		"a task":           {Record: &backupv1.Record_Task{Task: &backupv1.Task{Task: &runtimev1.ScheduledTask{Revision: 1}}}},
		"without revision": {Record: &backupv1.Record_Task{Task: &backupv1.Task{Task: &runtimev1.ScheduledTask{Task: task(alarm("a", "x"), "")}}}},
	}
	c := b.another()
	for name, record := range bad {
		_, err := c.Restore(b.Context(), store.Restoration{Backup: replay([]*backupv1.Record{header, record}, nil)})
		wantError(b, name, err, store.ErrInvalid)
	}
	for name, h := range map[string]*backupv1.Header{
		"no cluster": {Generation: 1}, "no generation": {Cluster: "c"}, "a huge generation": {Cluster: "c", Generation: 1 << 24},
	} {
		record := &backupv1.Record{Record: &backupv1.Record_Header{Header: h}}
		_, err := b.Restore(b.Context(), store.Restoration{Backup: replay([]*backupv1.Record{record}, nil)})
		wantError(b, name, err, store.ErrInvalid)
	}
	if _, err := b.Restore(b.Context(), store.Restoration{Backup: replay(nil, nil)}); err == nil {
		b.Error("a backup of nothing was restored")
	}
	b.single() // nothing has happened
}

func archiveDamaged(b *bench) {
	b.archive()
	records := b.backup()
	for i, record := range records {
		record = proto.CloneOf(record)
		switch {
		case record.GetActor().GetId() == "a":
			record.GetActor().Damaged = true
		case record.GetKey().GetId() == "c":
			record.GetKey().Damaged = true
		case record.GetTask() != nil && !record.GetTask().GetDead() && record.GetTask().GetTask().GetTask().GetKey().GetJob() == "1":
			key := record.GetTask().GetTask().GetTask().GetKey()
			record = &backupv1.Record{Record: &backupv1.Record_Task{Task: &backupv1.Task{
				Damaged: true, Task: &runtimev1.ScheduledTask{Task: &runtimev1.Task{Key: key}},
			}}}
		}
		records[i] = record
	}
	c := b.another()
	_, err := c.Restore(b.Context(), store.Restoration{Backup: replay(records, nil)})
	if errors.Is(err, store.ErrDamaged) {
		b.Skip("this store cannot be damaged, and refuses what is")
	}
	b.ok(err)
	want(b, "the backup of what was restored", fmt.Sprint(c.backup()[1:]), fmt.Sprint(records[1:]))
	c.worker("w1")
	epoch := c.assign(0, "w1").GetEpoch()
	want(b, "a damaged actor", c.load("w1", "a", epoch).GetVerdict(), runtimev1.Verdict_VERDICT_DAMAGED)
	want(b, "its neighbour", c.load("w1", "b", epoch).GetVerdict(), applied)
	want(b, "an actor with a damaged key", c.load("w1", "c", epoch).GetVerdict(), runtimev1.Verdict_VERDICT_DAMAGED)
	want(b, "a damaged task", c.stored(job("b", "1")).GetError(), store.ErrDamagedTask.Error())
	want(b, "what is due", names(c.due()), []string{})
	for _, id := range []string{"a", "b", "c"} {
		c.deleteDamaged(id, epoch)
	}
	want(b, "the tasks of a deleted actor", c.all("b"), []string{})
}

// deleteDamaged deletes an actor by what a read tells of it, damaged or not.
func (b *bench) deleteDamaged(id string, epoch uint64) {
	b.Helper()
	have := b.load("w1", id, epoch)
	if have.GetVerdict() != applied {
		want(b, "of the state of "+id, have.GetState().GetMessage()+string(have.GetState().GetData()), "")
	}
	base := have.GetState().GetIdentity()
	want(b, "the deletion of "+id, b.commit("w1", atEpoch(deletion(id, base, at(99, 1)), epoch)), []runtimev1.Verdict{applied})
	left := b.load("w1", id, epoch)
	want(b, "what is left of "+id, left.GetVerdict(), applied)
	want(b, "the state of "+id, left.GetState().GetMessage(), "")
	want(b, "the keys of "+id, len(left.GetKeys()), 0)
	want(b, "the version of "+id, left.GetState().GetVersion(), have.GetState().GetVersion()+1)
	want(b, "a record of before", b.commit("w1", atEpoch(record(id, base, at(98, 1), "late"), epoch)), []runtimev1.Verdict{staleBase})
}

// Actors count up in pairs, each pair in one call; a backup that began meanwhile has both of
// a pair at the same number, at least what was acknowledged before it, at most what was
// sent before it ended.
func archiveMoment(b *bench) {
	b.single()
	const pairs = 20
	var done, sent [pairs]atomic.Int64
	ctx, stop := context.WithCancel(b.Context())
	var writing sync.WaitGroup
	for pair := range pairs {
		writing.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				var base *runtimev1.Identity
				if n > 1 {
					base = at(1, uint64(n-1))
				}
				sent[pair].Store(n)
				data := strconv.FormatInt(n, 10)
				_, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{
					record(fmt.Sprint("left", pair), base, at(1, uint64(n)), data), record(fmt.Sprint("right", pair), base, at(1, uint64(n)), data),
				})
				if err != nil {
					b.Error(err)
					return
				}
				done[pair].Store(n)
			}
		})
	}
	for round := range 5 {
		var least [pairs]int64
		for pair := range pairs {
			least[pair] = done[pair].Load()
		}
		found := map[string]int64{}
		for _, r := range b.backup() {
			if a := r.GetActor(); a != nil {
				n, err := strconv.ParseInt(string(a.GetState().GetData()), 10, 64)
				b.ok(err)
				found[a.GetId()] = n
			}
		}
		for pair := range pairs {
			left, right := found[fmt.Sprint("left", pair)], found[fmt.Sprint("right", pair)]
			if left != right || left < least[pair] || left > sent[pair].Load() {
				b.Errorf("round %d: pair %d is %d and %d; %d was acknowledged before", round, pair, left, right, least[pair])
			}
		}
	}
	stop()
	writing.Wait()
}

func archiveUnwanted(b *bench) {
	b.archive()
	for range b.Backup(b.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	for _, err := range b.Backup(ctx) {
		wantError(b, "a backup that is ended", err, context.Canceled)
	}
	want(b, "the next record", b.commit("w1", record("z", nil, at(1, 1), "")), []runtimev1.Verdict{applied})
	b.ok(b.Close())
	for _, err := range b.Backup(b.Context()) {
		wantError(b, "a backup of a closed store", err, store.ErrClosed)
	}
}
