package member

import (
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Of a record that was sent twice, only those answers are believed that no late copy of it
// can change.
func TestDoubt(t *testing.T) {
	t.Parallel()
	believed := map[runtimev1.Verdict]bool{
		runtimev1.Verdict_VERDICT_APPLIED: true, runtimev1.Verdict_VERDICT_ALREADY_APPLIED: true, runtimev1.Verdict_VERDICT_SUPERSEDED: true,
		runtimev1.Verdict_VERDICT_STALE_EPOCH: false, runtimev1.Verdict_VERDICT_STALE_BASE: false, runtimev1.Verdict_VERDICT_TOO_MANY_TASKS: false,
		runtimev1.Verdict_VERDICT_DAMAGED: false,
	}
	for verdict, want := range believed {
		results := []*runtimev1.CommitResponse_Result{{Verdict: verdict}}
		doubt(results)
		if got := results[0].GetVerdict() == verdict; got != want {
			t.Errorf("%v is believed: %v, want %v", verdict, got, want)
		}
	}
}
