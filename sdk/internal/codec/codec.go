// Package codec encodes and decodes the messages of calls, in the encodings that
// callers choose.
package codec

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
)

// Unmarshal decodes data into m.
func Unmarshal(codec peerv1.Codec, data []byte, m proto.Message) error {
	switch codec {
	case peerv1.Codec_CODEC_PROTO:
		return proto.Unmarshal(data, m)
	case peerv1.Codec_CODEC_JSON:
		return unmarshalJSON(protojson.UnmarshalOptions{DiscardUnknown: true}, data, m)
	case peerv1.Codec_CODEC_STRICT_JSON:
		return unmarshalJSON(protojson.UnmarshalOptions{}, data, m)
	default:
		return fmt.Errorf("unknown codec %v", codec)
	}
}

// unmarshalJSON takes no text at all for the empty message.
func unmarshalJSON(options protojson.UnmarshalOptions, data []byte, m proto.Message) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	return options.Unmarshal(data, m)
}

// Marshal encodes m. JSON is compact: protojson varies its white space from build
// to build, which makes answers hard to compare.
func Marshal(codec peerv1.Codec, m proto.Message) ([]byte, error) {
	if codec == peerv1.Codec_CODEC_PROTO {
		return proto.Marshal(m)
	}
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}
