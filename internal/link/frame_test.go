package link

import (
	"slices"
	"strconv"
	"testing"
)

// What was added leaves in its order, in frames that are not too full, but for what was
// dropped; nothing is counted that does not wait.
func TestOutbox(t *testing.T) {
	t.Parallel()
	var o outbox
	var want, got []uint64
	for id := uint64(1); id <= 3*maxFrame; id++ {
		o.add(id, fieldBody, Bytes(strconv.FormatUint(id, 10)))
		if id%3 == 0 || id > maxFrame && id <= 2*maxFrame {
			o.drop(id)
		} else {
			want = append(want, id)
		}
	}
	o.drop(3) // again
	o.drop(4 * maxFrame)
	for frame := o.next(parcel{}); frame.count > 0; frame = o.next(frame) {
		count := 0
		err := scan(frame.items, func(i received) error {
			got, count = append(got, i.id), count+1
			if string(i.body) != strconv.FormatUint(i.id, 10) {
				t.Errorf("item %d has the body %q", i.id, i.body)
			}
			return nil
		})
		if err != nil || count != frame.count || count > maxFrame {
			t.Errorf("a frame of %d items has %d, %v", frame.count, count, err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v have left, want %v", got, want)
	}
	if o.count != 0 || o.bytes != 0 || len(o.frames) != 0 {
		t.Errorf("%d items of %d bytes are left in %d frames", o.count, o.bytes, len(o.frames))
	}
}

// A frame is closed when it is large enough, and what is larger by itself has one of its own:
// a reader takes the largest request or answer, and nothing beside it.
func TestOutboxBoundsFrames(t *testing.T) {
	t.Parallel()
	var o outbox
	for id, size := range []int{maxFrameBytes / 4, maxFrameBytes / 4, 4 * maxFrameBytes, 1, maxFrameBytes, 1} {
		o.add(uint64(id), fieldBody, Bytes(make([]byte, size)))
	}
	var counts []int
	for frame := o.next(parcel{}); frame.count > 0; frame = o.next(frame) {
		counts = append(counts, frame.count)
	}
	if want := []int{2, 1, 1, 1, 1}; !slices.Equal(counts, want) {
		t.Errorf("the frames have %v items, want %v", counts, want)
	}
}
