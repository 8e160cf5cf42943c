package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// SupportsGeneratedV1 is named by generated code: if that does not compile, the
// plugin and this module do not fit together.
const SupportsGeneratedV1 = true

// Registrar accepts actor types: a host. The interface is sealed.
type Registrar interface {
	RegisterActor(typ *actor.Type) error
}

// Binding ties a method of the contract to a method of the generated interface.
type Binding struct {
	procedure string
	view      bool
	request   actor.Message
	reply     actor.Message
	run       func(ctx context.Context, instance any, turn actor.Turn, req proto.Message) (proto.Message, error)
}

// BindTurn binds a method that may change its actor. T is the generated turn type.
func BindTurn[A any, T interface{ ~struct{ Turn[S] } }, S State, Req, Res any, PReq message[Req], PRes message[Res]](
	procedure string, method func(A, context.Context, T, PReq) (PRes, error),
) Binding {
	return bind(procedure, false, func(a A, ctx context.Context, turn actor.Turn, req PReq) (PRes, error) {
		return method(a, ctx, T{Turn[S]{StatelessTurn{turn}}}, req)
	})
}

// BindView binds a view. V is the generated view type.
func BindView[A any, V interface{ ~struct{ View[S] } }, S State, Req, Res any, PReq message[Req], PRes message[Res]](
	procedure string, method func(A, context.Context, V, PReq) (PRes, error),
) Binding {
	return bind(procedure, true, func(a A, ctx context.Context, turn actor.Turn, req PReq) (PRes, error) {
		return method(a, ctx, V{View[S]{StatelessView{turn}}}, req)
	})
}

// BindStatelessTurn binds a method of an actor without state.
func BindStatelessTurn[A any, T interface{ ~struct{ StatelessTurn } }, Req, Res any, PReq message[Req], PRes message[Res]](
	procedure string, method func(A, context.Context, T, PReq) (PRes, error),
) Binding {
	return bind(procedure, false, func(a A, ctx context.Context, turn actor.Turn, req PReq) (PRes, error) {
		return method(a, ctx, T{StatelessTurn{turn}}, req)
	})
}

// BindStatelessView binds a view of an actor without state.
func BindStatelessView[A any, V interface{ ~struct{ StatelessView } }, Req, Res any, PReq message[Req], PRes message[Res]](
	procedure string, method func(A, context.Context, V, PReq) (PRes, error),
) Binding {
	return bind(procedure, true, func(a A, ctx context.Context, turn actor.Turn, req PReq) (PRes, error) {
		return method(a, ctx, V{StatelessView{turn}}, req)
	})
}

func bind[A, Req, Res any, PReq message[Req], PRes message[Res]](
	procedure string, view bool, method func(A, context.Context, actor.Turn, PReq) (PRes, error),
) Binding {
	run := func(ctx context.Context, instance any, turn actor.Turn, req proto.Message) (proto.Message, error) {
		typed, ok := req.(PReq)
		if !ok {
			return nil, fmt.Errorf("%s received a %T instead of a %T", procedure, req, typed)
		}
		return method(instance.(A), ctx, turn, typed)
	}
	return Binding{procedure, view, messageOf[Req, PReq](), messageOf[Res, PRes](), run}
}

func messageOf[M any, P message[M]]() actor.Message {
	return actor.Message{
		New: func() proto.Message { return P(new(M)) },
		Copy: func(m proto.Message) proto.Message {
			typed, ok := m.(P)
			if !ok {
				return proto.Clone(m) // who receives it says that it is another type
			}
			copied := P(new(M))
			proto.Merge(copied, typed)
			return copied
		},
	}
}

// Register makes a host serve an actor type with state. Generated code calls it.
// It fails for a contract or option that is wrong, and for a type that the host
// serves already.
func Register[A any, S State](host Registrar, service protoreflect.ServiceDescriptor,
	newActor func(context.Context, *Activation[S]) (A, error), opts []ActorOption, bindings ...Binding,
) error {
	if newActor == nil {
		return fmt.Errorf("register %s: no constructor given", service.FullName())
	}
	var state S
	return register(host, service, state.ProtoReflect().Type(), func(ctx context.Context, a actor.Activation) (any, error) {
		return newActor(ctx, &Activation[S]{StatelessActivation{a}})
	}, opts, bindings)
}

// RegisterStateless makes a host serve an actor type without state. Generated code
// calls it.
func RegisterStateless[A any](host Registrar, service protoreflect.ServiceDescriptor,
	newActor func(context.Context, *StatelessActivation) (A, error), opts []ActorOption, bindings ...Binding,
) error {
	if newActor == nil {
		return fmt.Errorf("register %s: no constructor given", service.FullName())
	}
	return register(host, service, nil, func(ctx context.Context, a actor.Activation) (any, error) {
		return newActor(ctx, &StatelessActivation{a})
	}, opts, bindings)
}

func register(host Registrar, service protoreflect.ServiceDescriptor, state protoreflect.MessageType,
	newActor func(context.Context, actor.Activation) (any, error), opts []ActorOption, bindings []Binding,
) error {
	if host == nil {
		return fmt.Errorf("register %s: no host given", service.FullName())
	}
	c, err := readContract(service)
	if err != nil {
		return fmt.Errorf("register %s: %w", service.FullName(), err)
	}
	s := &settings{Contract: c}
	for _, opt := range opts {
		if err := opt.applyToActor(s); err != nil {
			return fmt.Errorf("register %s: %w", service.FullName(), err)
		}
	}
	methods, err := bound(c, bindings)
	if err != nil {
		return fmt.Errorf("register %s: %w", service.FullName(), err)
	}
	return host.RegisterActor(&actor.Type{
		Contract: c, Bound: methods, StateType: state, New: newActor,
	})
}

func readContract(service protoreflect.ServiceDescriptor) (*contract.Contract, error) {
	c, problems := contract.Read(service)
	var errs []error
	for _, problem := range problems {
		errs = append(errs, errors.New(problem.Text))
	}
	if c == nil && errs == nil {
		errs = append(errs, errors.New("the service has no (francis.v1.actor) option"))
	}
	return c, errors.Join(errs...)
}

// bound joins the methods of the contract and their bindings, one to one.
func bound(c *contract.Contract, bindings []Binding) (map[string]*actor.Method, error) {
	methods := make(map[string]*actor.Method, len(bindings))
	for _, m := range c.Methods {
		i := slices.IndexFunc(bindings, func(b Binding) bool { return b.procedure == m.Procedure && b.view == m.View })
		if i < 0 {
			return nil, stale(m.Procedure)
		}
		methods[m.Procedure] = &actor.Method{Method: m, Request: bindings[i].request, Reply: bindings[i].reply, Run: bindings[i].run}
	}
	for _, b := range bindings {
		if methods[b.procedure] == nil {
			return nil, stale(b.procedure)
		}
	}
	return methods, nil
}

func stale(procedure string) error {
	return fmt.Errorf("the generated code and the contract differ in %s; run buf generate again", procedure)
}

// settings are a contract on which the options of a registration work.
type settings struct{ *contract.Contract }

func (s *settings) setIdleTimeout(d time.Duration) error {
	s.IdleTimeout = d
	return limit.CheckIdleTimeout(d)
}

func (s *settings) setStateTTL(d time.Duration) error {
	s.StateTTL = d
	switch {
	case s.State == "":
		return errors.New(contract.NoStateToExpire)
	case d == 0: // for ever
		return nil
	}
	return limit.CheckStateTTL(d)
}

func (s *settings) setMaxPending(n int) error {
	s.MaxPending = n
	return limit.CheckMaxPending(n)
}

func (s *settings) setTimeout(d time.Duration) error {
	for i := range s.Methods {
		if m := &s.Methods[i]; !declaresTimeout(m.Desc) {
			m.Timeout = d
		}
	}
	return limit.CheckTimeout(d)
}

func declaresTimeout(method protoreflect.MethodDescriptor) bool {
	own, _ := proto.GetExtension(method.Options(), francisv1.E_Method).(*francisv1.MethodOptions)
	return own.GetTimeout() != nil
}

func (s *settings) setMethodTimeout(method string, d time.Duration) error {
	for i := range s.Methods {
		if m := &s.Methods[i]; string(m.Desc.Name()) == method {
			m.Timeout = d
			return limit.CheckTimeout(d)
		}
	}
	return fmt.Errorf("timeout for the method %q: the contract has no such method", method)
}

// Unimplemented is the answer of a method that an actor does not implement, with
// code unimplemented. Generated code calls it.
func Unimplemented(procedure string) error { return fault.Unimplemented(procedure) }
