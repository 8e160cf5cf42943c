package gateway

import (
	"context"
	"slices"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The gRPC health protocol, grpc/health/v1/health.proto, of which Check is served.
// Its descriptors are made here and registered nowhere: generated code would
// collide with that of a program that links gRPC itself.
const (
	healthService = "grpc.health.v1.Health"
	healthCheck   = "/" + healthService + "/Check"

	serving    protoreflect.EnumNumber = 1
	notServing protoreflect.EnumNumber = 2
)

var (
	healthFile  = newHealthFile()
	healthFiles = withImports(healthFile)
)

func newHealthFile() protoreflect.FileDescriptor {
	optional := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	status := &descriptorpb.EnumDescriptorProto{Name: proto.String("ServingStatus")}
	for number, name := range []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"} {
		status.Value = append(status.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(name), Number: proto.Int32(int32(number))})
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("grpc/health/v1/health.proto"), Package: proto.String("grpc.health.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("HealthCheckRequest"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("service"), Number: proto.Int32(1), Label: optional,
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			}},
		}, {
			Name:     proto.String("HealthCheckResponse"),
			EnumType: []*descriptorpb.EnumDescriptorProto{status},
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("status"), Number: proto.Int32(1), Label: optional,
				Type:     descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(),
				TypeName: proto.String(".grpc.health.v1.HealthCheckResponse.ServingStatus"),
			}},
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Health"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name:      proto.String("Check"),
				InputType: proto.String(".grpc.health.v1.HealthCheckRequest"), OutputType: proto.String(".grpc.health.v1.HealthCheckResponse"),
			}},
		}},
	}, nil)
	if err != nil {
		panic("gateway: the descriptors of the health protocol: " + err.Error()) //nolint:forbidigo // they are constants
	}
	return file
}

func registerHealth(server *connect.Server, directory Directory) {
	check := healthFile.Services().Get(0).Methods().Get(0)
	server.Register(connect.Method{
		Spec: connect.Spec{StreamType: connect.StreamTypeUnary, Schema: check, Procedure: healthCheck},
		Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			req := dynamicpb.NewMessage(check.Input())
			if err := stream.Receive(req); err != nil {
				return err
			}
			status, err := healthOf(directory, req.Get(check.Input().Fields().Get(0)).String())
			if err != nil {
				return err
			}
			res := dynamicpb.NewMessage(check.Output())
			res.Set(check.Output().Fields().Get(0), protoreflect.ValueOfEnum(status))
			return stream.Send(res)
		},
	})
}

// healthOf is the status of a service; "" asks for the whole host.
func healthOf(directory Directory, service string) (protoreflect.EnumNumber, error) {
	known := service == "" || slices.ContainsFunc(directory.TypeNames(), func(typ string) bool {
		c := directory.ContractOf(typ)
		return c != nil && string(c.Service.FullName()) == service
	})
	switch {
	case !known:
		return 0, connect.Errorf(connect.CodeNotFound, "no actor type has the service %q", service)
	case directory.Serving():
		return serving, nil
	default:
		return notServing, nil
	}
}
