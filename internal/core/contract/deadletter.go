package contract

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// deadLetter is what the method that is told of dead letters takes.
var deadLetter = (*francisv1.DeadLetter)(nil).ProtoReflect().Descriptor().FullName()

// readDeadLetterMethod finds the method that is told of dead letters.
func (c *Contract) readDeadLetterMethod(found *problems) {
	opts, _ := proto.GetExtension(c.Service.Options(), francisv1.E_Actor).(*francisv1.ActorOptions)
	if opts.DeadLetterMethod == nil {
		return
	}
	at, name := optionOf(c.Service, francisv1.E_Actor, opts), opts.GetDeadLetterMethod()
	method := c.method(protoreflect.Name(name))
	switch {
	case method == nil:
		found.add(at.problem("dead_letter_method", "dead_letter_method is %q, but %s has no such method; name an rpc of it that takes %s", name, c.Service.Name(), deadLetter))
	case method.Desc.Input().FullName() != deadLetter:
		found.add(at.problem("dead_letter_method", "dead_letter_method is %q, which takes %s; it must take %s", name, method.Desc.Input().FullName(), deadLetter))
	case method.View:
		found.add(at.problem("dead_letter_method", "dead_letter_method is %q, which is a view; remove its idempotency_level, or name a method that is no view", name))
	default:
		c.DeadLetterMethod = method.Procedure
	}
}

// method finds a method by its name in the contract, nil for none.
func (c *Contract) method(name protoreflect.Name) *Method {
	for i := range c.Methods {
		if c.Methods[i].Desc.Name() == name {
			return &c.Methods[i]
		}
	}
	return nil
}
