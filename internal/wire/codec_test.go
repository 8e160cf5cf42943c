package wire

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// parts is a field that holds so many empty messages.
func parts(number protowire.Number, n int) []byte {
	var data []byte
	for range n {
		data = protowire.AppendTag(data, number, protowire.BytesType)
		data = protowire.AppendBytes(data, nil)
	}
	return data
}

func within(number protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), data)
}

// nested is a field that holds itself, so many times.
func nested(number protowire.Number, depth int) []byte {
	var data []byte
	for range depth {
		data = within(number, data)
	}
	return data
}

func TestCodecBoundsParts(t *testing.T) {
	t.Parallel()
	const most, many = 4 << 20, 2 << 20 // bytes of a message, empty messages in it
	tests := map[string]struct {
		data    []byte
		into    proto.Message
		refused bool
	}{
		"nothing":                  {nil, &runtimev1.CommitRequest{}, false},
		"as many as a batch has":   {parts(1, freeParts), &runtimev1.CommitRequest{}, false},
		"records":                  {parts(1, many), &runtimev1.CommitRequest{}, true},
		"reads":                    {parts(1, many), &runtimev1.LoadRequest{}, true},
		"releases":                 {parts(1, many), &runtimev1.ReleaseRequest{}, true},
		"types":                    {parts(2, many), &runtimev1.AnnounceRequest{}, true},
		"files, deep inside":       {within(2, within(3, parts(1, many))), &runtimev1.AnnounceRequest{}, true},
		"types in types, for ever": {nested(3, 200), &descriptorpb.DescriptorProto{}, true},
		"types in types":           {nested(3, 50), &descriptorpb.DescriptorProto{}, false},
		"bytes are no messages":    {within(6, make([]byte, most)), &runtimev1.Record{}, false},
		"unknown fields are none":  {parts(1000, many), &runtimev1.CommitRequest{}, false},
		"malformed":                {[]byte{0xff}, &runtimev1.CommitRequest{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := NewCodec().UnmarshalRead(t.Context(), bytes.NewReader(test.data), test.into)
			if refused := errors.Is(err, errParts); refused != test.refused {
				t.Errorf("error %v, want refused %v", err, test.refused)
			}
		})
	}
}

// A full batch of honest records passes, whatever their size.
func TestCodecPassesBatches(t *testing.T) {
	t.Parallel()
	req := &runtimev1.CommitRequest{}
	for range 1024 {
		req.Records = append(req.Records, &runtimev1.Record{
			Actor: &runtimev1.Actor{Type: "t", Id: "i"}, Fence: &runtimev1.Fence{Epoch: 1},
			Base: &runtimev1.Identity{Activation: 1, Sequence: 1}, Identity: &runtimev1.Identity{Activation: 1, Sequence: 2},
		})
	}
	data, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var got runtimev1.CommitRequest
	if err := NewCodec().UnmarshalRead(t.Context(), bytes.NewReader(data), &got); err != nil || len(got.GetRecords()) != 1024 {
		t.Errorf("%d records, %v", len(got.GetRecords()), err)
	}
}

// TestRefusalIsCheap is what the bound is for: nothing is made of what is refused.
func TestRefusalIsCheap(t *testing.T) { //nolint:paralleltest // it counts what the whole program allocates
	data := parts(1, 2<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := NewCodec().UnmarshalRead(t.Context(), bytes.NewReader(data), &runtimev1.CommitRequest{}); !errors.Is(err, errParts) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(8*len(data)); used > most {
		t.Errorf("a message of %d bytes cost %d bytes of memory; at most %d are allowed", len(data), used, most)
	}
}

func FuzzCount(f *testing.F) {
	f.Add(parts(1, 3))
	f.Add(within(2, within(3, parts(1, 3))))
	f.Add([]byte{0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, data []byte) {
		var req runtimev1.AnnounceRequest
		if count(shapeOf(req.ProtoReflect().Descriptor()), data, 1<<30, 1<<30) < 0 {
			t.Error("counted more messages than there are bytes")
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	req := &runtimev1.CommitRequest{}
	for range 32 {
		req.Records = append(req.Records, &runtimev1.Record{
			Actor: &runtimev1.Actor{Type: "myactor", Id: "actor-1"}, Fence: &runtimev1.Fence{Epoch: 1},
			Base: &runtimev1.Identity{Activation: 1 << 60, Sequence: 1}, Identity: &runtimev1.Identity{Activation: 1 << 60, Sequence: 2},
			Message: "myactor.v1.MyActorState", Data: []byte{8, 1},
		})
	}
	data, err := proto.Marshal(req)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Unmarshal(data, &runtimev1.CommitRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}
