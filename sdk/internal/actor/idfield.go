package actor

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// FillID completes the actor id in a request whose contract has a field for it,
// and fails if the request names another actor than the call.
func FillID(field protoreflect.FieldDescriptor, req protoreflect.Message, id string) error {
	if field == nil {
		return nil
	}
	named := RequestID(field, req)
	if named == id {
		return nil
	}
	if named != "" {
		return fmt.Errorf("the call is for the actor %q, but the field %s of its request says %q; leave one of them out", id, field.Name(), named)
	}
	value, err := idValue(field, id)
	if err != nil {
		return fmt.Errorf("the actor id %q does not fit the field %s of the request, which is %s: use such an id", id, field.Name(), field.Kind())
	}
	req.Set(field, value)
	return nil
}

// RequestID is the actor id that a request names in its field for it, "" if the
// contract has no such field or it is empty.
func RequestID(field protoreflect.FieldDescriptor, req protoreflect.Message) string {
	if field == nil || !req.Has(field) {
		return ""
	}
	return req.Get(field).String()
}

// idValue is the id as a value of the field: itself, or the integer of which it is
// the canonical form.
func idValue(field protoreflect.FieldDescriptor, id string) (protoreflect.Value, error) {
	var value protoreflect.Value
	var err error
	switch field.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var n int64
		n, err = strconv.ParseInt(id, 10, 32)
		value = protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		var n int64
		n, err = strconv.ParseInt(id, 10, 64)
		value = protoreflect.ValueOfInt64(n)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var n uint64
		n, err = strconv.ParseUint(id, 10, 32)
		value = protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		var n uint64
		n, err = strconv.ParseUint(id, 10, 64)
		value = protoreflect.ValueOfUint64(n)
	default:
		return protoreflect.ValueOfString(id), nil
	}
	if err == nil && value.String() != id {
		err = fmt.Errorf("%q is not how the number %v is written", id, value)
	}
	return value, err
}
