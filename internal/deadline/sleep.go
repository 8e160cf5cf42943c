package deadline

import (
	"context"
	"time"
)

// Sleep waits for d, and reports whether ctx still goes on then; it returns at once
// when ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
