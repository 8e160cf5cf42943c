package sdk

import (
	"time"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Outcome is what a failed call did to the state of its actor.
type Outcome = francisv1.Outcome

const (
	// OutcomeNothingHappened means that the call had no effect on its actor.
	OutcomeNothingHappened = francisv1.Outcome_OUTCOME_NOTHING_HAPPENED
	// OutcomeUnknown means that the call may or may not have taken effect.
	OutcomeUnknown = francisv1.Outcome_OUTCOME_UNKNOWN
)

// OutcomeOf says what the call that failed with err did to the state of its actor.
// An error that carries no verdict is OutcomeUnknown.
func OutcomeOf(err error) Outcome {
	if fault.Detail(err).GetOutcome() == OutcomeNothingHappened {
		return OutcomeNothingHappened
	}
	return OutcomeUnknown
}

// Retryable reports whether the call that failed with err may succeed when it is
// sent again, without taking effect twice.
func Retryable(err error) bool { return fault.Detail(err).GetRetryable() }

// RetryAfter is how long to wait before sending the call again; 0 is no advice.
func RetryAfter(err error) time.Duration {
	return fault.Detail(err).GetRetryDelay().AsDuration()
}

// Permanent marks the error of a method as one that comes again however often the method
// is called: an alarm or a job that ends with it is not tried again but becomes a dead
// letter at once. A caller who waits for the method is told err itself. The mark of nil is
// nil.
func Permanent(err error) error { return actor.Permanent(err) }
