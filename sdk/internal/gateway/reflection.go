package gateway

import (
	"sync"

	"connectrpc.com/connect/v2"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/francis-actors/francis/internal/core/contract"
)

// reflection describes the contracts of the directory to tools such as buf curl and
// grpcurl, and nothing else that is compiled into the program.
type reflection struct {
	directory Directory
	// files are those of the contract of each actor type, *described by its name.
	files sync.Map
}

// described is a contract and its files.
type described struct {
	contract *contract.Contract
	files    *protoregistry.Files
}

func registerReflection(server *connect.Server, directory Directory) {
	r := &reflection{directory: directory}
	grpcreflect.Register(server,
		grpcreflect.WithNamer(r),
		grpcreflect.WithDescriptorResolver(r),
		grpcreflect.WithExtensionResolver(new(protoregistry.Types)),
	)
}

// Names lists the services.
func (r *reflection) Names() []string {
	names := []string{healthService}
	for c := range r.contracts {
		names = append(names, string(c.Service.FullName()))
	}
	return names
}

// FindFileByPath finds a file that a contract needs.
func (r *reflection) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	for files := range r.all {
		if file, err := files.FindFileByPath(path); err == nil {
			return file, nil
		}
	}
	return nil, protoregistry.NotFound
}

// FindDescriptorByName finds what a contract declares or imports.
func (r *reflection) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for files := range r.all {
		if found, err := files.FindDescriptorByName(name); err == nil {
			return found, nil
		}
	}
	return nil, protoregistry.NotFound
}

// contracts yields the contracts of the directory.
func (r *reflection) contracts(yield func(*contract.Contract) bool) {
	for _, typ := range r.directory.TypeNames() {
		if c := r.directory.ContractOf(typ); c != nil && !yield(c) {
			return
		}
	}
}

// all yields the files of health and of each contract.
func (r *reflection) all(yield func(*protoregistry.Files) bool) {
	if !yield(healthFiles) {
		return
	}
	for c := range r.contracts {
		if !yield(r.filesOf(c)) {
			return
		}
	}
}

// filesOf returns the files of a contract. Those of a newer contract of the same actor type
// replace them.
func (r *reflection) filesOf(c *contract.Contract) *protoregistry.Files {
	if have, ok := r.files.Load(c.Type); ok && have.(*described).contract == c {
		return have.(*described).files
	}
	made := &described{contract: c, files: withImports(c.Service.ParentFile())}
	r.files.Store(c.Type, made)
	return made.files
}

// withImports is a file and all that it imports.
func withImports(file protoreflect.FileDescriptor) *protoregistry.Files {
	files := new(protoregistry.Files)
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if files.RegisterFile(file) != nil {
			return // it is there already
		}
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
	}
	add(file)
	return files
}
