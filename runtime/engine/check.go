package engine

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
)

const (
	// maxBatch is how many reads or records one request carries.
	maxBatch = 1024
	// maxReleases is how many shards one request gives back.
	maxReleases = 4096
	// maxTypes is how many actor types a worker serves.
	maxTypes = 1024
	// maxAddress is the largest address: a host name and a port.
	maxAddress = 255 + len(":65535")
	// maxMessageName is the largest name of a message, in bytes.
	maxMessageName = 512
)

// check reports what is wrong with an announcement in itself.
func (e *Engine) check(req *runtimev1.AnnounceRequest) error {
	if n := len(req.GetTypes()); n > maxTypes {
		return fault.TooMany("actor types", n, maxTypes)
	}
	if err := e.checkReachable(req.GetAddress()); err != nil {
		return malformed(err)
	}
	seen, contracts := map[string]bool{}, map[string]string{}
	for _, typ := range req.GetTypes() {
		if err := checkType(typ); err != nil {
			return malformed(err)
		}
		if seen[typ.GetName()] {
			return malformed(fmt.Errorf("the actor type %q is announced twice", typ.GetName()))
		}
		if other, taken := contracts[typ.GetService()]; taken {
			return malformed(fmt.Errorf("the actor types %q and %q are announced by one contract, %s", other, typ.GetName(), typ.GetService()))
		}
		seen[typ.GetName()], contracts[typ.GetService()] = true, typ.GetName()
	}
	return nil
}

// checkReachable reports why others cannot dial an address.
func (e *Engine) checkReachable(address string) error {
	if address == "" && e.cfg.Local {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || len(address) > maxAddress || strings.ContainsFunc(host, unprintable) {
		return fmt.Errorf("the worker's address %q is not of the form host:port", address)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return fmt.Errorf("the worker's address %q has no port between 1 and 65535", address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("the worker's address %q is where it listens, not where others reach it; name a host", address)
	}
	return nil
}

// unprintable is what no host name and no address has: others log it and dial it.
func unprintable(r rune) bool { return r <= ' ' || !unicode.IsPrint(r) }

// checkType reports what is wrong with an actor type: gateways of other workers will
// use its contract, so it must be whole.
func checkType(typ *runtimev1.ActorType) error {
	if err := name.CheckType(typ.GetName()); err != nil {
		return err
	}
	if typ.GetFiles() == nil { // NewFiles would panic
		return fmt.Errorf("the contract of actor type %q is missing", typ.GetName())
	}
	files, err := protodesc.NewFiles(typ.GetFiles())
	if err != nil {
		return fmt.Errorf("the contract of actor type %q is damaged or incomplete: %w", typ.GetName(), err)
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(typ.GetService()))
	if err != nil {
		return fmt.Errorf("the contract of actor type %q lacks the service %q", typ.GetName(), typ.GetService())
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return fmt.Errorf("the contract of actor type %q names %q, which is no service", typ.GetName(), typ.GetService())
	}
	// Gateways believe the contract: it must not lead them to another type.
	if read, _ := contract.Read(service); read != nil && read.Type != typ.GetName() {
		return fmt.Errorf("the contract %s is that of actor type %q, not of %q", typ.GetService(), read.Type, typ.GetName())
	}
	return nil
}

// checkServices refuses a type that another worker serves by another contract, and a
// contract by which another worker serves another type: gateways find types by it.
func checkServices(table *placement.Table, id string, types []*runtimev1.ActorType) error {
	for _, typ := range types {
		if err := checkUnshared(table, id, typ); err != nil {
			return err
		}
		known := table.Type(typ.GetName()).GetService()
		if known == "" || known == typ.GetService() {
			continue
		}
		if other, served := table.Server(typ.GetName(), id); served {
			return fault.TypeConflict(typ.GetName(), typ.GetService(), known, other)
		}
	}
	return nil
}

func checkUnshared(table *placement.Table, id string, typ *runtimev1.ActorType) error {
	for _, name := range table.Types() {
		if name == typ.GetName() || table.Type(name).GetService() != typ.GetService() {
			continue
		}
		if other, served := table.Server(name, id); served {
			return fault.ServiceConflict(typ.GetService(), name, typ.GetName(), other)
		}
	}
	return nil
}

// checkReads reports what is wrong with the reads of a worker in themselves.
func checkReads(reads []*runtimev1.LoadRequest_Read) error {
	if len(reads) > maxBatch {
		return fault.TooMany("reads", len(reads), maxBatch)
	}
	for _, read := range reads {
		if err := checkActor(read.GetActor()); err != nil {
			return err
		}
	}
	return nil
}

// checkRecords reports what is wrong with the records of a worker in themselves; the
// store checks their identities.
func checkRecords(records []*runtimev1.Record) error {
	if len(records) > maxBatch {
		return fault.TooMany("records", len(records), maxBatch)
	}
	for _, record := range records {
		if err := checkActor(record.GetActor()); err != nil {
			return err
		}
		if err := checkState(record); err != nil {
			return err
		}
		if err := checkTasks(record); err != nil {
			return err
		}
	}
	return nil
}

// checkState bounds what every later owner of the actor has to load.
func checkState(record *runtimev1.Record) error {
	if size := len(record.GetData()); size > limit.MaxState {
		return fault.TooLarge("the state of "+record.GetActor().GetType()+"/"+record.GetActor().GetId(), size, limit.MaxState)
	}
	if ttl := record.GetStateTtl(); ttl != nil {
		if err := limit.CheckStateTTL(ttl.AsDuration()); err != nil {
			return malformed(err)
		}
	}
	kept := 0
	for _, key := range record.GetKeys() {
		kept += len(key.GetReply())
	}
	if kept > limit.MaxKept {
		return fault.TooLarge("the replies that a record of "+record.GetActor().GetType()+"/"+record.GetActor().GetId()+" keeps", kept, limit.MaxKept)
	}
	if size := len(record.GetMessage()); size > maxMessageName {
		return malformed(fmt.Errorf("the name of the state's message has %d bytes; at most %d are allowed", size, maxMessageName))
	}
	return nil
}

func checkActor(actor *runtimev1.Actor) error {
	if err := name.CheckType(actor.GetType()); err != nil {
		return malformed(err)
	}
	if err := name.CheckID(actor.GetId()); err != nil {
		return fault.InvalidID(err.Error())
	}
	return nil
}

func malformed(err error) error {
	return fault.Malformed(connect.CodeInvalidArgument, err.Error())
}
