package actor

import (
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Later says as what a method is called later, and when. It is only read.
type Later struct {
	// Alarm is the name of an alarm, Job the id of a job: one of them. A call with an
	// idempotency key leaves both empty: the id of its job follows from the key.
	Alarm, Job string
	// Timing is when; nil is at once.
	Timing *runtimev1.Timing
}

// Delivery is an alarm or a job that has come due. It is only read.
type Delivery struct {
	// Alarm is the name of the alarm, Job the id of the job; one of them is empty.
	Alarm, Job string
	// Scheduled is the time for which it was scheduled, by its timing.
	Scheduled time.Time
	// Attempt counts the attempts to deliver it, from 1.
	Attempt int
}
