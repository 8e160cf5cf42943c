package sdk

import (
	"context"
	"log/slog"

	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Activation is one stay of an actor in memory, from its constructor to its
// deactivation. The constructor receives it and may keep it.
type Activation[S State] struct{ StatelessActivation }

// State is a snapshot of the state that was loaded, for building caches. A write
// to it is never committed. Call it in the constructor only.
func (a *Activation[S]) State() S { return a.activation.State().(S) }

// StatelessActivation is the activation of an actor without state.
type StatelessActivation struct{ activation actor.Activation }

// ID is the id of the actor.
func (a *StatelessActivation) ID() string { return a.activation.ID() }

// Version counts the records that the actor had committed when it was loaded.
func (a *StatelessActivation) Version() uint64 { return a.activation.Version() }

// Log is the host's logger, with the name of the actor.
func (a *StatelessActivation) Log() *slog.Logger { return a.activation.Log() }

// OnDeactivate registers a function that ends what the constructor began. It runs
// when the actor leaves memory: when it is idle, when the host stops, and when a
// panic or a failed commit makes the constructor run again. Several run in
// reverse order, within 30 seconds together; ctx ends with that time. A host that
// dies does not call them, and they cannot change the state. Call OnDeactivate in
// the constructor only.
func (a *StatelessActivation) OnDeactivate(hook func(ctx context.Context)) {
	a.activation.OnDeactivate(hook)
}
