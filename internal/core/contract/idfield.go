package contract

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// IDField returns the field of a message that carries the actor id, or nil, and
// what is wrong with the fields that are marked so. A field with a problem is not
// returned.
func IDField(message protoreflect.MessageDescriptor) (protoreflect.FieldDescriptor, []Problem) {
	var found problems
	var id protoreflect.FieldDescriptor
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		switch {
		case !marked(field):
		case found.unfitID(field):
		case id != nil:
			found.add(idProblem(field, fmt.Sprintf("%s carries the actor id already in %s; remove (francis.v1.actor_id) from one of the two", message.Name(), id.Name())))
		default:
			id = field
		}
	}
	return id, found
}

// IDProblems returns what is wrong with the actor_id options of a message, of the
// extensions declared in it and of the messages nested in it.
func IDProblems(message protoreflect.MessageDescriptor) []Problem {
	_, found := IDField(message)
	found = append(found, ExtensionIDProblems(message.Extensions())...)
	for i := range message.Messages().Len() {
		found = append(found, IDProblems(message.Messages().Get(i))...)
	}
	return found
}

// ExtensionIDProblems returns the extensions that are marked as actor ids.
func ExtensionIDProblems(extensions protoreflect.ExtensionDescriptors) []Problem {
	var found problems
	for i := range extensions.Len() {
		if field := extensions.Get(i); marked(field) {
			found.unfitID(field)
		}
	}
	return found
}

func marked(field protoreflect.FieldDescriptor) bool {
	id, _ := proto.GetExtension(field.Options(), francisv1.E_ActorId).(bool)
	return id
}

// unfitID reports whether a field cannot carry an actor id, and adds why.
func (p *problems) unfitID(field protoreflect.FieldDescriptor) bool {
	kind := unfitKind(field)
	if kind == "" {
		return false
	}
	p.add(idProblem(field, fmt.Sprintf("%s cannot carry an actor id because it is %s; use a singular string or integer field outside a oneof", field.Name(), kind)))
	return true
}

func idProblem(field protoreflect.FieldDescriptor, text string) Problem {
	number := francisv1.E_ActorId.TypeDescriptor().Number()
	return Problem{At: field, Option: protoreflect.SourcePath{int32(number)}, Text: text}
}

// unfitKind says what makes a field unfit to carry an actor id, or "".
func unfitKind(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsExtension():
		return "an extension"
	case field.IsMap():
		return "a map"
	case field.IsList():
		return "repeated"
	case inOneof(field):
		return "in a oneof"
	}
	switch field.Kind() {
	case protoreflect.MessageKind:
		return "a message"
	case protoreflect.GroupKind:
		return "a group"
	case protoreflect.EnumKind:
		return "an enum"
	case protoreflect.BoolKind, protoreflect.BytesKind:
		return "of type " + field.Kind().String()
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a floating-point number"
	default:
		return ""
	}
}

// inOneof is false for the hidden oneof by which proto3 marks an optional field.
func inOneof(field protoreflect.FieldDescriptor) bool {
	oneof := field.ContainingOneof()
	return oneof != nil && !oneof.IsSynthetic()
}
