// Package gate decides when the replies of an activation may leave, and what the
// callers are told. It is pure: no goroutines, locks, clocks or IO; the host calls it
// under the lock of one actor and performs what it answers.
//
// A turn that ends does not keep the next one waiting until its changes are durable:
// that one runs on the state in memory. But nothing leaves before every commit that it
// has seen is durable. The activation has at most one record in flight; turns that end
// meanwhile accumulate into the next one. The host says
//
//	Stage   for a turn that changed something: it waits for the next record
//	Follow  for whoever changed nothing: it waits for what is pending, if anything is
//	Due     to learn whether the next record may be sent now
//	Send    when it is
//
// and then what became of the record in flight: Applied, Refused or Lost. Each of
// these returns who may go, and what they are told. That is good until the next Send, which
// uses the memory again; the host clears it when it has told them.
package gate

import (
	"slices"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/mutant"
)

const (
	// MaxTurns is how many turns accumulate into one record.
	MaxTurns = 1024
	// MaxBytes is how large the replies may be together that the record keeps for
	// repetitions, before the last of them. With that one and the state, a record has at
	// most 4 MiB.
	MaxBytes = limit.MaxKept - limit.MaxReplyKept
)

// Outcome is what a waiter is told.
type Outcome uint8

const (
	// Durable means that everything the waiter has seen or done is durable.
	Durable Outcome = iota
	// Nothing means that nothing of what the waiter did happened.
	Nothing
	// Unknown means that nobody knows whether it happened.
	Unknown
)

// String is the outcome's word in logs and traces.
func (o Outcome) String() string {
	switch o {
	case Durable:
		return "durable"
	case Nothing:
		return "nothing happened"
	default:
		return "unknown"
	}
}

// Verdict is what the gate says to who ends.
type Verdict uint8

const (
	// Open means that nothing is pending: the waiter may go.
	Open Verdict = iota
	// Wait means that the waiter will be told.
	Wait
	// Broken means that a record of the activation was refused or lost: nothing of what
	// the waiter did happens.
	Broken
)

// Told is a waiter and what it is told.
type Told[W any] struct {
	Waiter  W
	Outcome Outcome
}

// Gate is the output gate of one activation. The zero value is open.
type Gate[W any] struct {
	// flight waits for the record in flight, while sent; staged for the next one, while
	// changed.
	flight, staged []Told[W]
	sent, changed  bool
	// turns and bytes are what has accumulated for the next record.
	turns, bytes int
	broken       bool
}

// Stage lets w wait for the next record, which carries what its turn changed, with a
// kept reply of the given size. A broken gate takes nothing.
func (g *Gate[W]) Stage(w W, bytes int) Verdict {
	if g.broken {
		return Broken
	}
	g.changed = true
	g.turns++
	g.bytes += bytes
	return wait(&g.staged, w)
}

// Follow lets w wait for all that is pending, if anything is.
func (g *Gate[W]) Follow(w W) Verdict {
	switch {
	case g.broken:
		return Broken
	case g.changed:
		return wait(&g.staged, w)
	case g.sent:
		return wait(&g.flight, w)
	default:
		return Open
	}
}

// wait lets w wait among others.
func wait[W any](others *[]Told[W], w W) Verdict {
	if !mutant.OutputGate {
		return Open
	}
	*others = append(*others, Told[W]{Waiter: w})
	return Wait
}

// Due reports whether the next record may be sent now.
func (g *Gate[W]) Due() bool { return !g.broken && !g.sent && g.changed }

// Send sends the next record, if it is due, and reports whether it was. It is in flight
// then, and what is staged from now on belongs to the one after it.
func (g *Gate[W]) Send() bool {
	if !g.Due() {
		return false
	}
	g.flight, g.staged = g.staged, g.flight[:0]
	g.sent, g.changed = true, false
	g.turns, g.bytes = 0, 0
	return true
}

// Applied says that the record in flight is durable.
func (g *Gate[W]) Applied() []Told[W] {
	told := g.flight
	g.flight, g.sent = told[:0], false
	return told
}

// Refused says that the record in flight was certainly not applied. The activation is
// over: nothing of its turns, nor of those that ran on top of them, happened.
func (g *Gate[W]) Refused() []Told[W] { return g.fail(Nothing) }

// Lost says that nobody will ever know whether the record in flight was applied. The
// activation is over. What was not sent yet has certainly not happened.
func (g *Gate[W]) Lost() []Told[W] { return g.fail(Unknown) }

func (g *Gate[W]) fail(sent Outcome) []Told[W] {
	told := slices.Clip(g.flight) // behind it lies what was told last, and is still read
	for i := range told {
		told[i].Outcome = sent
	}
	for _, t := range g.staged {
		told = append(told, Told[W]{Waiter: t.Waiter, Outcome: Nothing})
	}
	*g = Gate[W]{broken: true}
	return told
}

// Pending reports whether something is not durable yet.
func (g *Gate[W]) Pending() bool { return g.sent || g.changed }

// Broken reports whether the activation is over.
func (g *Gate[W]) Broken() bool { return g.broken }

// Fits reports whether a turn can add so many bytes to the next record.
func (g *Gate[W]) Fits(bytes int) bool { return g.bytes+bytes <= MaxBytes }

// Full reports whether so much has accumulated that the next turn has to wait.
func (g *Gate[W]) Full() bool { return g.turns >= MaxTurns || g.bytes >= MaxBytes }
