package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/internal/release"
)

// Calls between workers are so many that their messages are written and read here by
// hand: the bytes that generated code makes too, in a fraction of its time and without an
// allocation for each field. What is rare in a call is left to the generated code.

// The fields of InvokeRequest, of the messages in it, and of InvokeResponse.
const (
	callType      = 1
	callID        = 2
	callProcedure = 3
	callEpoch     = 4
	callCodec     = 5
	callBody      = 6
	callTimeout   = 7
	callKey       = 8
	callView      = 9
	callFromView  = 10
	callChain     = 11
	callMetadata  = 12
	callActive    = 13

	first, second = 1, 2 // type and id of an actor, key and value of a map

	answerReply    = 1
	answerNotOwner = 2
)

// Call is a call that is sent.
type Call struct{ Request *peerv1.InvokeRequest }

// Size is about how many bytes Append appends.
func (c Call) Size() int {
	return len(c.Request.GetType()) + len(c.Request.GetId()) + len(c.Request.GetProcedure()) + len(c.Request.GetBody())
}

// Append appends the encoded call.
func (c Call) Append(b []byte) []byte {
	r := c.Request
	b = appendText(b, callType, r.GetType())
	b = appendText(b, callID, r.GetId())
	b = appendText(b, callProcedure, r.GetProcedure())
	b = appendNumber(b, callEpoch, r.GetEpoch())
	b = appendNumber(b, callCodec, uint64(r.GetCodec()))
	b = appendText(b, callBody, r.GetBody())
	b = appendNumber(b, callTimeout, uint64(r.GetTimeoutNanos())) //nolint:gosec // as protobuf encodes an int64
	b = appendText(b, callKey, r.GetIdempotencyKey())
	b = appendNumber(b, callView, protowire.EncodeBool(r.GetView()))
	b = appendNumber(b, callFromView, protowire.EncodeBool(r.GetFromView()))
	for _, actor := range r.GetChain() {
		b = appendPair(b, callChain, actor.GetType(), actor.GetId())
	}
	for key, value := range r.GetMetadata() {
		b = appendPair(b, callMetadata, key, value)
	}
	b = appendNumber(b, callActive, protowire.EncodeBool(r.GetOnlyIfActive()))
	return append(b, release.Extra...)
}

// appendText appends a field unless it is empty, as proto3 does.
func appendText[T string | []byte](b []byte, field protowire.Number, value T) []byte {
	if len(value) == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}

// appendPair appends a message of two texts.
func appendPair(b []byte, field protowire.Number, one, two string) []byte {
	inner := appendText(appendText(nil, first, one), second, two)
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, inner)
}

const (
	// maxNames is how many names a reader of calls remembers, and maxName how large they
	// are, in bytes.
	maxNames = 256
	maxName  = 256
)

// CallReader reads calls, one after the other. The names of types and methods, which
// repeat, are made once. The zero value is ready.
type CallReader struct {
	call  peerv1.InvokeRequest
	names map[string]string
}

// Read reads a call. What it returns is good until the next Read, and its body for as
// long as data is; strings may be kept.
func (r *CallReader) Read(data []byte) (*peerv1.InvokeRequest, error) {
	r.call = peerv1.InvokeRequest{} //nolint:govet // it was not shared
	for rest := data; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		rest = rest[n:]
		if n = r.field(field, kind, rest); n == rare {
			return r.slowly(data)
		}
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		rest = rest[n:]
	}
	return &r.call, nil
}

// rare is a field that the generated code reads. It is none of the errors of protowire.
const rare = -1 << 16

// field reads one field and returns its length, a negative number on error.
func (r *CallReader) field(field protowire.Number, kind protowire.Type, data []byte) int {
	switch {
	case kind == protowire.BytesType && field <= callKey:
		value, n := protowire.ConsumeBytes(data)
		if n >= 0 {
			n = r.text(field, value, n)
		}
		return n
	case kind == protowire.VarintType && field <= callFromView:
		value, n := protowire.ConsumeVarint(data)
		if n >= 0 {
			n = r.number(field, value, n)
		}
		return n
	default:
		return rare
	}
}

func (r *CallReader) text(field protowire.Number, value []byte, n int) int {
	switch field {
	case callType:
		r.call.Type = r.name(value)
	case callID:
		r.call.Id = string(value)
	case callProcedure:
		r.call.Procedure = r.name(value)
	case callBody:
		r.call.Body = value
	case callKey:
		r.call.IdempotencyKey = string(value)
	default:
		return rare
	}
	return n
}

func (r *CallReader) number(field protowire.Number, value uint64, n int) int {
	switch field {
	case callEpoch:
		r.call.Epoch = value
	case callCodec:
		r.call.Codec = peerv1.Codec(value) //nolint:gosec // as protobuf decodes an enum
	case callTimeout:
		r.call.TimeoutNanos = int64(value) //nolint:gosec // as protobuf decodes an int64
	case callView:
		r.call.View = protowire.DecodeBool(value)
	case callFromView:
		r.call.FromView = protowire.DecodeBool(value)
	default:
		return rare
	}
	return n
}

// name is a string that repeats.
func (r *CallReader) name(value []byte) string {
	if known, ok := r.names[string(value)]; ok {
		return known
	}
	if r.names == nil {
		r.names = map[string]string{}
	}
	name := string(value)
	if len(r.names) < maxNames && len(name) <= maxName {
		r.names[name] = name
	}
	return name
}

// slowly reads a call that has something rare.
func (r *CallReader) slowly(data []byte) (*peerv1.InvokeRequest, error) {
	call := &peerv1.InvokeRequest{}
	return call, Unmarshal(data, call)
}

// Answer is the answer to a call that is sent.
type Answer struct{ Response *peerv1.InvokeResponse }

// Size is about how many bytes Append appends.
func (a Answer) Size() int { return len(a.Response.GetReply()) }

// Append appends the encoded answer.
func (a Answer) Append(b []byte) []byte {
	b = appendText(b, answerReply, a.Response.GetReply())
	if owner := a.Response.GetNotOwner(); owner != nil {
		entry, _ := proto.Marshal(owner) // whose texts the table has checked
		b = protowire.AppendTag(b, answerNotOwner, protowire.BytesType)
		b = protowire.AppendBytes(b, entry)
	}
	return append(b, release.Extra...)
}

// ReadAnswer reads the answer to a call into res, which is empty. The reply is good for as
// long as data is.
func ReadAnswer(data []byte, res *peerv1.InvokeResponse) error {
	if len(data) == 0 {
		return nil
	}
	field, kind, n := protowire.ConsumeTag(data)
	if n > 0 && field == answerReply && kind == protowire.BytesType {
		if reply, size := protowire.ConsumeBytes(data[n:]); n+size == len(data) {
			res.Reply = reply
			return nil
		}
	}
	return Unmarshal(data, res)
}
