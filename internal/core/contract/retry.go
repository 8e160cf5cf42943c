package contract

import (
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
)

// Retry is what happens when an alarm or a job fails.
type Retry struct {
	// Attempts is how often it is tried.
	Attempts int
	// Initial is how long the second attempt waits, Max the longest that one waits.
	Initial, Max time.Duration
	// Multiplier is by how much the wait grows from one attempt to the next.
	Multiplier float64
}

var defaultRetry = Retry{Attempts: limit.Attempts, Initial: limit.InitialBackoff, Max: limit.LongestBackoff, Multiplier: limit.BackoffMultiplier}

// retry reads the setting retry of an option. What it does not say is as in unset.
func (p *problems) retry(owner option, policy *francisv1.RetryPolicy, unset Retry) Retry {
	if policy == nil {
		return unset
	}
	at := owner.in("retry", policy)
	p.unknownFields(at)
	r := Retry{
		Attempts:   p.attempts(at, policy, unset.Attempts),
		Initial:    p.backoff(at, "initial_backoff", policy.GetInitialBackoff(), unset.Initial),
		Max:        p.backoff(at, "max_backoff", policy.GetMaxBackoff(), unset.Max),
		Multiplier: p.multiplier(at, policy, unset.Multiplier),
	}
	if r.Initial > r.Max {
		p.add(at.problem("", "initial_backoff is %v, which is longer than max_backoff, %v; raise max_backoff or lower initial_backoff", r.Initial, r.Max))
		return unset
	}
	return r
}

func (p *problems) attempts(at option, policy *francisv1.RetryPolicy, unset int) int {
	if policy.MaxAttempts == nil {
		return unset
	}
	attempts := int(policy.GetMaxAttempts())
	if err := limit.CheckAttempts(attempts); err != nil {
		p.add(at.problem("max_attempts", "%v", err))
		return unset
	}
	return attempts
}

func (p *problems) backoff(at option, setting protoreflect.Name, value *durationpb.Duration, unset time.Duration) time.Duration {
	return p.duration(at, setting, value, unset, func(d time.Duration) error { return limit.CheckBackoff(string(setting), d) })
}

func (p *problems) multiplier(at option, policy *francisv1.RetryPolicy, unset float64) float64 {
	if policy.Multiplier == nil {
		return unset
	}
	if err := limit.CheckMultiplier(policy.GetMultiplier()); err != nil {
		p.add(at.problem("multiplier", "%v", err))
		return unset
	}
	return policy.GetMultiplier()
}

// retryOfView finds a retry that nobody would obey.
func (p *problems) retryOfView(at option, opts *francisv1.MethodOptions) {
	if opts.GetRetry() != nil && isView(at.at.(protoreflect.MethodDescriptor)) {
		p.add(at.problem("retry", "%s is a view, which no alarm or job calls; remove retry", at.at.Name()))
	}
}
