package lease_test

import (
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/core/lease"
)

const second = time.Second

func TestHolderCountsFromTheSend(t *testing.T) {
	t.Parallel()
	h := lease.NewHolder(100*second, 5*second)
	expect(t, h, 103*second, lease.Active)
	expect(t, h, 104*second-1, lease.Active)
	expect(t, h, 104*second, lease.Lapsed)

	renewal := h.Send(103 * second)
	expect(t, h, 104*second, lease.Lapsed) // sent is not accepted
	h.Accepted(renewal, 5*second)
	expect(t, h, 107*second-1, lease.Active) // whenever the answer came
	expect(t, h, 107*second, lease.Lapsed)
}

func TestHolderAfterALapse(t *testing.T) {
	t.Parallel()
	h := lease.NewHolder(0, 5*second)
	late := h.Send(2 * second)
	expect(t, h, 7*second, lease.Lapsed)
	h.Accepted(late, 5*second) // too late to help
	expect(t, h, 7*second, lease.Lapsed)
	h.Accepted(h.Send(7*second), 5*second)
	expect(t, h, 8*second, lease.Active)
}

func TestHolderAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	h := lease.NewHolder(0, 5*second)
	first, middle, third := h.Send(1*second), h.Send(2*second), h.Send(3*second)
	h.Accepted(middle, 5*second)
	h.Accepted(first, 60*second) // overtaken: neither its time nor its lease counts
	h.Accepted(middle, 5*second)
	if got := h.Lapses(); got != 6*second {
		t.Errorf("lapses at %v, want 6s", got)
	}
	h.Failed(first)
	if got := h.Renews(); got != 4*second {
		t.Errorf("renews at %v after an old failure, want 4s", got)
	}
	h.Failed(third)
	if got := h.Renews(); got != 3*second+250*time.Millisecond {
		t.Errorf("renews at %v after a failure, want 3.25s", got)
	}
	h.Accepted(third, 2*second)
	if got := h.Lapses(); got != 3*second+1600*time.Millisecond {
		t.Errorf("lapses at %v under a shorter lease, want 4.6s", got)
	}
}

func TestHolderRenewsEveryFifth(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{lease.Min, lease.Default, lease.Max} {
		h := lease.NewHolder(0, d)
		for i := 1; i <= 3; i++ { // none is answered
			if got, want := h.Renews(), time.Duration(i)*d/5; got != want {
				t.Errorf("lease %v: renewal %d at %v, want %v", d, i, got, want)
			}
			h.Send(h.Renews())
		}
		if h.Patience() != d/5*3 {
			t.Errorf("lease %v: patience %v", d, h.Patience())
		}
	}
}

func TestHolderDeadIsFinal(t *testing.T) {
	t.Parallel()
	h := lease.NewHolder(0, 5*second)
	before, after := h.Send(1*second), h.Send(2*second)
	h.Accepted(before, 5*second)
	h.Die()
	h.Accepted(after, 5*second)
	expect(t, h, 2*second, lease.Dead)
	expect(t, h, 20*second, lease.Dead)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for d, ok := range map[time.Duration]bool{0: false, 2*second - 1: false, 2 * second: true, 60 * second: true, 61 * second: false} {
		if err := lease.Check(d); (err == nil) != ok {
			t.Errorf("Check(%v) = %v", d, err)
		}
	}
}

func expect(t *testing.T, h *lease.Holder, now time.Duration, want lease.State) {
	t.Helper()
	if got := h.State(now); got != want {
		t.Errorf("at %v the worker is %v, want %v", now, got, want)
	}
}
