// Package limit holds the numbers that bound a host and its actors: every
// default, and the range that a setting may have. It is pure.
package limit

import (
	"fmt"
	"time"
)

const (
	// IdleTimeout is how long an activation may lie unused.
	IdleTimeout = 5 * time.Minute
	// CallTimeout is the deadline of a call from a turn or from the gateway that
	// brings none.
	CallTimeout = 30 * time.Second
	// ShutdownGrace is how long a host waits for its turns when it stops.
	ShutdownGrace = 30 * time.Second
	// MaxPending is how many calls may wait for one actor.
	MaxPending = 1024
	// Waiting is how many calls of a host wait at a time until it is known where their
	// actors live: for the table, for an owner, or for the end of a handover.
	Waiting = 16_384
	// MaxMessage is the largest request or reply, in encoded bytes.
	MaxMessage = 4 << 20
	// MaxState is the largest state of an actor, in encoded bytes.
	MaxState = 1 << 20
	// MaxReplyKept is the largest reply that is kept because its call has an idempotency
	// key, in encoded bytes.
	MaxReplyKept = 1 << 20
	// MaxKept is how large the kept replies of one record are together, in bytes.
	MaxKept = 3 << 20
	// GatewayConnections is how many connections the server of a gateway has.
	GatewayConnections = 16_384
	// GatewayStreams is how many requests one of them makes at once over HTTP/2.
	GatewayStreams = 100
	// GatewayRequests is how many requests one gateway has under way at a time.
	GatewayRequests = 16_384
	// GatewayBytes is how large their bodies and answers are together, in bytes.
	GatewayBytes = 256 << 20
	// MaxMetadata is the largest metadata of a call: the bytes of all keys and
	// values together.
	MaxMetadata = 4 << 10
	// MaxTaskRequest is the largest request of an alarm or a job, in encoded bytes: it is
	// kept like a state, and written again at each attempt.
	MaxTaskRequest = 1 << 20
	// MaxChanges is how many changes of tasks one record or request carries.
	MaxChanges = 1024
	// MaxRevived is how many dead letters one record or request revives: their tasks, which
	// the store writes anew, are larger than what asks for them.
	MaxRevived = 16
	// MaxDeleted is how many alarms, jobs and dead letters an actor has together that is
	// deleted: they go in one transaction, and who commits meanwhile waits for it.
	MaxDeleted = 10_000
	// MaxFailure is how much is kept of the error of a failed attempt, in bytes.
	MaxFailure = 1 << 10
	// DeliveriesPerSecond is how many alarms and jobs of an actor type are delivered in a
	// second.
	DeliveriesPerSecond = 25_000
	// DeliveriesBurst is how many of them are delivered at once after a while without.
	DeliveriesBurst = 10_000
	// MaxDeliveries bounds both.
	MaxDeliveries = 1_000_000
	// ChainDepth is how many actors one chain of calls may hold.
	ChainDepth = 64
	// Attempts is how often an alarm or a job is tried.
	Attempts = 5
	// InitialBackoff is how long its second attempt waits.
	InitialBackoff = time.Second
	// LongestBackoff is the longest that an attempt waits.
	LongestBackoff = 5 * time.Minute
	// BackoffMultiplier is by how much the wait grows from one attempt to the next.
	BackoffMultiplier = 2
	// MaxAttempts is how often an alarm or a job may be tried.
	MaxAttempts = 1_000
	// MaxBackoff is how long an attempt may wait.
	MaxBackoff = 24 * time.Hour
	// MaxMultiplier is by how much the wait may grow from one attempt to the next.
	MaxMultiplier = 100
)

const (
	minDuration    = time.Millisecond
	maxIdleTimeout = 8760 * time.Hour
	maxTimeout     = 24 * time.Hour
	minStateTTL    = time.Second
	maxStateTTL    = 87600 * time.Hour
	maxMaxPending  = 1_000_000
)

// CheckIdleTimeout reports why d cannot be an idle timeout.
func CheckIdleTimeout(d time.Duration) error {
	return checkDuration("idle_timeout", d, maxIdleTimeout)
}

// CheckTimeout reports why d cannot be the deadline of a call.
func CheckTimeout(d time.Duration) error {
	return checkDuration("timeout", d, maxTimeout)
}

// CheckStateTTL reports why a state cannot live for d.
func CheckStateTTL(d time.Duration) error {
	return checkBetween("state_ttl", d, minStateTTL, maxStateTTL)
}

func checkDuration(setting string, d, most time.Duration) error {
	return checkBetween(setting, d, minDuration, most)
}

func checkBetween(setting string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s is %v; it must be between %v and %v", setting, d, least, most)
	}
	return nil
}

// CheckMaxPending reports why n cannot bound the queue of an actor.
func CheckMaxPending(n int) error {
	if n < 1 || n > maxMaxPending {
		return fmt.Errorf("max_pending is %d; it must be between 1 and %d", n, maxMaxPending)
	}
	return nil
}

// CheckAttempts reports why n cannot be how often an alarm or a job is tried.
func CheckAttempts(n int) error {
	if n < 1 || n > MaxAttempts {
		return fmt.Errorf("max_attempts is %d; it must be between 1 and %d", n, MaxAttempts)
	}
	return nil
}

// CheckBackoff reports why d cannot be the wait that the setting names.
func CheckBackoff(setting string, d time.Duration) error {
	return checkDuration(setting, d, MaxBackoff)
}

// CheckMultiplier reports why f cannot be by how much a wait grows.
func CheckMultiplier(f float64) error {
	if !(f >= 1 && f <= MaxMultiplier) { // so written, it refuses what is no number as well
		return fmt.Errorf("multiplier is %v; it must be between 1 and %d", f, MaxMultiplier)
	}
	return nil
}
