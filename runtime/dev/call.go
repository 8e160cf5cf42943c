package dev

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
)

// method is a method that can be called from outside.
type method struct {
	actorType string
	name      string
	// body is an example of its request, in JSON.
	body string
}

// methodsOf reads the methods of a type from the files that its workers announced.
func methodsOf(typ *runtimev1.ActorType) ([]method, error) {
	files, err := protodesc.NewFiles(typ.GetFiles())
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	found, _ := files.FindDescriptorByName(protoreflect.FullName(typ.GetService()))
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("read the contract: there is no service %s in it", typ.GetService())
	}
	read, _ := contract.Read(service)
	if read == nil {
		return nil, fmt.Errorf("read the contract: %s is no actor", typ.GetService())
	}
	return outside(typ.GetName(), read.Methods), nil
}

func outside(actorType string, all []contract.Method) (methods []method) {
	for _, m := range all {
		if !m.Internal {
			methods = append(methods, method{actorType, lowerCamel(string(m.Desc.Name())), example(m)})
		}
	}
	return methods
}

func lowerCamel(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[size:]
}

// curl is the command that calls the method of an actor.
func (m method) curl(address string) string {
	return fmt.Sprintf("curl -X POST http://%s/invoke/%s/id1/%s --data '%s'", address, m.actorType, m.name, m.body)
}

// depth is how deep an example goes: messages may hold themselves.
const depth = 3

// example is a request of the method with something in every field but the actor's
// id, which is in the path.
func example(m contract.Method) string {
	message := dynamicpb.NewMessage(m.Desc.Input())
	fill(message, depth)
	if m.IDField != nil {
		message.Clear(m.IDField)
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return "{}"
	}
	var compact bytes.Buffer // protojson adds spaces at random
	if json.Compact(&compact, text) != nil {
		return "{}"
	}
	return compact.String()
}

func fill(message protoreflect.Message, depth int) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if oneof := field.ContainingOneof(); oneof != nil && message.WhichOneof(oneof) != nil {
			continue
		}
		fillField(message, field, depth)
	}
}

func fillField(message protoreflect.Message, field protoreflect.FieldDescriptor, depth int) {
	switch {
	case !showable(field, depth):
	case field.IsMap():
		values := message.Mutable(field).Map()
		if value := values.NewValue(); showable(field.MapValue(), depth) {
			values.Set(scalar(field.MapKey()).MapKey(), filled(value, field.MapValue(), depth))
		}
	case field.IsList():
		list := message.Mutable(field).List()
		list.Append(filled(list.NewElement(), field, depth))
	default:
		message.Set(field, filled(message.NewField(field), field, depth))
	}
}

// showable reports whether an example can show the field: of the well-known types
// only those of time and the wrappers have a value that stands for all.
func showable(field protoreflect.FieldDescriptor, depth int) bool {
	if field.Message() == nil || field.IsMap() {
		return true
	}
	if field.Message().ParentFile().Package() != "google.protobuf" {
		return depth > 0
	}
	return wellKnown[field.Message().Name()]
}

var wellKnown = map[protoreflect.Name]bool{
	"Timestamp": true, "Duration": true,
	"StringValue": true, "BytesValue": true, "BoolValue": true, "FloatValue": true, "DoubleValue": true,
	"Int32Value": true, "Int64Value": true, "UInt32Value": true, "UInt64Value": true,
}

// filled is a value for the field; empty is one without anything in it.
func filled(empty protoreflect.Value, field protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	if field.Message() == nil {
		return scalar(field)
	}
	message := empty.Message()
	switch field.Message().FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		seconds := field.Message().Fields().ByName("seconds")
		message.Set(seconds, scalar(seconds))
	default:
		fill(message, depth-1)
	}
	return empty
}

func scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return lastEnum(field.Enum().Values())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("text")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("bytes"))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(number)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(number)
	default:
		return integer(field.Kind())
	}
}

// number stands in every field that holds one.
const number = 42

func integer(kind protoreflect.Kind) protoreflect.Value {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(number)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(number)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(number)
	default:
		return protoreflect.ValueOfInt64(number)
	}
}

// lastEnum is a value that is not the unspecified one, if there is one.
func lastEnum(values protoreflect.EnumValueDescriptors) protoreflect.Value {
	return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
}
