package host

import (
	"testing"
	"unsafe"
)

// Every call pays for the size of a run: it is zeroed, filled and collected. This is a size
// class of the allocator; the next one is 384.
func TestRunIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(run{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 352 {
		t.Errorf("a run has %d bytes, want 352 at most", size)
	}
}

// Every actor in memory pays for the size of a slot, in which its activation lies: a size
// class of the allocator as well. What a call needs of both is three lines of a cache.
func TestIdleActivationIsSmall(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of machines with words of 8 bytes")
	}
	var s slot
	if size := unsafe.Sizeof(s); size > 320 {
		t.Errorf("a slot with an activation has %d bytes, want 320 at most", size)
	}
	if end := unsafe.Offsetof(s.first) + unsafe.Offsetof(s.first.away); end > 3*64 {
		t.Errorf("what a call needs of it ends at %d, want 192 at most", end)
	}
}
