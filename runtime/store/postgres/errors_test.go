package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/francis-actors/francis/runtime/store"
)

// TestHealth wants people to be told once that the database is away, and once that it is
// back; not by somebody who gave up waiting.
func TestHealth(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	h := health{logger: slog.New(slog.NewTextHandler(&log, nil))}
	gaveUp := fmt.Errorf("%w (%w)", store.ErrAway, context.Canceled)
	for n, step := range []struct {
		end  error
		told string
	}{
		{nil, ""},
		{gaveUp, ""},
		{store.ErrFull, ""},
		{store.ErrAway, "does not answer"},
		{store.ErrAway, ""},
		{gaveUp, ""},
		{store.ErrFull, ""},
		{nil, "answers again"},
		{nil, ""},
	} {
		log.Reset()
		h.note(step.end)
		if told := log.String(); !strings.Contains(told, step.told) || (told == "") != (step.told == "") {
			t.Errorf("step %d: %v is told as %q, want %q", n, step.end, told, step.told)
		}
	}
}
