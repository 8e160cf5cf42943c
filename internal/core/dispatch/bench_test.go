package dispatch

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
)

// One delivery: it is set, given to its worker, and completed.
func BenchmarkDelivery(b *testing.B) {
	const batch = 512
	now := time.Unix(1_790_000_000, 0).UTC()
	d := New(Config{Ahead: 8192, Rate: func(string) Rate { return Rate{PerSecond: 1e9, Burst: 1e9} }})
	change := &runtimev1.WatchResponse{Types: []*runtimev1.ActorType{{Name: "cart"}}, Workers: []*runtimev1.Worker{{Id: "w"}}}
	for shard := range uint32(placement.Shards) {
		change.Shards = append(change.Shards, &runtimev1.Shard{Type: "cart", Shard: shard, Epoch: 1, Worker: "w"})
	}
	d.Place((&placement.Table{}).Merge(change))
	for _, read := range d.Pump(now).Reads {
		d.Done(read, &Result{})
	}
	tasks := make([]*runtimev1.ScheduledTask, batch)
	for i := range tasks {
		key := &runtimev1.TaskKey{Type: "cart", Id: fmt.Sprint("actor", i), Name: &runtimev1.TaskKey_Job{Job: "job"}}
		tasks[i] = &runtimev1.ScheduledTask{Task: &runtimev1.Task{Key: key}}
	}
	set, done := make([]Move, batch), make([]Move, batch)
	counter := uint64(0)
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		now = now.Add(time.Millisecond)
		counter++
		for i, s := range tasks {
			key := KeyOf(s.GetTask().GetKey())
			stage := &runtimev1.ScheduledTask{Task: s.GetTask(), Revision: counter, Due: timestamppb.New(now)}
			set[i] = Move{Type: "cart", Key: key, Task: stage, Counter: counter}
			done[i] = Move{Type: "cart", Key: key, Counter: counter + 1}
		}
		counter++
		d.Moved(set)
		d.Receive("w", batch)
		effects := d.Pump(now)
		if len(effects.Gives) != 1 || len(effects.Gives[0].Deliveries) != batch {
			b.Fatalf("%d gives", len(effects.Gives))
		}
		for _, read := range effects.Reads {
			d.Done(read, &Result{})
		}
		d.Moved(done)
	}
}
