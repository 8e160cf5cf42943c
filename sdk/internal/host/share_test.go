//go:build !race

// The race detector shuffles who runs next, and with that who shares a record.

package host_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
)

// Callers who call again as soon as they are answered share a record. If the next one left
// with the first of them, they would need two for each call of all.
func TestAnsweredCallersShareARecord(t *testing.T) {
	const callers, calls = 32, 20
	withStore(t, func(s *store) {
		probe := behaviourv1francis.NewProbeActorProxy(s.host.Service(), "id1")
		ending, cancel := context.WithCancel(context.Background())
		defer cancel()
		var calling atomic.Int32
		calling.Add(callers)
		for i := range callers {
			ctx := context.Background() // its turns run on the goroutine of the caller
			if i%2 > 0 {
				ctx = ending // and these on others
			}
			go func() {
				defer calling.Add(-1)
				for range calls {
					if _, err := probe.Add(ctx, &behaviourv1.AddRequest{In: 1}); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		synctest.Wait()
		records := 0
		for calling.Load() > 0 {
			s.apply()
			records++
		}
		if records > calls*3/2 {
			t.Errorf("%d calls of each of %d callers took %d records", calls, callers, records)
		}
	})
}
