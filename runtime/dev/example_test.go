package dev

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// rich is a contract whose requests have every kind of field.
const rich = `
name: "rich.proto" package: "rich.v1" syntax: "proto3"
dependency: ["francis/v1/options.proto", "google/protobuf/duration.proto", "google/protobuf/timestamp.proto",
	"google/protobuf/struct.proto", "google/protobuf/wrappers.proto"]
enum_type { name: "Colour" value { name: "COLOUR_UNSPECIFIED" number: 0 } value { name: "RED" number: 1 } }
message_type { name: "Tree"
	field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
	field { name: "left" number: 2 type: TYPE_MESSAGE type_name: ".rich.v1.Tree" label: LABEL_OPTIONAL }
}
message_type { name: "Scalars"
	field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL options { [francis.v1.actor_id]: true } }
	field { name: "small" number: 2 type: TYPE_UINT32 label: LABEL_OPTIONAL }
	field { name: "large" number: 3 type: TYPE_FIXED64 label: LABEL_OPTIONAL }
	field { name: "signed" number: 4 type: TYPE_SINT64 label: LABEL_OPTIONAL }
	field { name: "half" number: 5 type: TYPE_FLOAT label: LABEL_OPTIONAL }
	field { name: "whole" number: 6 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
	field { name: "yes" number: 7 type: TYPE_BOOL label: LABEL_OPTIONAL }
	field { name: "raw" number: 8 type: TYPE_BYTES label: LABEL_OPTIONAL }
	field { name: "colour" number: 9 type: TYPE_ENUM type_name: ".rich.v1.Colour" label: LABEL_OPTIONAL }
}
message_type { name: "Compound"
	field { name: "tree" number: 1 type: TYPE_MESSAGE type_name: ".rich.v1.Tree" label: LABEL_OPTIONAL }
	field { name: "tags" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
	field { name: "counts" number: 3 type: TYPE_MESSAGE type_name: ".rich.v1.Compound.CountsEntry" label: LABEL_REPEATED }
	field { name: "first" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
	field { name: "second" number: 5 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
	field { name: "at" number: 6 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL }
	field { name: "took" number: 7 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL }
	field { name: "any" number: 8 type: TYPE_MESSAGE type_name: ".google.protobuf.Value" label: LABEL_OPTIONAL }
	field { name: "maybe" number: 9 type: TYPE_MESSAGE type_name: ".google.protobuf.Int32Value" label: LABEL_OPTIONAL }
	oneof_decl { name: "choice" }
	nested_type { name: "CountsEntry" options { map_entry: true }
		field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
		field { name: "value" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL }
	}
}
service { name: "Rich" options { [francis.v1.actor] { type: "rich" } }
	method { name: "PutScalars" input_type: ".rich.v1.Scalars" output_type: ".rich.v1.Tree" }
	method { name: "PutCompound" input_type: ".rich.v1.Compound" output_type: ".rich.v1.Tree" }
	method { name: "Hidden" input_type: ".rich.v1.Tree" output_type: ".rich.v1.Tree" options { [francis.v1.method] { internal: true } } }
}
service { name: "Plain" }
`

// announced is the rich contract as a worker announces it.
func announced(t *testing.T, service string) *runtimev1.ActorType {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(rich), file); err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	set.File = append(set.File,
		protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
		protodesc.ToFileDescriptorProto(durationpb.File_google_protobuf_duration_proto),
		protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto),
		protodesc.ToFileDescriptorProto(structpb.File_google_protobuf_struct_proto),
		protodesc.ToFileDescriptorProto(wrapperspb.File_google_protobuf_wrappers_proto),
		protodesc.ToFileDescriptorProto(francisv1.File_francis_v1_options_proto),
		file,
	)
	return &runtimev1.ActorType{Name: "rich", Service: service, Files: set}
}

func TestCallsAreReadyToRun(t *testing.T) {
	t.Parallel()
	methods, err := methodsOf(announced(t, "rich.v1.Rich"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`curl -X POST http://localhost:8081/invoke/rich/id1/putScalars --data '{"small":42,"large":"42","signed":"42","half":42,"whole":42,"yes":true,"raw":"Ynl0ZXM=","colour":"RED"}'`,
		`curl -X POST http://localhost:8081/invoke/rich/id1/putCompound --data '{"tree":{"name":"text","left":{"name":"text","left":{"name":"text"}}},"tags":["text"],"counts":{"text":42},"first":"text","at":"1970-01-01T00:00:42Z","took":"42s","maybe":42}'`,
	}
	if len(methods) != len(want) {
		t.Fatalf("the methods are %v", methods)
	}
	for i, method := range methods {
		if got := method.curl("localhost:8081"); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
}

func TestWhatIsNoContractIsTold(t *testing.T) {
	t.Parallel()
	for service, want := range map[string]string{
		"rich.v1.Plain":  "read the contract: rich.v1.Plain is no actor",
		"rich.v1.Colour": "read the contract: there is no service rich.v1.Colour in it",
		"rich.v1.None":   "read the contract: there is no service rich.v1.None in it",
	} {
		if _, err := methodsOf(announced(t, service)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", service, err, want)
		}
	}
}
