package worker

import (
	"context"
	"sync"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// catalog are the contracts of the cluster for the gateway: those of other workers
// are made from the descriptors that they announced.
type catalog struct {
	worker *Worker
	// read are the contracts that were made already, by *runtimev1.ActorType.
	read sync.Map
}

func newCatalog(w *Worker) *catalog { return &catalog{worker: w} }

func (c *catalog) TypeNames() []string { return c.worker.Member.Types() }

func (c *catalog) ContractOf(typ string) *contract.Contract {
	if own := c.worker.Host.ContractOf(typ); own != nil {
		return own
	}
	announced := c.worker.Member.Table().Type(typ)
	if announced == nil {
		return nil
	}
	if have, ok := c.read.Load(typ); ok && have.(*reading).announced == announced {
		return have.(*reading).contract
	}
	made := &reading{announced, readContract(announced)}
	c.read.Store(typ, made)
	return made.contract
}

func (c *catalog) Serving() bool { return c.worker.Member.Serving() }

func (c *catalog) InvokeEncoded(ctx context.Context, call actor.Call) ([]byte, error) {
	return c.worker.Host.InvokeEncoded(ctx, call)
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
