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

// Every actor in memory pays for the size of an activation and of its slot, each a size class
// of the allocator as well.
func TestIdleActivationIsSmall(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of machines with words of 8 bytes")
	}
	if size := unsafe.Sizeof(activation{}); size > 240 {
		t.Errorf("an activation has %d bytes, want 240 at most", size)
	}
	if size := unsafe.Sizeof(slot{}); size > 160 {
		t.Errorf("a slot has %d bytes, want 160 at most", size)
	}
}
