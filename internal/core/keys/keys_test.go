package keys

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"
)

func digest(n int) (d Digest) {
	binary.BigEndian.PutUint64(d[:], uint64(n))
	return d
}

func TestCheck(t *testing.T) {
	t.Parallel()
	var x Index
	x.Add(digest(1), digest(100), 0)
	x.Add(digest(2), digest(200), time.Hour)
	tests := map[string]struct {
		key, request int
		now          time.Duration
		want         Verdict
	}{
		"a new key":                    {3, 300, time.Hour, Fresh},
		"the same call":                {1, 100, time.Hour, Repeated},
		"the same key, another call":   {1, 200, time.Hour, Conflicting},
		"shortly before it expires":    {1, 100, Life - 1, Repeated},
		"when it has expired":          {1, 100, Life, Fresh},
		"when only an older one has":   {2, 200, Life + time.Hour - 1, Repeated},
		"when the last one has, too":   {2, 200, Life + time.Hour, Fresh},
		"another call when it expired": {1, 999, Life, Fresh},
	}
	for name, test := range tests {
		copied := Index{entries: maps.Clone(x.entries), order: slices.Clone(x.order)}
		if got := copied.Check(digest(test.key), digest(test.request), test.now); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestOldestMakesRoom(t *testing.T) {
	t.Parallel()
	var x Index
	for n := range Max {
		x.Add(digest(n), digest(n), time.Duration(n))
	}
	if got := x.Check(digest(Max), digest(0), Youngest-1); got != Full {
		t.Errorf("with young keys only: %v, want full", got)
	}
	if got := x.Check(digest(5), digest(5), Youngest-1); got != Repeated {
		t.Errorf("a repetition when full: %v", got)
	}
	if got := x.Check(digest(Max), digest(0), Youngest); got != Fresh {
		t.Errorf("with an older key: %v, want fresh", got)
	}
	if forgotten := x.Add(digest(Max), digest(0), Youngest); len(forgotten) != 1 || forgotten[0] != digest(0) {
		t.Errorf("forgotten %v, want the oldest", forgotten)
	}
	if got := x.Check(digest(0), digest(0), Youngest); got != Full {
		t.Errorf("the forgotten key, while the next is young: %v", got)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	var x Index
	x.Add(digest(1), digest(1), 0)
	x.Add(digest(2), digest(2), 0)
	x.Forget(digest(1))
	x.Forget(digest(9))
	if got := x.Check(digest(1), digest(1), 0); got != Fresh {
		t.Errorf("the forgotten key: %v", got)
	}
	if got := x.Check(digest(2), digest(2), 0); got != Repeated {
		t.Errorf("the other key: %v", got)
	}
	x.Check(digest(2), digest(2), Life)
	if len(x.order) != 0 || len(x.entries) != 0 {
		t.Errorf("%d and %d keys are left after their life", len(x.order), len(x.entries))
	}
}
