package member

import (
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
)

// Contract is the contract of an actor type of the cluster, made from the descriptors that
// a worker has announced; nil for a type that none is known to serve.
func (m *Member) Contract(typ string) *contract.Contract {
	announced := m.Table().Type(typ)
	if announced == nil {
		return nil
	}
	if have, ok := m.contracts.Load(typ); ok && have.(*reading).announced == announced {
		return have.(*reading).contract
	}
	made := &reading{announced, readContract(announced)}
	m.contracts.Store(typ, made)
	return made.contract
}

// reading is a contract and what it was made from.
type reading struct {
	announced *runtimev1.ActorType
	contract  *contract.Contract
}

// readContract makes a contract from its descriptors, nil if they are damaged: the
// runtime has checked them when they were announced.
func readContract(typ *runtimev1.ActorType) *contract.Contract {
	files, err := protodesc.NewFiles(typ.GetFiles())
	if err != nil {
		return nil
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(typ.GetService()))
	if err != nil {
		return nil
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	read, problems := contract.Read(service)
	if len(problems) > 0 {
		return nil
	}
	return read
}
