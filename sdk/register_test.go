package sdk_test

import (
	"context"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

type (
	relayActor = behaviourv1francis.RelayActor
	relayTurn  = behaviourv1francis.RelayActorTurn
	relayView  = behaviourv1francis.RelayActorView
)

func newRelay(context.Context, *sdk.StatelessActivation) (relayActor, error) {
	return behaviourv1francis.UnimplementedRelayActor{}, nil
}

func service(name protoreflect.Name) protoreflect.ServiceDescriptor {
	return behaviourv1.File_behaviour_v1_behaviour_proto.Services().ByName(name)
}

// bare is a service without any option.
func bare(t *testing.T) protoreflect.ServiceDescriptor {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("bare.proto"), Package: proto.String("bare.v1"), Syntax: proto.String("proto3"),
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Bare")}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0)
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	const prefix = "register behaviour.v1.RelayActor: "
	send := sdk.BindStatelessTurn("/behaviour.v1.RelayActor/Send", relayActor.Send)
	number := sdk.BindStatelessView("/behaviour.v1.RelayActor/Number", relayActor.Number)
	older := sdk.BindStatelessTurn("/behaviour.v1.RelayActor/Forgotten", relayActor.Send)
	asTurn := sdk.BindStatelessTurn("/behaviour.v1.RelayActor/Number", func(relayActor, context.Context, relayTurn, *behaviourv1.NumberRequest) (*behaviourv1.NumberResponse, error) {
		return &behaviourv1.NumberResponse{}, nil
	})
	asView := sdk.BindStatelessView("/behaviour.v1.RelayActor/Send", func(relayActor, context.Context, relayView, *behaviourv1.SendRequest) (*behaviourv1.SendResponse, error) {
		return &behaviourv1.SendResponse{}, nil
	})
	bind := func(bindings ...sdk.Binding) func(sdk.Registrar) error {
		return func(host sdk.Registrar) error {
			return sdk.RegisterStateless(host, service("RelayActor"), newRelay, nil, bindings...)
		}
	}
	stale := func(method string) string {
		return prefix + "the generated code and the contract differ in /behaviour.v1.RelayActor/" + method + "; run buf generate again"
	}
	tests := map[string]struct {
		register func(sdk.Registrar) error
		want     string
	}{
		"all is well":             {bind(send, number), ""},
		"in any order":            {bind(number, send), ""},
		"a method is missing":     {bind(send), stale("Number")},
		"a method is gone":        {bind(send, number, older), stale("Forgotten")},
		"a view became a turn":    {bind(send, asTurn), stale("Number")},
		"a turn became a view":    {bind(asView, number), stale("Send")},
		"no binding":              {bind(), stale("Send")},
		"no constructor":          {func(host sdk.Registrar) error { return behaviourv1francis.RegisterRelayActor(host, nil) }, prefix + "no constructor given"},
		"no stateful constructor": {func(host sdk.Registrar) error { return behaviourv1francis.RegisterProbeActor(host, nil) }, "register behaviour.v1.ProbeActor: no constructor given"},
		"no host":                 {func(sdk.Registrar) error { return behaviourv1francis.RegisterRelayActor(nil, newRelay) }, prefix + "no host given"},
		"no host for a stateful": {
			func(sdk.Registrar) error {
				return behaviourv1francis.RegisterProbeActor(nil, new(keeper).New)
			}, "register behaviour.v1.ProbeActor: no host given",
		},
		"no option": {
			func(host sdk.Registrar) error { return sdk.RegisterStateless(host, bare(t), newRelay, nil) },
			"register bare.v1.Bare: the service has no (francis.v1.actor) option",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.register(francistest.Start(t))
			switch {
			case err == nil && test.want != "":
				t.Errorf("registered, want the error %q", test.want)
			case err != nil && err.Error() != test.want:
				t.Errorf("error %v\nwant  %s", err, test.want)
			}
		})
	}
}

// A method that the actor does not implement says which.
func TestUnimplemented(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	if err := behaviourv1francis.RegisterRelayActor(host, newRelay); err != nil {
		t.Fatal(err)
	}
	_, err := behaviourv1francis.NewRelayActorProxy(host.Service(), "r").Send(t.Context(), &behaviourv1.SendRequest{})
	if want := "unimplemented: the actor does not implement /behaviour.v1.RelayActor/Send"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := fault.Detail(err).GetReason(); got != francisv1.Reason_REASON_UNKNOWN_METHOD {
		t.Errorf("reason %v", got)
	}
}

// A caller with other generated code than the actor: the turn has run and was
// committed, so the error must not say that nothing happened.
func TestReplyOfAnotherType(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	if err := behaviourv1francis.RegisterProbeActor(host, new(keeper).New); err != nil {
		t.Fatal(err)
	}
	ref := sdk.NewRef(host.Service(), "probe", "a")
	_, err := sdk.CallTurn[behaviourv1.SendResponse](t.Context(), ref, "/behaviour.v1.ProbeActor/Add", &behaviourv1.AddRequest{})
	want := "internal: /behaviour.v1.ProbeActor/Add answered with *behaviourv1.AddResponse instead of *behaviourv1.SendResponse; generate the code of caller and actor from one contract"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if got := sdk.OutcomeOf(err); got != sdk.OutcomeUnknown {
		t.Errorf("outcome %v, want unknown", got)
	}
	if got := connect.CodeOf(err); got != connect.CodeInternal {
		t.Errorf("code %v, want internal", got)
	}
}
