package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// What was put last is there for as long as not very many others are used, and no longer.
func TestRecent(t *testing.T) {
	t.Parallel()
	const room = 4
	r := recent[int, int]{room: room}
	for key := range 100 {
		r.put(key, -key)
		r.put(key, key)
		if got, found := r.get(0); !found || got != 0 {
			t.Fatalf("what is used all the time is %d, %v after %d others", got, found, key)
		}
	}
	if n := len(r.young) + len(r.old); n > 2*room {
		t.Errorf("%d keys are kept; there is room for %d", n, 2*room)
	}
	if got, found := r.get(1); found {
		t.Errorf("what was not used for long is still %d", got)
	}
	r.drop(99)
	if got, found := r.get(99); found {
		t.Errorf("what was dropped is still %d", got)
	}
}

// A task that was not written, because its transaction failed, is not what completes.
func TestFailedTransactionIsForgotten(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db"), pragmas: []string{"max_page_count = 60"}})
	defer mustClose(t, s)
	own(t, s, "w1")
	alarm := jobOf("x", "", "request")
	alarm.Key.Name = &runtimev1.TaskKey_Alarm{Alarm: "alarm"}
	set(t, s, alarm)
	delivered := due(t, s)[0]
	if _, err := trySet(t.Context(), s, alarm, jobOf("y", "1", string(make([]byte, 1<<19)))); !errors.Is(err, store.ErrFull) {
		t.Fatalf("a full disk: %v", err)
	}
	results, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{completion(record("x", nil, identity(1, 1), nil), delivered)})
	ok(t, err)
	if got := results[0].GetVerdict(); got != runtimev1.Verdict_VERDICT_APPLIED {
		t.Errorf("the delivery that is stored: %v", got)
	}
	if left := due(t, s); len(left) > 0 {
		t.Errorf("due: %v", left)
	}
}
