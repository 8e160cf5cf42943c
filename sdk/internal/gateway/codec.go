package gateway

import (
	"context"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
)

// raw is a message that stays encoded: the worker that hosts the actor decodes it.
type raw struct{ data []byte }

// passing lets raw messages through as they are. What Connect itself encodes, such
// as the status of gRPC, goes the ordinary way.
type passing struct {
	connect.StableCodec

	codec peerv1.Codec
}

var (
	binary   = passing{connectproto.NewBinaryCodec(), peerv1.Codec_CODEC_PROTO}
	tolerant = passing{connectproto.NewJSONCodec(), peerv1.Codec_CODEC_JSON}
	strict   = passing{connectproto.NewJSONCodec(), peerv1.Codec_CODEC_STRICT_JSON}
)

func (p passing) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	message, ok := msg.(*raw)
	if !ok {
		return p.StableCodec.MarshalWrite(ctx, dst, msg)
	}
	_, err := dst.Write(message.data)
	return err
}

func (p passing) UnmarshalRead(ctx context.Context, src io.Reader, msg any) (err error) {
	message, ok := msg.(*raw)
	if !ok {
		return p.StableCodec.UnmarshalRead(ctx, src, msg)
	}
	if sized, ok := src.(interface{ Len() int }); ok {
		message.data = make([]byte, sized.Len())
		_, err = io.ReadFull(src, message.data)
		return err
	}
	message.data, err = io.ReadAll(src)
	return err
}
