package engine

import (
	"testing"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
)

// An answer to a load is bounded, and brings at least one state, however large: who asks
// for the rest again comes to an end.
func TestLoadAnswersFit(t *testing.T) {
	t.Parallel()
	const reads = 40
	left, rounds := reads, 0
	for left > 0 {
		results := make([]*runtimev1.LoadResponse_Result, left)
		for i := range results {
			results[i] = &runtimev1.LoadResponse_Result{
				Verdict: runtimev1.Verdict_VERDICT_APPLIED, State: &runtimev1.State{Data: make([]byte, limit.MaxState)},
			}
		}
		answer := &runtimev1.LoadResponse{Results: fitting(results)}
		if size := proto.Size(answer); size > maxAnswer+2*limit.MaxState {
			t.Fatalf("an answer has %d bytes", size)
		}
		before := left
		for _, result := range answer.GetResults() {
			if result.GetVerdict() == runtimev1.Verdict_VERDICT_APPLIED {
				left--
			}
		}
		if left == before {
			t.Fatal("an answer brings nothing")
		}
		rounds++
	}
	if rounds < reads/4 {
		t.Errorf("%d states of a MiB came in %d answers", reads, rounds)
	}
}
