package serve

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
)

// A backup ends when the lease of workers whose runtime was just stopped has ended.
func TestOutlast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		records := func(yield func(*backupv1.Record, error) bool) {
			for more := 2; more > 0 && yield(&backupv1.Record{}, nil); {
				more--
			}
		}
		began, n := time.Now(), 0
		for _, err := range outlast(t.Context(), records, began.Add(time.Minute)) {
			if n++; err != nil || time.Since(began) > 0 {
				t.Errorf("record %d: after %v, error %v", n, time.Since(began), err)
			}
		}
		if n != 2 || time.Since(began) != time.Minute {
			t.Errorf("%d records ended after %v", n, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var last error
		for _, last = range outlast(ctx, records, time.Now().Add(time.Minute)) {
		}
		if !errors.Is(last, context.DeadlineExceeded) {
			t.Errorf("it was interrupted and ended with %v", last)
		}
	})
}
