package gateway

import (
	"bytes"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"

	"github.com/francis-actors/francis/internal/core/limit"
)

// mostExpansion is by how much deflate can shrink what it compresses.
const mostExpansion = 1032

// gzip is Connect's, but for bombs: what may become larger than a message is unpacked to
// nowhere first, so that it costs time and no memory.
type gzip struct{ *connectgzip.Compressor }

func newGzip() gzip { return gzip{connectgzip.New()} }

// Decompress returns what src unpacks to.
func (g gzip) Decompress(src io.Reader) (io.ReadCloser, error) {
	packed, ok := src.(*bytes.Buffer)
	if ok && packed.Len() > limit.MaxMessage/mostExpansion && g.bursts(packed.Bytes()) {
		return bomb{}, nil
	}
	return g.Compressor.Decompress(src)
}

// bursts reports whether packed becomes larger than a message. What cannot be unpacked
// does not: the reader proper says why.
func (g gzip) bursts(packed []byte) bool {
	reader, err := g.Compressor.Decompress(bytes.NewReader(packed))
	if err != nil {
		return false
	}
	defer reader.Close()
	size, _ := io.Copy(io.Discard, io.LimitReader(reader, limit.MaxMessage+1))
	return size > limit.MaxMessage
}

// bomb is what is read of a bomb.
type bomb struct{}

func (bomb) Read([]byte) (int, error) {
	return 0, connect.Errorf(connect.CodeResourceExhausted, "message is larger than configured max %d", limit.MaxMessage)
}

func (bomb) Close() error { return nil }
