package wire

import (
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shape is which fields of a message are messages, for those who count them: looking that
// up in a descriptor takes longer than decoding the message.
type shape struct {
	// inner are the shapes of those messages, by the number of the field; nil for other
	// fields. Numbers are small in the messages of members.
	inner []*shape
}

// at is the shape of the messages in a field, nil for other fields.
func (s *shape) at(number protowire.Number) *shape {
	if int(number) < len(s.inner) {
		return s.inner[number]
	}
	return nil
}

// shapes are those of all message types that were received so far.
var shapes = struct {
	known sync.Map // of protoreflect.MessageDescriptor to *shape
	// making is locked by who adds one, together with those in it.
	making sync.Mutex
}{}

// shapeOf returns the shape of a type.
func shapeOf(typ protoreflect.MessageDescriptor) *shape {
	if s, ok := shapes.known.Load(typ); ok {
		return s.(*shape)
	}
	shapes.making.Lock()
	defer shapes.making.Unlock()
	fresh := map[protoreflect.MessageDescriptor]*shape{}
	s := shapeAmong(fresh, typ)
	for typ, s := range fresh { // complete by now
		shapes.known.Store(typ, s)
	}
	return s
}

// shapeAmong returns the shape of a type, and adds it to the fresh ones if it is not known:
// types may lie in each other.
func shapeAmong(fresh map[protoreflect.MessageDescriptor]*shape, typ protoreflect.MessageDescriptor) *shape {
	if s, ok := shapes.known.Load(typ); ok {
		return s.(*shape)
	}
	if s, ok := fresh[typ]; ok {
		return s
	}
	s := &shape{}
	fresh[typ] = s
	for i := range typ.Fields().Len() {
		field := typ.Fields().Get(i)
		if field.Message() == nil {
			continue
		}
		if more := int(field.Number()) + 1 - len(s.inner); more > 0 {
			s.inner = append(s.inner, make([]*shape, more)...)
		}
		s.inner[field.Number()] = shapeAmong(fresh, field.Message())
	}
	return s
}
