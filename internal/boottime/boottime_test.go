package boottime

import (
	"testing"
	"time"
)

// Without a suspend in between, both clocks pass alike.
func TestSinceBootPasses(t *testing.T) {
	t.Parallel()
	const while = 50 * time.Millisecond
	boot, mono := SinceBoot(), Monotonic()
	<-time.After(while)
	passed, other := SinceBoot()-boot, Monotonic()-mono
	if passed < while || passed-other > 10*time.Millisecond || other-passed > 10*time.Millisecond {
		t.Errorf("%v passed since boot, %v by the monotonic clock", passed, other)
	}
}

func TestSinceBootIsCheap(t *testing.T) { //nolint:paralleltest // allocations are counted
	if n := testing.AllocsPerRun(100, func() { SinceBoot() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSinceBoot(b *testing.B) {
	for b.Loop() {
		SinceBoot()
	}
}
