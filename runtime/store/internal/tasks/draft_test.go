package tasks

import (
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// The value is fixed: there are stores that hold it.
func TestSumGolden(t *testing.T) {
	t.Parallel()
	key := store.TaskKey{Type: "cart", ID: "a", Kind: runtimev1.ListRequest_KIND_JOBS, Name: "1"}
	whole := Sum(key, 7, []byte("task"))
	if whole != 0xd9ace5a80fcafd60 {
		t.Errorf("%#x", whole)
	}
	alarm, border := key, key
	alarm.Kind, border.ID, border.Name = runtimev1.ListRequest_KIND_ALARMS, "a1", ""
	for what, other := range map[string]uint64{
		"kind": Sum(alarm, 7, []byte("task")), "due": Sum(key, 8, []byte("task")),
		"task": Sum(key, 7, []byte("tasl")), "border": Sum(border, 7, []byte("task")),
	} {
		if other == whole {
			t.Errorf("a change of %s is not seen", what)
		}
	}
}
