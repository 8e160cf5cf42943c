// Package wire is how members of a cluster read each other's messages: as protobuf,
// and with a bound on what a small message may become in memory.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/francis-actors/francis/internal/release"
)

const (
	// freeParts is how many messages may lie in another one of any size.
	freeParts = 4096
	// bytesPerPart is how many bytes each further message has to have on average. An
	// empty one takes 2 bytes on the wire and a hundred in memory.
	bytesPerPart = 16
	// maxDepth is how deep messages may lie in each other.
	maxDepth = 100
)

// errParts says that a message holds more messages than honest ones do.
var errParts = errors.New("too many messages in one")

// NewCodec returns the binary codec of Connect, with the bound.
func NewCodec() connect.Codec { return codec{connectproto.NewBinaryCodec()} }

type codec struct{ *connectproto.BinaryCodec }

// MarshalWrite adds the fields that older releases do not know.
func (c codec) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	if err := c.BinaryCodec.MarshalWrite(ctx, dst, msg); err != nil || release.Extra == "" {
		return err
	}
	_, err := io.WriteString(dst, release.Extra)
	return err
}

// UnmarshalRead counts the messages in a message before it makes any of them.
func (c codec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	message, ok := msg.(proto.Message)
	if !ok {
		return c.BinaryCodec.UnmarshalRead(ctx, src, msg)
	}
	if buffer, ok := src.(*bytes.Buffer); ok { // as Connect does
		return Unmarshal(buffer.Next(buffer.Len()), message)
	}
	data, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	return Unmarshal(data, message)
}

// Unmarshal decodes a message that a member has sent, with the bound.
func Unmarshal(data []byte, message proto.Message) error {
	most := freeParts + len(data)/bytesPerPart
	if left := count(shapeOf(message.ProtoReflect().Descriptor()), data, most, maxDepth); left < 0 {
		return fmt.Errorf("%w: more than %d in %d bytes, or more than %d deep", errParts, most, len(data), maxDepth)
	}
	return proto.Unmarshal(data, message)
}

// count subtracts the messages in data from left, down to the given depth, and stops
// below 0. What is malformed it leaves to the decoder.
func count(typ *shape, data []byte, left, depth int) int {
	if depth == 0 {
		return -1
	}
	for len(data) > 0 && left >= 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return left
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(number, kind, data)
		if size < 0 {
			return left
		}
		if inner := typ.at(number); inner != nil && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(data)
			left = count(inner, value, left-1, depth-1)
		}
		data = data[size:]
	}
	return left
}
