package deadline

import "context"

// Within is ctx, but ends with another context at the latest, and then as if it had been
// cancelled. The function that it returns has to be called, as that of [context.WithCancel].
func Within(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
