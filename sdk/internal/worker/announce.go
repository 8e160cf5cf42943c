package worker

import (
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// announcement says what the worker serves, and where.
func (w *Worker) announcement() *runtimev1.AnnounceRequest {
	req := &runtimev1.AnnounceRequest{Address: w.address}
	for _, typ := range w.Host.Types() {
		req.Types = append(req.Types, &runtimev1.ActorType{
			Name: typ.Type, Service: string(typ.Service.FullName()), Files: filesOf(typ.Service.ParentFile()),
		})
	}
	return req
}

// filesOf is a file with all that it imports, dependencies first.
func filesOf(file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] || file.IsPlaceholder() {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(file)
	return set
}
