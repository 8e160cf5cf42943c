package host

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// distant is a cluster in which calls travel as forward says.
type distant struct {
	Cluster

	forward func(ctx context.Context) error
}

func (d distant) Forward(ctx context.Context, _ string, _ *peerv1.InvokeRequest, _ *peerv1.InvokeResponse) error {
	return d.forward(ctx)
}

func (distant) Await(ctx context.Context, _ string, _ uint32, _ uint64) error {
	<-ctx.Done()
	return ctx.Err()
}

// The run of a call that has travelled is used again only where nobody can know of it: whoever
// ends it late, or waits for its end, would mean the call that it was.
func TestRunsThatAreUsedAgain(t *testing.T) {
	const timeout = time.Second
	for name, test := range map[string]struct {
		forward func(ctx context.Context) error
		want    bool
	}{
		"answered": {func(context.Context) error { return nil }, true},
		"lost":     {func(context.Context) error { return context.Canceled }, true},
		"told no more": {func(ctx context.Context) error {
			ending := ctx.(*turnContext)
			ending.Notify((*run)(ending))
			ending.Notify(nil)
			return nil
		}, true},
		"asked for its end": {func(ctx context.Context) error {
			ctx.Done()
			return nil
		}, false},
		"derived from": {func(ctx context.Context) error {
			_, cancel := context.WithCancel(ctx)
			cancel()
			return nil
		}, false},
		"late": {func(context.Context) error {
			time.Sleep(timeout + time.Nanosecond) // its deadline has just passed
			return nil
		}, false},
		"left by its caller": {func(ctx context.Context) error {
			ctx.(*turnContext).parent.(parent).leave()
			return nil
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &Host{cfg: Config{Cluster: distant{forward: test.forward}}.withDefaults(), deadlines: deadline.NewQueue()}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				r := &run{host: h, parent: parent{ctx, leave}, due: timeout}
				_, _ = h.forward(r, &actor.Call{Codec: peerv1.Codec_CODEC_PROTO}, &runtimev1.Shard{})
				if got := r.forgotten(); got != test.want {
					t.Errorf("the run may be used again: %v, want %v", got, test.want)
				}
			})
		})
	}
}

// parent is a context of a caller who may leave.
type parent struct {
	context.Context

	leave context.CancelFunc
}
