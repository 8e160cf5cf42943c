package gateway

import (
	"context"
	"io"

	"connectrpc.com/connect/v2/connectproto"
)

var (
	binary   = connectproto.NewBinaryCodec()
	tolerant = newJSON(true)
	strict   = newJSON(false)
)

// jsonCodec always writes the compact form: protojson varies its white space from
// build to build, which makes answers hard to compare.
type jsonCodec struct{ *connectproto.JSONCodec }

func newJSON(discardUnknown bool) jsonCodec {
	codec := connectproto.NewJSONCodec()
	codec.UnmarshalOptions.DiscardUnknown = discardUnknown
	return jsonCodec{codec}
}

func (c jsonCodec) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	return c.MarshalWriteStable(ctx, dst, msg)
}

// compressFrom is the size from which answers are compressed, for clients that ask
// for it: below, gzip costs more than it saves.
const compressFrom = 1 << 10
