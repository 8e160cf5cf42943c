package host

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/francis-actors/francis/internal/deadline"
)

// No timeout is so long that the deadline of the calling turn is forgotten.
func TestTimeoutsDoNotOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &Host{deadlines: deadline.NewQueue()}
		time.Sleep(time.Second) // by the host's clock it is no longer zero
		for parent, want := range map[time.Duration]time.Duration{0: time.Second + longest, time.Minute: time.Minute} {
			r := &run{host: h, parent: context.Background()}
			r.bound(origin{due: parent}, math.MaxInt64)
			if !r.ends || r.due != want {
				t.Errorf("in a turn that ends at %v: ends %v, at %v, want %v", parent, r.ends, r.due, want)
			}
		}
	})
}
