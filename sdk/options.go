package sdk

import (
	"cmp"
	"time"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Limits bound what one host takes on: Message (the largest request or reply, 4 MiB),
// State (1 MiB), Metadata (4 KiB), ChainDepth (64 actors in one chain of calls) and
// CallTimeout (30 seconds for a call from a turn or from the gateway that brings no
// deadline). A zero field has the default named here. Sizes and depth can only be made
// smaller: other workers and the runtime are sized for them.
type Limits = limit.Limits

// ActorOption overrides a setting of the contract when an actor is registered.
type ActorOption interface {
	applyToActor(s *settings) error
}

// CallOption is a setting of one call.
type CallOption interface {
	applyToCall(c actor.Call) actor.Call
}

// WithIdempotencyKey makes repetitions of a call return the reply of the first one that
// was committed, for 24 hours: the proxy may then also send the call again when it does
// not know what became of it, and so may the application, with the same key. The key
// belongs to one actor and one request: 1 to 255 bytes of printable ASCII, for example a
// UUID. A reply is kept with the commit of the turn, up to 1 MiB; failures are not kept;
// views ignore the key. The same key with another method or request is
// invalid_argument.
//
// A job with a key has an id that follows from it. While one waits, the same job is not
// enqueued again; and however often it is enqueued, it takes effect once in 24 hours.
func WithIdempotencyKey(key string) KeyOption { return idempotencyKey(key) }

// KeyOption works for a call and for a job.
type KeyOption interface {
	CallOption
	EnqueueOption
}

type idempotencyKey string

func (k idempotencyKey) applyToCall(c actor.Call) actor.Call {
	c.Key = k.given()
	return c
}

// given is the key, or for an empty one a key that is refused as the mistake that it is.
func (k idempotencyKey) given() string { return cmp.Or(string(k), " ") }

// WithoutRetries makes the proxy send a call once only. By default a proxy sends a call
// again, within its deadline, after a failure that says that nothing happened and that it
// may pass; and a view or a call with an idempotency key also when the outcome is
// unknown. Calls that a proxy repeats may overtake each other.
func WithoutRetries() CallOption { return once{} }

type once struct{}

func (once) applyToCall(c actor.Call) actor.Call {
	c.Once = true
	return c
}

// OnlyIfActive makes a call for an actor in memory alone: where it is not, the call fails at
// once with failed_precondition, nothing is loaded, and nothing has happened. One that is
// just being loaded counts as in memory. It is for what is of no use otherwise, for example
// to tell an actor to forget something. What is in memory now may not be a moment later: it
// is no way to find out.
func OnlyIfActive() CallOption { return onlyIfActive{} }

type onlyIfActive struct{}

func (onlyIfActive) applyToCall(c actor.Call) actor.Call {
	c.OnlyIfActive = true
	return c
}

// TimeoutOption works for a registration and for a call.
type TimeoutOption interface {
	ActorOption
	CallOption
}

type actorOption func(s *settings) error

func (o actorOption) applyToActor(s *settings) error { return o(s) }

// WithIdleTimeout sets how long an activation may lie unused before it leaves
// memory, from 1 ms to 8760 h. Default: the contract's idle_timeout, else 5
// minutes.
func WithIdleTimeout(d time.Duration) ActorOption {
	return actorOption(func(s *settings) error { return s.setIdleTimeout(d) })
}

// WithStateTTL sets how long the state of an actor lives if no record follows, from 1 s to
// 87600 h; 0 is for ever. A state that is stored gets another life with the next record of
// its actor. Default: the contract's state_ttl, else for ever.
func WithStateTTL(d time.Duration) ActorOption {
	return actorOption(func(s *settings) error { return s.setStateTTL(d) })
}

// WithMaxPending sets how many calls may wait for one actor, from 1 to 1,000,000.
// Default: the contract's max_pending, else 1,024.
func WithMaxPending(n int) ActorOption {
	return actorOption(func(s *settings) error { return s.setMaxPending(n) })
}

// WithMethodTimeout sets the deadline of the calls of one method that bring none,
// from 1 ms to 24 h; method is its name in the contract. Default: the contract's
// timeout of the method, else of the actor.
func WithMethodTimeout(method string, d time.Duration) ActorOption {
	return actorOption(func(s *settings) error { return s.setMethodTimeout(method, d) })
}

// WithTimeout bounds one call (the deadline of its context holds as well), or, at
// registration, sets the deadline of all calls that bring none and whose method
// declares none, from 1 ms to 24 h.
func WithTimeout(d time.Duration) TimeoutOption { return timeout(d) }

type timeout time.Duration

func (t timeout) applyToActor(s *settings) error { return s.setTimeout(time.Duration(t)) }

func (t timeout) applyToCall(c actor.Call) actor.Call {
	c.Timeout = time.Duration(t)
	if t == 0 {
		c.Timeout = -1 // a timeout of zero has passed
	}
	return c
}
