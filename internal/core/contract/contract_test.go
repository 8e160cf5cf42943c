package contract_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/contract"
)

// The plugin's tests hold the exact text of every problem, with its place in a
// proto file. These hold what the plugin cannot show: what is read from a contract
// without problems, and from one without source locations.

// cart is shop.Cart with the methods Add and Get, which is a view.
func cart(t *testing.T, actor *francisv1.ActorOptions, add *francisv1.MethodOptions, fields ...*descriptorpb.FieldDescriptorProto) protoreflect.ServiceDescriptor {
	t.Helper()
	service := &descriptorpb.ServiceDescriptorProto{
		Name: proto.String("Cart"),
		Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Add"), InputType: proto.String(".shop.Ping"), OutputType: proto.String(".shop.Ping"), Options: &descriptorpb.MethodOptions{}},
			{Name: proto.String("Get"), InputType: proto.String(".shop.Ping"), OutputType: proto.String(".shop.Ping"), Options: &descriptorpb.MethodOptions{
				IdempotencyLevel: descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum(),
			}},
		},
		Options: &descriptorpb.ServiceOptions{},
	}
	if actor != nil {
		proto.SetExtension(service.Options, francisv1.E_Actor, actor)
	}
	if add != nil {
		proto.SetExtension(service.Method[0].Options, francisv1.E_Method, add)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:        proto.String("shop/cart.proto"),
		Package:     proto.String("shop"),
		Syntax:      proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Ping"), Field: fields}},
		Service:     []*descriptorpb.ServiceDescriptorProto{service},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0)
}

func field(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, id bool) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Options: &descriptorpb.FieldOptions{},
	}
	if id {
		proto.SetExtension(f.Options, francisv1.E_ActorId, true)
	}
	return f
}

func TestRead(t *testing.T) {
	t.Parallel()
	type method struct {
		procedure      string
		view, internal bool
		timeout        time.Duration
		retry          contract.Retry
	}
	usual := contract.Retry{Attempts: 5, Initial: time.Second, Max: 5 * time.Minute, Multiplier: 2}
	patient := contract.Retry{Attempts: 5, Initial: time.Minute, Max: time.Hour, Multiplier: 1.5}
	once := patient
	once.Attempts = 1
	for _, c := range []struct {
		name    string
		actor   *francisv1.ActorOptions
		add     *francisv1.MethodOptions
		want    contract.Contract
		methods []method
	}{
		{
			name:    "defaults",
			actor:   &francisv1.ActorOptions{},
			want:    contract.Contract{Type: "shop.Cart", IdleTimeout: 5 * time.Minute, MaxPending: 1024, Retry: usual},
			methods: []method{{procedure: "/shop.Cart/Add", retry: usual}, {procedure: "/shop.Cart/Get", view: true, retry: usual}},
		},
		{
			name: "everything",
			actor: &francisv1.ActorOptions{
				Type: proto.String("cart"), State: proto.String("CartState"), MaxPending: proto.Uint32(7),
				StateTtl: durationpb.New(time.Hour), IdleTimeout: durationpb.New(10 * time.Second), Timeout: durationpb.New(2 * time.Second),
				Retry: &francisv1.RetryPolicy{InitialBackoff: durationpb.New(time.Minute), MaxBackoff: durationpb.New(time.Hour), Multiplier: proto.Float64(1.5)},
			},
			add: &francisv1.MethodOptions{
				Timeout: durationpb.New(time.Millisecond), Internal: proto.Bool(true), Retry: &francisv1.RetryPolicy{MaxAttempts: proto.Uint32(1)},
			},
			want: contract.Contract{Type: "cart", State: "CartState", StateTTL: time.Hour, IdleTimeout: 10 * time.Second, MaxPending: 7, Timeout: 2 * time.Second, Retry: patient},
			methods: []method{
				{procedure: "/shop.Cart/Add", internal: true, timeout: time.Millisecond, retry: once},
				{procedure: "/shop.Cart/Get", view: true, timeout: 2 * time.Second, retry: patient},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, problems := contract.Read(cart(t, c.actor, c.add))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var methods []method
			for _, m := range got.Methods {
				methods = append(methods, method{m.Procedure, m.View, m.Internal, m.Timeout, m.Retry})
			}
			if !slices.Equal(methods, c.methods) {
				t.Errorf("got the methods %+v, want %+v", methods, c.methods)
			}
			got.Service, got.Methods = nil, nil
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
		})
	}
}

// TestProblems reads contracts without source locations, as a host does.
func TestProblems(t *testing.T) {
	t.Parallel()
	newer := &francisv1.ActorOptions{}
	newer.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	newerRetry := &francisv1.RetryPolicy{}
	newerRetry.ProtoReflect().SetUnknown(newer.ProtoReflect().GetUnknown())
	for _, c := range []struct {
		name  string
		actor *francisv1.ActorOptions
		add   *francisv1.MethodOptions
		want  []string
	}{
		{name: "no actor"},
		{
			name: "no actor with a method option",
			add:  &francisv1.MethodOptions{},
			want: []string{"shop/cart.proto: shop.Cart.Add: Add has the option (francis.v1.method), but Cart is no actor; add the option (francis.v1.actor) to the service or remove this one"},
		},
		{
			name:  "an option of a newer version",
			actor: newer,
			want:  []string{"shop/cart.proto: shop.Cart: the option (francis.v1.actor) sets the field 99, which this version of francis does not know; update francis or remove the field"},
		},
		{
			name:  "a retry of a newer version",
			actor: &francisv1.ActorOptions{Retry: newerRetry},
			want:  []string{"shop/cart.proto: shop.Cart: the option (francis.v1.actor).retry sets the field 99, which this version of francis does not know; update francis or remove the field"},
		},
		{
			name:  "several",
			actor: &francisv1.ActorOptions{MaxPending: proto.Uint32(0), Timeout: &durationpb.Duration{Seconds: -1}},
			add:   &francisv1.MethodOptions{Timeout: &durationpb.Duration{}},
			want: []string{
				"shop/cart.proto: shop.Cart: max_pending is 0; it must be between 1 and 1000000",
				"shop/cart.proto: shop.Cart: timeout is -1s; it must be between 1ms and 24h0m0s",
				"shop/cart.proto: shop.Cart.Add: timeout is 0s; it must be between 1ms and 24h0m0s",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, problems := contract.Read(cart(t, c.actor, c.add))
			if (got == nil) != (c.actor == nil) {
				t.Errorf("got the contract %v", got)
			}
			var lines []string
			for _, problem := range problems {
				lines = append(lines, problem.String())
			}
			if !slices.Equal(lines, c.want) {
				t.Errorf("got %q, want %q", lines, c.want)
			}
		})
	}
}

// A dead letter method is found by its name, and told by its procedure.
func TestDeadLetterMethod(t *testing.T) {
	t.Parallel()
	options := &descriptorpb.ServiceOptions{}
	proto.SetExtension(options, francisv1.E_Actor, &francisv1.ActorOptions{DeadLetterMethod: proto.String("GivenUp")})
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("shop/cart.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"), Dependency: []string{"francis/v1/tasks.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Cart"), Options: options, Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("GivenUp"), InputType: proto.String(".francis.v1.DeadLetter"), OutputType: proto.String(".francis.v1.DeadLetter")},
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	got, problems := contract.Read(file.Services().Get(0))
	if len(problems) > 0 || got.DeadLetterMethod != "/shop.Cart/GivenUp" {
		t.Errorf("got %q and the problems %v", got.DeadLetterMethod, problems)
	}
}

func TestIDField(t *testing.T) {
	t.Parallel()
	for kind := range descriptorpb.FieldDescriptorProto_Type_name {
		kind := descriptorpb.FieldDescriptorProto_Type(kind)
		if slices.Contains([]descriptorpb.FieldDescriptorProto_Type{
			descriptorpb.FieldDescriptorProto_TYPE_GROUP, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_TYPE_ENUM,
		}, kind) {
			continue // they need a type by name, and the plugin's tests have them
		}
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			service := cart(t, &francisv1.ActorOptions{}, nil, field("other", 1, kind, false), field("id", 2, kind, true))
			c, problems := contract.Read(service)
			unfit := slices.Contains([]descriptorpb.FieldDescriptorProto_Type{
				descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_BYTES,
				descriptorpb.FieldDescriptorProto_TYPE_FLOAT, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE,
			}, kind)
			for _, method := range c.Methods {
				if got := method.IDField; (got == nil) != unfit || got != nil && got.Name() != "id" {
					t.Errorf("%s has the id field %v", method.Procedure, got)
				}
			}
			if (len(problems) == 1) != unfit {
				t.Errorf("got the problems %v", problems)
			}
		})
	}
}

func TestStateCandidates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pkg   protoreflect.FullName
		state string
		want  []protoreflect.FullName
	}{
		{"", "X", []protoreflect.FullName{"X"}},
		{"a.b.v1", "X", []protoreflect.FullName{"a.b.v1.X", "a.b.X", "a.X", "X"}},
		{"a.b", "X.Y", []protoreflect.FullName{"a.b.X.Y", "a.X.Y", "X.Y"}},
		{"a.b", ".a.X", []protoreflect.FullName{"a.X"}},
	} {
		if got := contract.StateCandidates(c.pkg, c.state); !slices.Equal(got, c.want) {
			t.Errorf("%q in %q: got %v, want %v", c.state, c.pkg, got, c.want)
		}
	}
}
