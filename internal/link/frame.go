package link

import (
	"errors"
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

// item is a request, or an answer, that is to be sent: a body, or a failure.
type item struct {
	id      uint64
	body    Body
	failure error
}

func (i item) size() int {
	if i.body == nil {
		return 0
	}
	return i.body.Size()
}

// fit is how many of the items that wait travel in one frame.
func fit(waiting []item) int {
	n, bytes := 0, 0
	for n < len(waiting) && n < maxFrame && bytes < maxFrameBytes {
		bytes += waiting[n].size()
		n++
	}
	return n
}

// drop removes the first n that wait. It keeps the memory for what comes next, and
// nothing that has left.
func drop(waiting []item, n int) []item {
	left := copy(waiting, waiting[n:])
	clear(waiting[left:])
	return waiting[:left]
}

// press encodes items, in buffers that it keeps. It belongs to the one goroutine that
// writes.
type press struct{ items, body []byte }

// print is the items of a frame, good until the next print.
func (p *press) print(items []item) []byte {
	out := p.items[:0]
	for _, i := range items {
		if i.body != nil {
			p.body = i.body.Append(p.body[:0])
			out = appendItem(out, i.id, fieldBody, p.body)
		} else {
			out = appendItem(out, i.id, fieldFailure, encodeFailure(i.failure))
		}
	}
	p.items = out
	if cap(p.items)+cap(p.body) > keptBuffers {
		*p = press{}
	}
	return out
}

func appendItem(out []byte, id uint64, content protowire.Number, body []byte) []byte {
	size := protowire.SizeTag(fieldID) + protowire.SizeVarint(id) + protowire.SizeTag(content) + protowire.SizeBytes(len(body))
	out = protowire.AppendVarint(out, uint64(size)) //nolint:gosec // no size is negative
	out = protowire.AppendTag(out, fieldID, protowire.VarintType)
	out = protowire.AppendVarint(out, id)
	out = protowire.AppendTag(out, content, protowire.BytesType)
	return protowire.AppendBytes(out, body)
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
