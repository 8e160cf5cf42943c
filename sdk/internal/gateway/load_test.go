package gateway

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
)

func TestLoadIsBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ calls, size int }{
		"calls": {maxCalls, 0},
		"bytes": {64, maxBytes / 64},
	} {
		var l load
		for n := range test.calls {
			if err := l.take(test.size); err != nil {
				t.Fatalf("%s: call %d is refused: %v", name, n+1, err)
			}
		}
		for range 3 { // one that is refused takes nothing
			err := l.take(1)
			detail := fault.Detail(err)
			if connect.CodeOf(err) != connect.CodeResourceExhausted || detail.GetOutcome() != francisv1.Outcome_OUTCOME_NOTHING_HAPPENED ||
				!detail.GetRetryable() || detail.GetRetryDelay().AsDuration() < 100*time.Millisecond {
				t.Errorf("%s: one more is told %v, %v", name, err, detail)
			}
		}
		l.give(test.size)
		if err := l.take(1); err != nil {
			t.Errorf("%s: with room again a call is refused: %v", name, err)
		}
	}
}
