package boottime

import (
	"testing"
	"time"
)

// Without a suspend in between, both clocks pass alike.
func TestSinceBootPasses(t *testing.T) {
	t.Parallel()
	const while = 50 * time.Millisecond
	// Each reading of the one lies between two of the other.
	early, boot, mono := Monotonic(), SinceBoot(), Monotonic()
	<-time.After(while)
	least := Monotonic() - mono
	passed := SinceBoot() - boot
	most := Monotonic() - early
	const slack = time.Millisecond // their rates are not quite the same
	if passed < least-slack || passed > most+slack {
		t.Errorf("%v passed since boot, and from %v to %v by the monotonic clock", passed, least, most)
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
