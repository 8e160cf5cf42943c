package dispatch

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
)

// A backlog is not read over and over while its only worker is busier than the store: what
// is left to the store because of it, is read again when it has time, and not before.
func TestBacklogIsReadWhenThereIsTime(t *testing.T) {
	t.Parallel()
	const count, capacity = 10_000, 64
	now := time.Unix(1_790_000_000, 0).UTC()
	d := New(Config{Ahead: 1024, Rate: func(string) Rate { return Rate{PerSecond: 1e9, Burst: 1e9} }})
	change := &runtimev1.WatchResponse{Types: []*runtimev1.ActorType{{Name: "cart"}}, Workers: []*runtimev1.Worker{{Id: "w"}}}
	for shard := range uint32(placement.Shards) {
		change.Shards = append(change.Shards, &runtimev1.Shard{Type: "cart", Shard: shard, Epoch: 1, Worker: "w"})
	}
	d.Place((&placement.Table{}).Merge(change))
	var left []*runtimev1.ScheduledTask // in order of the time
	for n := range count {
		key := &runtimev1.TaskKey{Type: "cart", Id: fmt.Sprint("actor", n), Name: &runtimev1.TaskKey_Job{Job: "job"}}
		left = append(left, &runtimev1.ScheduledTask{
			Task: &runtimev1.Task{Key: key}, Revision: 1, Due: timestamppb.New(now.Add(time.Duration(n-count) * time.Millisecond)),
		})
	}
	read, given := 0, map[Key]bool{}
	answer := func(reads []Read) {
		for _, r := range reads {
			result := resultOf(left, r)
			read += len(result.Tasks)
			d.Done(r, result)
		}
	}
	d.Receive("w", capacity)
	for idle := 0; len(given) < count; idle++ {
		if idle > 100 {
			t.Fatalf("%d of %d tasks were given, and no more", len(given), count)
		}
		now = now.Add(time.Millisecond)
		effects := d.Pump(now)
		answer(effects.Reads)
		for _, give := range effects.Gives {
			idle = 0
			var done []Move
			for _, delivery := range give.Deliveries {
				key := KeyOf(delivery.GetTask().GetTask().GetKey())
				given[key] = true
				done = append(done, Move{Type: "cart", Key: key, Counter: 2})
			}
			for range 10 { // it is busy, and the store is not
				now = now.Add(time.Millisecond)
				answer(d.Pump(now).Reads)
			}
			left = slices.DeleteFunc(left, func(s *runtimev1.ScheduledTask) bool { return given[KeyOf(s.GetTask().GetKey())] })
			d.Moved(done)
			d.Receive("w", capacity)
		}
	}
	if read > 3*count {
		t.Errorf("%d tasks were read to give %d", read, count)
	}
}

// resultOf reads tasks, which are in order.
func resultOf(tasks []*runtimev1.ScheduledTask, r Read) *Result {
	result := &Result{End: r.After}
	for _, s := range tasks {
		at := Position{Due: s.GetDue().AsTime(), Key: KeyOf(s.GetTask().GetKey())}
		if at.compare(r.After) <= 0 {
			continue
		}
		if len(result.Tasks) == r.Limit {
			result.More = true
			break
		}
		result.Tasks, result.End = append(result.Tasks, s), at
	}
	return result
}
