// Package contract reads what a proto service says about the actor it declares,
// and says what is wrong with it. It is the one place that knows the options of
// francis.v1: the plugin asks it before it generates, and a host asks it again
// when an actor is registered, so both obey the same rules.
//
// It is pure: descriptors in, a [Contract] and its [Problem]s out. It imports
// protobuf, the generated options and internal/core/{name,limit}.
package contract

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
)

// Contract is what a proto service with the (francis.v1.actor) option says,
// completed with the defaults.
type Contract struct {
	// Service is where the contract is written.
	Service protoreflect.ServiceDescriptor
	// Type is the name of the actor type on the wire and in the store.
	Type string
	// State is the name of the state message as it is written in the option, see
	// [StateCandidates]. Empty means that the actor has no state.
	State string
	// StateTTL is how long the state lives without another record; 0 is for ever.
	StateTTL time.Duration
	// IdleTimeout is how long an activation may lie unused.
	IdleTimeout time.Duration
	// MaxPending is how many calls may wait for one actor.
	MaxPending int
	// Timeout is the deadline of a call that brings none; 0 means none declared.
	Timeout time.Duration
	// Retry is what happens when an alarm or a job fails.
	Retry Retry
	// DeadLetterMethod is the procedure of the method that is told of dead letters; empty
	// for none.
	DeadLetterMethod string
	// Methods are in the order of the file.
	Methods []Method
}

// Method is one rpc of a contract.
type Method struct {
	// Desc is where the method is declared.
	Desc protoreflect.MethodDescriptor
	// Procedure is the full name by which a call names the method:
	// "/package.Service/Method".
	Procedure string
	// View means that the method is read-only: idempotency_level is
	// NO_SIDE_EFFECTS.
	View bool
	// Internal means that the gateway does not serve the method.
	Internal bool
	// Timeout is the deadline of a call that brings none: the method's own, else
	// the actor's; 0 means none declared.
	Timeout time.Duration
	// Retry is what happens when an alarm or a job that calls the method fails: each field
	// the method's own, else the actor's.
	Retry Retry
	// IDField is the field of the request that carries the actor id, or nil.
	IDField protoreflect.FieldDescriptor
}

// Method returns the method with this procedure; nil for none.
func (c *Contract) Method(procedure string) *Method {
	for i := range c.Methods {
		if c.Methods[i].Procedure == procedure {
			return &c.Methods[i]
		}
	}
	return nil
}

// Read returns the contract of a service and everything that is wrong with it.
// The contract is nil when the service is no actor; its methods must then have
// no (francis.v1.method) option. A contract with problems holds the defaults in
// place of what could not be read; it is good for finding more problems, and for
// nothing else.
func Read(service protoreflect.ServiceDescriptor) (*Contract, []Problem) {
	var found problems
	if !proto.HasExtension(service.Options(), francisv1.E_Actor) {
		found.optionsWithoutActor(service)
		return nil, found
	}
	c := &Contract{Service: service}
	c.readOptions(&found)
	c.readMethods(&found)
	c.readDeadLetterMethod(&found)
	return c, found
}

func (c *Contract) readOptions(found *problems) {
	opts, _ := proto.GetExtension(c.Service.Options(), francisv1.E_Actor).(*francisv1.ActorOptions)
	at := optionOf(c.Service, francisv1.E_Actor, opts)
	found.unknownFields(at)
	c.Type = found.actorType(at, opts)
	c.State = found.state(at, opts)
	c.StateTTL = found.stateTTL(at, opts)
	c.IdleTimeout = found.duration(at, "idle_timeout", opts.GetIdleTimeout(), limit.IdleTimeout, limit.CheckIdleTimeout)
	c.MaxPending = found.maxPending(at, opts)
	c.Timeout = found.duration(at, "timeout", opts.GetTimeout(), 0, limit.CheckTimeout)
	c.Retry = found.retry(at, opts.GetRetry(), defaultRetry)
}

func (c *Contract) readMethods(found *problems) {
	checked := make(map[protoreflect.FullName]bool)
	for i := range c.Service.Methods().Len() {
		desc := c.Service.Methods().Get(i)
		method := c.readMethod(desc, found)
		field, wrong := IDField(desc.Input())
		method.IDField = field
		if !checked[desc.Input().FullName()] {
			found.add(wrong...)
		}
		checked[desc.Input().FullName()] = true
		c.Methods = append(c.Methods, method)
	}
	found.ambiguousMethods(c.Service)
}

func (c *Contract) readMethod(desc protoreflect.MethodDescriptor, found *problems) Method {
	opts := methodOptionsOf(desc)
	at := optionOf(desc, francisv1.E_Method, opts)
	found.unknownFields(at)
	found.streaming(desc)
	found.retryOfView(at, opts)
	return Method{
		Desc:      desc,
		Procedure: fmt.Sprintf("/%s/%s", c.Service.FullName(), desc.Name()),
		View:      isView(desc),
		Internal:  opts.GetInternal(),
		Timeout:   found.duration(at, "timeout", opts.GetTimeout(), c.Timeout, limit.CheckTimeout),
		Retry:     found.retry(at, opts.GetRetry(), c.Retry),
	}
}

func methodOptionsOf(desc protoreflect.MethodDescriptor) *francisv1.MethodOptions {
	opts, _ := proto.GetExtension(desc.Options(), francisv1.E_Method).(*francisv1.MethodOptions)
	return opts
}

func isView(desc protoreflect.MethodDescriptor) bool {
	opts, ok := desc.Options().(*descriptorpb.MethodOptions)
	return ok && opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// StateCandidates returns the full names that a state option may mean, from the
// package of the service outward: "X" in package a.b is a.b.X, a.X or X. A name
// with a leading dot is a full name already.
func StateCandidates(pkg protoreflect.FullName, state string) []protoreflect.FullName {
	if full, ok := strings.CutPrefix(state, "."); ok {
		return []protoreflect.FullName{protoreflect.FullName(full)}
	}
	var names []protoreflect.FullName
	for scope := pkg; scope != ""; scope = scope.Parent() {
		names = append(names, scope+"."+protoreflect.FullName(state))
	}
	return append(names, protoreflect.FullName(state))
}
