package join

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// audit writes what happens at the port into the log: at most one line a second of
// each source, so that nobody fills a disk from outside.
type audit struct {
	logger *slog.Logger

	mu sync.Mutex // guards limiter
	// limiter is asked under the lock; the line is written outside it.
	limiter *limiter
}

func newAudit(logger *slog.Logger) *audit {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &audit{logger: logger, limiter: newLimiter()}
}

// fail records a proof that failed, and reports whether it is one too many.
func (a *audit) fail(from source, now time.Time) (excess bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limiter.fail(from, now)
}

// warn writes a line about something that was refused.
func (a *audit) warn(ctx context.Context, remote, message string, now time.Time, attributes ...slog.Attr) {
	a.mu.Lock()
	silent, ok := a.limiter.line(sourceOf(remote), now)
	a.mu.Unlock()
	if !ok {
		return
	}
	attributes = append(attributes, slog.String("source", remote))
	if silent > 0 {
		attributes = append(attributes, slog.Int("not_shown", silent))
	}
	a.logger.LogAttrs(ctx, slog.LevelWarn, message, attributes...) //nolint:sloglint // a constant of each caller
}
