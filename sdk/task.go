package sdk

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// JobID names a job among those of its actor.
type JobID string

// Task is an alarm, a job or a dead letter, as it was when it was read.
type Task struct {
	// Alarm is the name of an alarm, Job the id of a job; the other one is empty.
	Alarm string
	Job   JobID
	// Procedure is the method that is called, "/package.Service/Method", and Request its
	// encoded request, in the binary format.
	Procedure string
	Request   []byte
	// When is when it is due by its timing.
	When When
	// Due is when it is delivered next, by the clock of the store.
	Due time.Time
	// Failures counts the attempts that have failed for this time, and Error is how the last
	// one did.
	Failures int
	Error    string
	// Died is when it was given up; zero for one that lives.
	Died time.Time
}

func taskOf(t *runtimev1.ScheduledTask) Task {
	task := t.GetTask()
	read := Task{
		Alarm: task.GetKey().GetAlarm(), Job: JobID(task.GetKey().GetJob()),
		Procedure: task.GetProcedure(), Request: task.GetRequest(), When: When{timing: task.GetTiming()},
		Due: t.GetDue().AsTime(), Failures: int(t.GetFailures()), Error: t.GetError(),
	}
	if t.GetDied() != nil {
		read.Died = t.GetDied().AsTime()
	}
	return read
}

// Delivery is an alarm or a job that has come due, for the turn that handles it.
type Delivery struct {
	// Alarm is the name of an alarm, Job the id of a job; the other one is empty.
	Alarm string
	Job   JobID
	// Scheduled is the time for which it was scheduled, without jitter and retries.
	Scheduled time.Time
	// Attempt counts the attempts to deliver it for this time, from 1.
	Attempt int
}

// EnqueueOption is a setting of one job.
type EnqueueOption interface {
	applyToJob(c *laterCall)
}

// ScheduleOption is a setting of one alarm.
type ScheduleOption interface {
	applyToAlarm(c *laterCall)
}

// TaskOption works for a job and for an alarm.
type TaskOption interface {
	EnqueueOption
	ScheduleOption
}

// laterCall is a call for later on which options work.
type laterCall struct {
	when   When
	missed Missed
	jitter *time.Duration
	key    string
}

// timing is when the call is due, nil for at once.
func (c *laterCall) timing() *runtimev1.Timing {
	when := c.when
	if c.missed != runtimev1.Missed_MISSED_UNSPECIFIED {
		when = when.with(func(t *runtimev1.Timing) { t.Missed = c.missed })
	}
	if c.jitter != nil {
		when = when.with(func(t *runtimev1.Timing) { t.Jitter = durationpb.New(*c.jitter) })
	}
	return when.timing
}

// WithDelay lets a job be due after d and not at once. It is WithWhen(After(d)).
func WithDelay(d time.Duration) EnqueueOption { return WithWhen(After(d)) }

// WithWhen says when a job is due. One that is due again and again is one job that ends
// with its last time. Default: once, at once.
func WithWhen(when When) EnqueueOption { return whenOption(when) }

type whenOption When

func (w whenOption) applyToJob(c *laterCall) { c.when = When(w) }

// WithJitter makes each delivery late by a random part of d, up to an hour, so that what
// is due at the same time does not come at the same time. Default: none.
func WithJitter(d time.Duration) TaskOption { return jitter(d) }

type jitter time.Duration

func (j jitter) applyToJob(c *laterCall)   { c.jitter = (*time.Duration)(&j) }
func (j jitter) applyToAlarm(c *laterCall) { c.jitter = (*time.Duration)(&j) }

// WithMissed says what becomes of the times of an interval or a cron expression that were
// missed. Default: [Coalesce].
func WithMissed(m Missed) TaskOption { return missed(m) }

type missed Missed

func (m missed) applyToJob(c *laterCall)   { c.missed = Missed(m) }
func (m missed) applyToAlarm(c *laterCall) { c.missed = Missed(m) }

func (k idempotencyKey) applyToJob(c *laterCall) { c.key = k.given() }
