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

// look is how often SleepUntil looks at the clock at least.
const look = time.Minute

// SleepUntil waits for a time of the machine's clock, or up to a minute longer, and reports
// whether ctx still goes on then; it returns at once when ctx ends. It looks at that clock
// again and again: timers stand still while the machine is suspended, and what ends at a
// time, such as a certificate, does not wait.
func SleepUntil(ctx context.Context, at time.Time) bool {
	at = at.Round(0) // which leaves out the monotonic clock
	return sleepWhile(ctx, func() time.Duration { return time.Until(at) })
}

// sleepWhile waits while something is left.
func sleepWhile(ctx context.Context, left func() time.Duration) bool {
	for wait := left(); wait > 0; wait = left() {
		if !Sleep(ctx, min(wait, look)) {
			return false
		}
	}
	return ctx.Err() == nil
}
