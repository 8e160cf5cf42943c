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
