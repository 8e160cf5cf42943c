package dev_test

import (
	"slices"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// addFile adds a file and what it imports, dependencies first.
func addFile(set *descriptorpb.FileDescriptorSet, file protoreflect.FileDescriptor) {
	known := func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.Path() }
	if slices.ContainsFunc(set.File, known) {
		return
	}
	for i := range file.Imports().Len() {
		addFile(set, file.Imports().Get(i).FileDescriptor)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
}
