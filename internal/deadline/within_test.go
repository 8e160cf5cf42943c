package deadline

import (
	"context"
	"testing"
	"testing/synctest"
)

// A context within another one ends with either, and when it is given up.
func TestWithin(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx, other, itself context.CancelFunc){
		"ctx":    func(ctx, _, _ context.CancelFunc) { ctx() },
		"other":  func(_, other, _ context.CancelFunc) { other() },
		"itself": func(_, _, itself context.CancelFunc) { itself() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, endCtx := context.WithCancel(t.Context())
				other, endOther := context.WithCancel(t.Context())
				defer endCtx()
				defer endOther()
				both, giveUp := Within(ctx, other)
				defer giveUp()
				synctest.Wait()
				if err := both.Err(); err != nil {
					t.Fatalf("it has ended at once: %v", err)
				}
				end(endCtx, endOther, giveUp)
				synctest.Wait()
				if both.Err() != context.Canceled {
					t.Errorf("it goes on, or ended otherwise: %v", both.Err())
				}
			})
		})
	}
}
