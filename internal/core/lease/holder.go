package lease

import (
	"math"
	"time"

	"github.com/francis-actors/francis/internal/mutant"
)

// State is what a worker may do.
type State uint8

const (
	// Active means that the worker runs turns and views.
	Active State = iota
	// Lapsed means that the worker starts nothing and sends no outgoing call, but
	// keeps its activations and goes on renewing.
	Lapsed
	// Dead means that the worker was declared dead: it drops everything and joins
	// again under a new id.
	Dead
)

// String is the state's word in logs.
func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case Lapsed:
		return "lapsed"
	default:
		return "dead"
	}
}

// Renewal is one renewal on its way: what its answer is counted from.
type Renewal struct {
	// Sent is when it was sent.
	Sent time.Duration
}

// Holder is a worker's side of its lease. Feed it each renewal and its answer, in
// whatever order the answers come: only the renewal that was sent last among the
// accepted ones counts, so a late, repeated or overtaken answer changes nothing.
// The loop of a worker is
//
//	for holder.State(now()) != lease.Dead {
//		sleep until holder.Renews()
//		renewal := holder.Send(now())
//		go ask the runtime, for at most holder.Patience(), then one of
//			holder.Accepted(renewal, answer.Lease)
//			holder.Failed(renewal)
//			holder.Die()
//	}
//
// and every gate asks State before it lets anything start.
type Holder struct {
	lease time.Duration
	// counted is when the accepted renewal that was sent last was sent.
	counted time.Duration
	// sent is when the last renewal was sent, accepted or not.
	sent time.Duration
	// retry is true when that one failed, and nothing was sent since.
	retry bool
	dead  bool
}

// NewHolder is the lease of a worker that asked to join at the time sent, and was
// given a lease.
func NewHolder(sent, lease time.Duration) *Holder {
	return &Holder{lease: lease, counted: sent, sent: sent}
}

// State is what the worker may do at the time now.
func (h *Holder) State(now time.Duration) State {
	switch {
	case h.dead:
		return Dead
	case now >= h.Lapses():
		return Lapsed
	default:
		return Active
	}
}

// Lapses is when the worker lapses, or has lapsed, unless a renewal is accepted.
func (h *Holder) Lapses() time.Duration {
	if !mutant.Lapse {
		return math.MaxInt64
	}
	return h.counted + Span(h.lease)
}

// Renews is when to send the next renewal: one interval after the last, whether
// that was answered or not, and sooner when it is known to have failed.
func (h *Holder) Renews() time.Duration {
	if h.retry {
		return h.sent + Interval(h.lease)/4
	}
	return h.sent + Interval(h.lease)
}

// Patience is how long to wait for an answer: there is time left then to renew the lease by
// way of another runtime.
func (h *Holder) Patience() time.Duration { return 3 * Interval(h.lease) }

// Send says that a renewal is sent at the time now.
func (h *Holder) Send(now time.Duration) Renewal {
	h.sent, h.retry = now, false
	return Renewal{Sent: now}
}

// Accepted is the answer that the renewal was accepted, for the given lease.
func (h *Holder) Accepted(renewal Renewal, lease time.Duration) {
	if renewal.Sent >= h.counted {
		h.counted, h.lease = renewal.Sent, lease
	}
}

// Failed is no answer, or one that says nothing of the lease. The renewal may have
// been counted all the same; the worker believes that it was not.
func (h *Holder) Failed(renewal Renewal) {
	if renewal.Sent == h.sent {
		h.retry = true
	}
}

// Die is the answer that the worker was declared dead. It is final.
func (h *Holder) Die() { h.dead = true }
