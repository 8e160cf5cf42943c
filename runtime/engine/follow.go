package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/store"
)

// followInterval is the time between two looks at what other runtimes have changed: for
// so long a worker of one runtime may wait for the news of another one.
const followInterval = 50 * time.Millisecond

// follower takes over what other runtimes of a shared store change. Our own changes are
// read once more with theirs, which costs little: placement is at rest most of the time.
type follower struct {
	engine *Engine
	// store is nil where nobody else changes it.
	store store.Shared
	// catching is held by whoever catches up; seen is theirs. It is not the engine's slot for
	// reading: nearly always nothing has changed, and the judge need not wait for that answer.
	catching slot
	seen     store.Placements
}

func newFollower(e *Engine) *follower {
	shared, _ := e.store.(store.Shared)
	return &follower{engine: e, store: shared, catching: newSlot()}
}

// run catches up again and again until ctx ends.
func (f *follower) run(ctx context.Context) {
	for failing := false; f.store != nil && deadline.Sleep(ctx, followInterval); {
		err := f.catchUp(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.engine.log.Warn("it cannot be seen what other runtimes change; it is tried again", "error", err)
		}
		failing = err != nil
	}
}

// current fails where nobody knows whether other runtimes have changed something: a client,
// which renews no lease, hears by that of a runtime that is cut off from the store.
func (f *follower) current(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.engine.cfg.Lease)
	defer cancel()
	return f.catchUp(ctx)
}

// catchUp reads the store if somebody has changed the placement. Then the board has
// everything that was acknowledged before the call, by whichever runtime.
func (f *follower) catchUp(ctx context.Context) error {
	if f.store == nil {
		return nil
	}
	if err := f.catching.take(ctx); err != nil {
		return err
	}
	defer f.catching.give()
	now, err := f.store.Placements(ctx)
	if err != nil {
		return fmt.Errorf("look for changes of other runtimes: %w", err)
	}
	if now == f.seen {
		return nil
	}
	before := f.engine.board.table()
	if err := f.engine.read(ctx); err != nil {
		return err
	}
	f.seen = now
	if f.engine.board.table() != before {
		f.engine.wake()
	}
	return nil
}
