package link

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/francis-actors/francis/gen/francis/link/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/wire"
)

// Items are written and read here by hand, since there are so many: as protobuf does.

// The fields of an Item.
const (
	fieldID      = 1
	fieldBody    = 2
	fieldFailure = 3
)

// outbox holds the requests or answers that wait to be sent: encoded, in the frames in
// which they will travel. It is not safe for concurrent use.
type outbox struct {
	frames []parcel
	// count is how many wait, and bytes how large they are.
	count, bytes int
	// spare is the memory of frames that were sent.
	spare [][]byte
}

// parcel is what a frame carries.
type parcel struct {
	items []byte
	count int
	// last is the id of the last item.
	last uint64
}

// add encodes an item at the end, and returns how large it is.
func (o *outbox) add(id uint64, content protowire.Number, body Body) (size int) {
	p := o.open(body.Size())
	before := len(p.items)
	p.items = appendItem(p.items, id, content, body)
	size = len(p.items) - before
	p.count, p.last = p.count+1, id
	o.count, o.bytes = o.count+1, o.bytes+size
	return size
}

// open is the frame that takes the next item, which is about that large.
func (o *outbox) open(size int) *parcel {
	if n := len(o.frames); n > 0 {
		if p := &o.frames[n-1]; p.count < maxFrame && len(p.items)+size <= maxFrameBytes {
			return p
		}
	}
	var items []byte
	if n := len(o.spare); n > 0 {
		items, o.spare = o.spare[n-1], o.spare[:n-1]
	}
	o.frames = append(o.frames, parcel{items: items})
	return &o.frames[len(o.frames)-1]
}

// next takes the first frame, empty for none. The memory of one that was sent may be
// given back for it.
func (o *outbox) next(sent parcel) parcel {
	if size := cap(sent.items); 0 < size && size <= keptBuffers && len(o.spare) < maxSpare {
		o.spare = append(o.spare, sent.items[:0])
	}
	if len(o.frames) == 0 {
		return parcel{}
	}
	first := o.frames[0]
	o.frames = slices.Delete(o.frames, 0, 1)
	o.count, o.bytes = o.count-first.count, o.bytes-len(first.items)
	return first
}

// drop removes an item that waits, where the ids of all are in order.
func (o *outbox) drop(id uint64) {
	i := slices.IndexFunc(o.frames, func(p parcel) bool { return id <= p.last })
	if i < 0 {
		return
	}
	p := &o.frames[i]
	kept := p.items[:0]
	for rest := p.items; len(rest) > 0; {
		data, n := protowire.ConsumeBytes(rest) // which add has written
		if item, err := parse(data); err == nil && item.id == id {
			p.count, o.count, o.bytes = p.count-1, o.count-1, o.bytes-n
		} else {
			kept = append(kept, rest[:n]...)
		}
		rest = rest[n:]
	}
	p.items = kept
	if p.count == 0 {
		o.frames = slices.Delete(o.frames, i, i+1)
	}
}

// appendItem appends an item. What stands before the body says how long it is, which is
// known afterwards.
func appendItem(out []byte, id uint64, content protowire.Number, body Body) []byte {
	start := len(out)
	out = body.Append(out)
	length := len(out) - start
	var space [maxHead]byte
	size := protowire.SizeTag(fieldID) + protowire.SizeVarint(id) + protowire.SizeTag(content) + protowire.SizeBytes(length)
	head := protowire.AppendVarint(space[:0], uint64(size)) //nolint:gosec // no size is negative
	head = protowire.AppendTag(head, fieldID, protowire.VarintType)
	head = protowire.AppendVarint(head, id)
	head = protowire.AppendTag(head, content, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(length)) //nolint:gosec // no length is negative
	return slices.Insert(out, start, head...)
}

// maxHead is the most that stands before a body: three numbers and two tags.
const maxHead = 3*binary.MaxVarintLen64 + 2

// gather yields while others add to what waits: they are about to, when they run.
func gather(waiting func() int) {
	for before := 0; ; {
		runtime.Gosched()
		now := waiting()
		if now <= before || now >= maxFrame {
			return
		}
		before = now
	}
}

// received is an item that has come. Its bytes are those of the frame.
type received struct {
	id uint64
	// content is which of the fields body holds; 0 for none.
	content protowire.Number
	body    []byte
}

// errFrame is the end of a link whose other end sends what is no frame.
var errFrame = errors.New("the frame is malformed")

// scan gives each item of a frame to take, until one fails.
func scan(items []byte, take func(received) error) error {
	for len(items) > 0 {
		data, n := protowire.ConsumeBytes(items)
		if n < 0 {
			return errFrame
		}
		items = items[n:]
		i, err := parse(data)
		if err == nil {
			err = take(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parse(data []byte) (i received, err error) {
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return i, errFrame
		}
		data = data[n:]
		switch {
		case field == fieldID && kind == protowire.VarintType:
			i.id, n = protowire.ConsumeVarint(data)
		case (field == fieldBody || field == fieldFailure) && kind == protowire.BytesType:
			i.content = field
			i.body, n = protowire.ConsumeBytes(data)
		default: // of a later version
			n = protowire.ConsumeFieldValue(field, kind, data)
		}
		if n < 0 {
			return i, errFrame
		}
		data = data[n:]
	}
	return i, nil
}

// encodeFailure is an error as it travels.
func encodeFailure(err error) []byte {
	message := err.Error()
	if coded, ok := errors.AsType[*connect.Error](err); ok {
		message = coded.Message()
	}

	failure := &linkv1.Failure{Code: uint32(connect.CodeOf(err)), Message: strings.ToValidUTF8(message, "\uFFFD"), Detail: fault.Detail(err)}
	data, _ := proto.Marshal(failure)
	return data
}

// decodeFailure is the error that a failure tells of.
func decodeFailure(data []byte) error {
	failure := &linkv1.Failure{}
	if err := wire.Unmarshal(data, failure); err != nil {
		return connect.NewError(connect.CodeInternal, "the failure cannot be read: "+err.Error())
	}
	if failure.GetDetail() == nil {
		return connect.NewError(connect.Code(failure.GetCode()), failure.GetMessage())
	}
	return fault.New(connect.Code(failure.GetCode()), failure.GetDetail(), failure.GetMessage())
}
