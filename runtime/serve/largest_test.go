package serve

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
)

// The largest record that a worker makes is one that the runtime takes: it is not sent in
// parts, and would be repeated for ever.
func TestLargestRecordFits(t *testing.T) {
	t.Parallel()
	digest := bytes.Repeat([]byte{1}, len(keys.Digest{}))
	of := &runtimev1.Actor{Type: strings.Repeat("t", name.MaxType), Id: strings.Repeat("i", name.MaxID)}
	most := ^uint64(0)
	named := &runtimev1.TaskKey{Type: of.GetType(), Id: of.GetId(), Name: &runtimev1.TaskKey_Alarm{Alarm: strings.Repeat("a", name.MaxAlarm)}}
	record := &runtimev1.Record{
		Actor: of, Fence: &runtimev1.Fence{Shard: 255, Epoch: most},
		Base: &runtimev1.Identity{Activation: most, Sequence: most}, Identity: &runtimev1.Identity{Activation: most, Sequence: most},
		Message: strings.Repeat("m", 512), Data: make([]byte, limit.MaxState), StateTtl: durationpb.New(87600*60*60*1e9 - 1),
		Completes: &runtimev1.Completion{Key: named, Revision: most},
	}
	left := limit.MaxKept // what the gate counts: replies and changes
	for range limit.MaxChanges {
		small := &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: &runtimev1.TaskKey{Type: "t", Id: "i", Name: &runtimev1.TaskKey_Job{Job: "j"}}}}
		record.Changes = append(record.Changes, small)
		left -= proto.Size(small)
	}
	for range keys.MaxRecord {
		record.Keys = append(record.Keys, &runtimev1.Key{Digest: digest, Request: digest, Reply: make([]byte, left/keys.MaxRecord)})
		record.Forgotten = append(record.Forgotten, digest)
	}
	req := &runtimev1.CommitRequest{Records: []*runtimev1.Record{record}, Mark: make([]byte, 40)}
	if size := proto.Size(req); size > maxMessage {
		t.Errorf("the largest record makes a request of %d bytes, and the runtime takes %d", size, maxMessage)
	}
}
