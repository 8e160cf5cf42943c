package boottime

import (
	"testing"
	"testing/synctest"
	"time"
)

// A watch goes with the clock, and sees a suspend when it looks.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slept time.Duration
		clock := func() time.Duration { return Monotonic() + 7*time.Hour + slept }
		w := NewWatch(clock)
		at := func(when string, want time.Duration) {
			t.Helper()
			if got := w.Now(); got != want {
				t.Errorf("%s: the watch shows %v, want %v", when, got, want)
			}
		}
		at("at first", clock())
		time.Sleep(time.Second)
		at("later", clock())
		slept = time.Minute
		at("after a suspend", clock()-time.Minute)
		w.Look()
		at("after a look", clock())
		slept = 0 // an earlier reading that comes later
		w.Look()
		at("after a late look", clock()+time.Minute)
	})
}

func TestWatchIsNotBehindTheClock(t *testing.T) {
	t.Parallel()
	w := NewWatch(SinceBoot)
	for range 1000 {
		w.Look()
		before, got := SinceBoot(), w.Now()
		if got < before || got > SinceBoot()+closely {
			t.Fatalf("the clock shows %v, and the watch %v", before, got)
		}
	}
}

func BenchmarkWatch(b *testing.B) {
	w := NewWatch(SinceBoot)
	for b.Loop() {
		w.Now()
	}
}

func BenchmarkLook(b *testing.B) {
	w := NewWatch(SinceBoot)
	for b.Loop() {
		w.Look()
	}
}
