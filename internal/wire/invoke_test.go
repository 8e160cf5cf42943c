package wire

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

var calls = map[string]*peerv1.InvokeRequest{
	"nothing": {},
	"common": {
		Type: "myactor", Id: "id1", Procedure: "/myactor.v1.MyActor/Increment", Epoch: 7, Codec: peerv1.Codec_CODEC_PROTO,
		Body: []byte{8, 1}, TimeoutNanos: 30e9,
	},
	"everything": {
		Type: "myactor", Id: "ä/ö", Procedure: "/myactor.v1.MyActor/Get", Epoch: math.MaxUint64, Codec: peerv1.Codec_CODEC_STRICT_JSON,
		Body: bytes.Repeat([]byte("x"), 1000), TimeoutNanos: math.MaxInt64, IdempotencyKey: "key", View: true, FromView: true, OnlyIfActive: true,
		Chain:    []*runtimev1.Actor{{Type: "cart", Id: "1"}, {}, {Type: "stock", Id: "9"}},
		Metadata: map[string]string{"tenant": "acme", "empty": ""},
	},
	"odd numbers": {Codec: -1, TimeoutNanos: math.MinInt64},
}

// What is written by hand is what the generated code reads, and the other way round.
func TestCallsAreProtobuf(t *testing.T) {
	t.Parallel()
	var reader CallReader
	for name, call := range calls {
		var generated peerv1.InvokeRequest
		if err := proto.Unmarshal(Call{call}.Append(nil), &generated); err != nil || !proto.Equal(&generated, call) {
			t.Errorf("%s: the generated code reads %v, %v", name, &generated, err)
		}
		data, err := proto.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reader.Read(data); err != nil || !proto.Equal(got, call) {
			t.Errorf("%s: the reader reads %v, %v", name, got, err)
		}
	}
}

func TestAnswersAreProtobuf(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*peerv1.InvokeResponse{
		"nothing":   {},
		"a reply":   {Reply: []byte("reply")},
		"not owner": {NotOwner: &runtimev1.Shard{Type: "myactor", Shard: 3, Epoch: 9, Worker: "other"}},
	} {
		var generated peerv1.InvokeResponse
		if err := proto.Unmarshal(Answer{answer}.Append(nil), &generated); err != nil || !proto.Equal(&generated, answer) {
			t.Errorf("%s: the generated code reads %v, %v", name, &generated, err)
		}
		data, err := proto.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var got peerv1.InvokeResponse
		if err := ReadAnswer(data, &got); err != nil || !proto.Equal(&got, answer) {
			t.Errorf("%s: the reader reads %v, %v", name, &got, err)
		}
	}
}

// The common call costs its id, and nothing that another call has cost.
func TestReadingACallIsCheap(t *testing.T) { //nolint:paralleltest // it counts allocations
	data := Call{calls["common"]}.Append(nil)
	var reader CallReader
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := reader.Read(data); err != nil {
			t.Fatal(err)
		}
	}); allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

// A reader remembers so many names, and reads the others all the same.
func TestReaderForgetsNames(t *testing.T) {
	t.Parallel()
	var reader CallReader
	for n := range 10 * maxNames {
		want := &peerv1.InvokeRequest{Type: string(bytes.Repeat([]byte("x"), n))}
		if got, err := reader.Read(Call{want}.Append(nil)); err != nil || !proto.Equal(got, want) {
			t.Fatalf("%d: %v, %v", n, got, err)
		}
	}
	if len(reader.names) > maxNames {
		t.Errorf("%d names are remembered", len(reader.names))
	}
}

// The reader accepts nothing that the generated code refuses, but for texts that are no
// UTF-8, and reads the rest alike.
func FuzzCallReader(f *testing.F) {
	for _, call := range calls {
		f.Add(Call{call}.Append(nil))
	}
	f.Add([]byte{0x0b, 0x0c})
	f.Add([]byte{0x08, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		var reader CallReader
		got, err := reader.Read(data)
		var want peerv1.InvokeRequest
		wantErr := Unmarshal(data, &want)
		switch {
		case wantErr != nil:
			return
		case err != nil:
			t.Fatalf("refused: %v", err)
		}
		want.ProtoReflect().SetUnknown(nil)
		got = proto.CloneOf(got)
		got.ProtoReflect().SetUnknown(nil)
		if !proto.Equal(got, &want) {
			t.Errorf("read %v, want %v", got, &want)
		}
	})
}

func BenchmarkReadCall(b *testing.B) {
	data := Call{calls["common"]}.Append(nil)
	var reader CallReader
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reader.Read(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendCall(b *testing.B) {
	var data []byte
	b.ReportAllocs()
	for b.Loop() {
		data = Call{calls["common"]}.Append(data[:0])
	}
}
