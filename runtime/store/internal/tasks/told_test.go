package tasks

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/francis-actors/francis/runtime/store"
)

// People are told of each damaged task once, and what is remembered for that is bounded.
func TestToldOnce(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	logger := slog.New(slog.NewTextHandler(&said, nil))
	var told Told
	key := func(i int) store.TaskKey { return store.TaskKey{Type: "cart", ID: "a", Name: fmt.Sprint("n", i)} }
	for i := range maxTold {
		told.Damaged(logger, key(i))
		told.Damaged(logger, key(0))
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != maxTold {
		t.Errorf("people were told %d times of %d tasks", n, maxTold)
	}
	told.Damaged(logger, key(maxTold))
	if n := len(told.keys); n != 1 {
		t.Errorf("%d tasks are remembered after more than %d", n, maxTold)
	}
}
