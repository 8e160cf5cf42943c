package host

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// The context of a turn ends once, for everybody who keeps it, whoever ends it.
func TestContextEndsOnce(t *testing.T) {
	t.Parallel()
	for range 2000 {
		r := &run{parent: context.Background()}
		ctx := (*turnContext)(r)
		var racing sync.WaitGroup
		racing.Go(r.conclude)
		racing.Go(func() { r.cancel(context.DeadlineExceeded) })
		for range 2 {
			racing.Go(func() {
				first := ctx.Err()
				<-ctx.Done()
				last := ctx.Err()
				if last == nil || first != nil && !errors.Is(first, last) {
					t.Errorf("the context ended with %v and then with %v", first, last)
				}
			})
		}
		racing.Go(func() {
			called := make(chan struct{})
			ctx.AfterFunc(func() { close(called) })
			<-called
		})
		racing.Wait()
	}
}

// A method that never looks at its context leaves one that has ended.
func TestContextOfATurnThatIsOver(t *testing.T) {
	t.Parallel()
	r := &run{parent: context.Background()}
	ctx := (*turnContext)(r)
	if err := ctx.Err(); err != nil {
		t.Errorf("the context of a running turn says %v", err)
	}
	r.conclude()
	r.cancel(context.DeadlineExceeded) // too late
	<-ctx.Done()
	if err := ctx.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("the context of a turn that is over says %v", err)
	}
}
