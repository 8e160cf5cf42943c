package remote_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	// victim is a counter of the honest worker.
	victim = "victim"
	// ownType is an actor type that only the rogue serves: those are its to ruin.
	ownType = "rogueactor"
	// ownAddress is where nobody listens.
	ownAddress = "127.0.0.1:1"
)

// startRogue is a cluster with a counter at 42, and a rogue with a type of its own.
func startRogue(t *testing.T) *rogue {
	t.Helper()
	c := startCluster(t)
	c.increment(victim, 42, 42)
	r := c.newRogue()
	if _, err := r.calls.Announce(r.ctx(), announcement(ownAddress)); err != nil {
		t.Fatal(err)
	}
	return r
}

// startRogueClient is startRogue for a client.
func startRogueClient(t *testing.T) *rogue {
	t.Helper()
	c := startCluster(t)
	c.increment(victim, 42, 42)
	return c.newRogueAs(join.Request{Role: pki.RoleClient})
}

// unharmed checks that the honest worker and its counter are as they were.
func (r *rogue) unharmed() {
	r.t.Helper()
	r.increment(victim, 0, 42)
	workers, err := r.runtime.Workers(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	i := slices.IndexFunc(workers, func(w *runtimev1.Worker) bool { return w.GetId() == r.honest.GetId() })
	if i < 0 || !proto.Equal(workers[i], r.honest) {
		r.t.Errorf("the honest worker was %v; the workers are %v", r.honest, workers)
	}
}

// record is a first record of a counter with any fence.
func record(typ, id string, fence *runtimev1.Fence) *runtimev1.Record {
	data, _ := proto.Marshal(&myactorv1.MyActorState{Counter: 666})
	return &runtimev1.Record{
		Actor: &runtimev1.Actor{Type: typ, Id: id}, Fence: fence,
		Identity: &runtimev1.Identity{Activation: 666, Sequence: 1},
		Message:  "myactor.v1.MyActorState", Data: data,
	}
}

// A worker reads and writes only by a fence that is its own: every other one, in
// whatever way it is wrong, is a stale epoch.
func TestARogueHasNoRightToOthersActors(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	theirs, mine := r.shardOf("myactor", victim), r.shardOf(ownType, victim)
	fences := map[string]struct {
		typ   string
		shard uint32
		epoch uint64
	}{
		"the owner's":                {"myactor", theirs.GetShard(), theirs.GetEpoch()},
		"a past epoch":               {"myactor", theirs.GetShard(), theirs.GetEpoch() - 1},
		"no epoch":                   {"myactor", theirs.GetShard(), 0},
		"the next epoch":             {"myactor", theirs.GetShard(), theirs.GetEpoch() + 1},
		"the last epoch":             {"myactor", theirs.GetShard(), math.MaxUint64},
		"another shard of theirs":    {"myactor", (theirs.GetShard() + 1) % placement.Shards, theirs.GetEpoch()},
		"no shard of theirs":         {"myactor", placement.Shards, theirs.GetEpoch()},
		"its own past epoch":         {ownType, mine.GetShard(), mine.GetEpoch() - 1},
		"its own future epoch":       {ownType, mine.GetShard(), mine.GetEpoch() + 1},
		"another shard of its own":   {ownType, (mine.GetShard() + 1) % placement.Shards, mine.GetEpoch()},
		"no shard of its own":        {ownType, math.MaxUint32, mine.GetEpoch()},
		"a type that nobody serves":  {"nobodys", mine.GetShard(), mine.GetEpoch()},
		"a type in another spelling": {"MyActor", theirs.GetShard(), theirs.GetEpoch()},
	}
	for name, f := range fences {
		fence := &runtimev1.Fence{Shard: f.shard, Epoch: f.epoch}
		read := &runtimev1.LoadRequest_Read{Actor: &runtimev1.Actor{Type: f.typ, Id: victim}, Fence: fence}
		loaded, err := r.calls.Load(r.ctx(), &runtimev1.LoadRequest{Reads: []*runtimev1.LoadRequest_Read{read}})
		if err != nil || len(loaded.GetResults()) != 1 || loaded.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH || loaded.GetResults()[0].GetState() != nil {
			t.Errorf("a read by %s: %v, %v", name, loaded, err)
		}
		committed, err := r.calls.Commit(r.ctx(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{record(f.typ, victim, fence)}})
		if err != nil || len(committed.GetResults()) != 1 || committed.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH {
			t.Errorf("a record by %s: %v, %v", name, committed, err)
		}
	}
	r.unharmed()
}

// What is refused fails no neighbour in the same request.
func TestARefusedRecordHarmsNoNeighbour(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	theirs, mine := r.shardOf("myactor", victim), r.shardOf(ownType, "own")
	own := record(ownType, "own", &runtimev1.Fence{Shard: mine.GetShard(), Epoch: mine.GetEpoch()})
	other := record("myactor", victim, &runtimev1.Fence{Shard: theirs.GetShard(), Epoch: theirs.GetEpoch()})
	res, err := r.calls.Commit(r.ctx(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{other, own}})
	if err != nil || res.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH || res.GetResults()[1].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
		t.Errorf("answered %v, %v", res, err)
	}
	r.unharmed()
}

// A release by somebody else changes nothing, and says who owns the shard.
func TestARogueReleasesNothingOfOthers(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	theirs := r.shardOf("myactor", victim)
	for _, epoch := range []uint64{theirs.GetEpoch(), theirs.GetEpoch() + 1, 0, math.MaxUint64} {
		res, err := r.calls.Release(r.ctx(), &runtimev1.ReleaseRequest{Releases: []*runtimev1.ReleaseRequest_Release{
			{Type: "myactor", Fence: &runtimev1.Fence{Shard: theirs.GetShard(), Epoch: epoch}},
		}})
		if err != nil || len(res.GetShards()) != 1 || !proto.Equal(res.GetShards()[0], theirs) {
			t.Errorf("released at epoch %d: %v, %v; want %v", epoch, res, err, theirs)
		}
	}
	r.unharmed()
}

// refusals are requests that a worker's library never makes, and their codes.
var refusals = map[string]struct {
	call func(*rogue) error
	code connect.Code
	text string
}{
	"the address of a living worker": {
		announce(func(r *rogue, req *runtimev1.AnnounceRequest) { req.Address = r.honest.GetAddress() }),
		connect.CodeAlreadyExists, "answers at",
	},
	"another service for a type": {
		announce(func(r *rogue, req *runtimev1.AnnounceRequest) {
			req.Types[0].Name, req.Types[0].Files = "myactor", contractOf("evil.v1", "Evil", "myactor", nil)
		}),
		connect.CodeFailedPrecondition, "give one of the contracts another type",
	},
	"the service of another type": { // gateways find the type by it
		announce(func(_ *rogue, req *runtimev1.AnnounceRequest) {
			req.Types[0].Service, req.Types[0].Files = "myactor.v1.MyActor", contractOf("myactor.v1", "MyActor", ownType, nil)
		}),
		connect.CodeFailedPrecondition, "give this one a contract of its own",
	},
	"the contract of another type": {
		announce(func(_ *rogue, req *runtimev1.AnnounceRequest) {
			req.Types[0].Files = contractOf("evil.v1", "Evil", "myactor", nil)
		}),
		connect.CodeInvalidArgument, `is that of actor type "myactor"`,
	},
	"two types by one contract": {
		announce(func(_ *rogue, req *runtimev1.AnnounceRequest) {
			plain := contractOf("evil.v1", "Evil", ownType, func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Options = nil })
			req.Types[0].Files = plain
			req.Types = append(req.Types, &runtimev1.ActorType{Name: "second", Service: "evil.v1.Evil", Files: plain})
		}),
		connect.CodeInvalidArgument, "by one contract",
	},
	"no address":         {announceAddress(""), connect.CodeInvalidArgument, "not of the form host:port"},
	"an address of NUL":  {announceAddress("\x00:1"), connect.CodeInvalidArgument, "address"},
	"no port":            {announceAddress("127.0.0.1"), connect.CodeInvalidArgument, "not of the form host:port"},
	"port 0":             {announceAddress("127.0.0.1:0"), connect.CodeInvalidArgument, "no port between"},
	"everywhere":         {announceAddress("[::]:1"), connect.CodeInvalidArgument, "not where others reach it"},
	"an endless address": {announceAddress(strings.Repeat("a", 1<<20) + ":1"), connect.CodeInvalidArgument, "not of the form host:port"},
	"a type twice":       {announce(func(_ *rogue, req *runtimev1.AnnounceRequest) { req.Types = append(req.Types, req.GetTypes()[0]) }), connect.CodeInvalidArgument, "announced twice"},
	"an empty type":      {announceType(""), connect.CodeInvalidArgument, "the actor type is empty"},
	"a type with a path": {announceType("../myactor"), connect.CodeInvalidArgument, "has the character '/'"},
	"a long type":        {announceType(strings.Repeat("a", 129)), connect.CodeInvalidArgument, "at most 128"},
	"1,025 types": {announce(func(_ *rogue, req *runtimev1.AnnounceRequest) {
		req.Types = make([]*runtimev1.ActorType, 1025)
		fill(req.GetTypes())
	}), connect.CodeInvalidArgument, "1025 actor types"},
	"no descriptors":       {announceFiles(nil), connect.CodeInvalidArgument, "is missing"},
	"empty descriptors":    {announceFiles(&descriptorpb.FileDescriptorSet{}), connect.CodeInvalidArgument, "lacks the service"},
	"an import that lacks": {announceFiles(evil(func(f *descriptorpb.FileDescriptorProto) { f.Dependency = []string{"nowhere.proto"} })), connect.CodeInvalidArgument, "damaged or incomplete"},
	"an import of itself":  {announceFiles(evil(func(f *descriptorpb.FileDescriptorProto) { f.Dependency = []string{f.GetName()} })), connect.CodeInvalidArgument, "damaged or incomplete"},
	"a file twice":         {announceFiles(&descriptorpb.FileDescriptorSet{File: append(evil(nil).GetFile(), evil(nil).GetFile()...)}), connect.CodeInvalidArgument, "damaged or incomplete"},
	"no such syntax":       {announceFiles(evil(func(f *descriptorpb.FileDescriptorProto) { f.Syntax = proto.String("proto9") })), connect.CodeInvalidArgument, "damaged or incomplete"},
	"no such message": {announceFiles(evil(func(f *descriptorpb.FileDescriptorProto) {
		f.Service[0].Method[0].InputType = proto.String(".evil.v1.None")
	})), connect.CodeInvalidArgument, "damaged or incomplete"},
	"a message as service": {announce(func(_ *rogue, req *runtimev1.AnnounceRequest) {
		req.Types[0].Service, req.Types[0].Files = "evil.v1.Message", evil(nil)
	}), connect.CodeInvalidArgument, "which is no service"},
	"messages in messages": {announceFiles(evil(func(f *descriptorpb.FileDescriptorProto) {
		for range 5000 {
			f.MessageType[0] = &descriptorpb.DescriptorProto{Name: proto.String("M"), NestedType: slices.Clone(f.GetMessageType())}
		}
	})), connect.CodeInvalidArgument, ""},

	"1,025 reads":             {load(make([]*runtimev1.LoadRequest_Read, 1025)...), connect.CodeInvalidArgument, "1025 reads"},
	"a read of nothing":       {load(&runtimev1.LoadRequest_Read{}), connect.CodeInvalidArgument, "the actor type is empty"},
	"a read without id":       {load(&runtimev1.LoadRequest_Read{Actor: &runtimev1.Actor{Type: ownType}}), connect.CodeInvalidArgument, "the actor id is empty"},
	"1,025 records":           {commit(make([]*runtimev1.Record, 1025)...), connect.CodeInvalidArgument, "1025 records"},
	"an actor twice":          {commit(record(ownType, "a", nil), record(ownType, "a", nil)), connect.CodeInvalidArgument, "at most one record of an actor"},
	"a record without id":     {commit(record(ownType, "", nil)), connect.CodeInvalidArgument, "the actor id is empty"},
	"a long id":               {commit(record(ownType, strings.Repeat("a", 513), nil)), connect.CodeInvalidArgument, "at most 512"},
	"a control character":     {commit(record(ownType, "a\x00", nil)), connect.CodeInvalidArgument, "control character"},
	"no identity":             {commit(changed(func(r *runtimev1.Record) { r.Identity = nil })), connect.CodeInvalidArgument, "identity"},
	"half a base":             {commit(changed(func(r *runtimev1.Record) { r.Base = &runtimev1.Identity{Activation: 1} })), connect.CodeInvalidArgument, "half an identity"},
	"a base after it":         {commit(changed(func(r *runtimev1.Record) { r.Base = &runtimev1.Identity{Activation: 666, Sequence: 9} })), connect.CodeInvalidArgument, "not before it"},
	"data of no message":      {commit(changed(func(r *runtimev1.Record) { r.Message = "" })), connect.CodeInvalidArgument, "no message"},
	"too large a state":       {commit(changed(func(r *runtimev1.Record) { r.Data = make([]byte, 1<<20+1) })), connect.CodeResourceExhausted, "at most 1048576"},
	"too long a message name": {commit(changed(func(r *runtimev1.Record) { r.Message = strings.Repeat("a", 1<<20) })), connect.CodeInvalidArgument, "name"},
	"too large a request":     {commit(changed(func(r *runtimev1.Record) { r.Data = make([]byte, 5<<20) })), connect.CodeResourceExhausted, ""},

	"4,097 releases": {func(r *rogue) error {
		_, err := r.calls.Release(r.ctx(), &runtimev1.ReleaseRequest{Releases: make([]*runtimev1.ReleaseRequest_Release, 4097)})
		return err
	}, connect.CodeInvalidArgument, "4097 releases"},
	"no certificate request":        {certify(nil), connect.CodeInvalidArgument, "certificate request"},
	"a damaged certificate request": {certify([]byte("\x30\x82\xff\xff")), connect.CodeInvalidArgument, "certificate request"},
	"a cursor of a megabyte": {func(r *rogue) error {
		res, err := r.calls.Watch(r.ctx(), &runtimev1.WatchRequest{Cursor: strings.Repeat("9", 1<<20)})
		if err == nil && !res.GetComplete() {
			return fmt.Errorf("answered %v", res)
		}
		return err
	}, 0, ""},
}

func announce(change func(*rogue, *runtimev1.AnnounceRequest)) func(*rogue) error {
	return func(r *rogue) error {
		req := announcement(ownAddress)
		change(r, req)
		_, err := r.calls.Announce(r.ctx(), req)
		return err
	}
}

func announceAddress(address string) func(*rogue) error {
	return announce(func(_ *rogue, req *runtimev1.AnnounceRequest) { req.Address = address })
}

func announceType(name string) func(*rogue) error {
	return announce(func(_ *rogue, req *runtimev1.AnnounceRequest) { req.Types[0].Name = name })
}

func announceFiles(files *descriptorpb.FileDescriptorSet) func(*rogue) error {
	return announce(func(_ *rogue, req *runtimev1.AnnounceRequest) {
		req.Types[0].Service, req.Types[0].Files = "evil.v1.Evil", files
	})
}

func fill(types []*runtimev1.ActorType) {
	for i := range types {
		types[i] = &runtimev1.ActorType{}
	}
}

// announcement is the rogue's own type by its own contract.
func announcement(address string) *runtimev1.AnnounceRequest {
	return &runtimev1.AnnounceRequest{
		Address: address,
		Types:   []*runtimev1.ActorType{{Name: ownType, Service: "evil.v1.Evil", Files: evil(nil)}},
	}
}

// evil is a contract that differs from a good one as it is told.
func evil(change func(*descriptorpb.FileDescriptorProto)) *descriptorpb.FileDescriptorSet {
	return contractOf("evil.v1", "Evil", ownType, change)
}

// contractOf is the contract of any actor type, with one method.
func contractOf(pkg, service, typ string, change func(*descriptorpb.FileDescriptorProto)) *descriptorpb.FileDescriptorSet {
	options := &descriptorpb.ServiceOptions{}
	proto.SetExtension(options, francisv1.E_Actor, &francisv1.ActorOptions{Type: &typ})
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("evil.proto"), Package: &pkg, Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Message")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: &service, Options: options,
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String("Increment"), InputType: proto.String("." + pkg + ".Message"), OutputType: proto.String("." + pkg + ".Message"),
			}},
		}},
	}
	if change != nil {
		change(file)
	}
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}}
}

func load(reads ...*runtimev1.LoadRequest_Read) func(*rogue) error {
	return func(r *rogue) error {
		_, err := r.calls.Load(r.ctx(), &runtimev1.LoadRequest{Reads: reads})
		return err
	}
}

func commit(records ...*runtimev1.Record) func(*rogue) error {
	return func(r *rogue) error {
		_, err := r.calls.Commit(r.ctx(), &runtimev1.CommitRequest{Records: records})
		return err
	}
}

func changed(change func(*runtimev1.Record)) *runtimev1.Record {
	r := record(ownType, "a", nil)
	change(r)
	return r
}

func certify(csr []byte) func(*rogue) error {
	return func(r *rogue) error {
		_, err := r.calls.Certify(r.ctx(), &runtimev1.CertifyRequest{Csr: csr})
		return err
	}
}

// T23: each refusal has its code, says what is wrong, and has no effect on others.
func TestARogueIsRefusedByName(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	for name, refusal := range refusals {
		err := refusal.call(r)
		switch {
		case refusal.code == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case refusal.code != 0 && (connect.CodeOf(err) != refusal.code || err == nil || !strings.Contains(err.Error(), refusal.text)):
			t.Errorf("%s: %.300v; want %v: … %s", name, err, refusal.code, refusal.text)
		}
	}
	r.unharmed()
}

// A renewed certificate names who asked for it, whatever the request says.
func TestARogueStaysWhoItIs(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.calls.Certify(r.ctx(), &runtimev1.CertifyRequest{Csr: request.CSR()})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := request.Certificate(answer.GetCertificate())
	if err != nil || certificate.Identity() != (pki.Identity{Cluster: r.cfg.Cluster, Role: pki.RoleWorker, ID: r.id}) {
		t.Errorf("certified as %v, %v", certificate.Identity(), err)
	}
}

// Who has left holds nothing any more, and gets no new certificate.
func TestARogueThatHasLeftIsDead(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	mine := r.shardOf(ownType, "own")
	own := record(ownType, "own", &runtimev1.Fence{Shard: mine.GetShard(), Epoch: mine.GetEpoch()})
	if _, err := r.calls.Leave(r.ctx(), &runtimev1.LeaveRequest{}); err != nil {
		t.Fatal(err)
	}
	if res, err := r.calls.Renew(r.ctx(), &runtimev1.RenewRequest{}); err != nil || !res.GetDead() {
		t.Errorf("renewed %v, %v", res, err)
	}
	if res, err := r.calls.Commit(r.ctx(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{own}}); err != nil || res.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH {
		t.Errorf("committed %v, %v", res, err)
	}
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(*rogue) error{
		"certify":  certify(request.CSR()),
		"announce": announce(func(*rogue, *runtimev1.AnnounceRequest) {}),
		"watch": func(r *rogue) error {
			_, err := r.calls.Watch(r.ctx(), &runtimev1.WatchRequest{})
			return err
		},
	} {
		if err := call(r); connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "join again") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.unharmed()
}

// Floods of requests that cost the caller nothing leave the others alone.
func TestARogueFloods(t *testing.T) {
	t.Parallel()
	r := startRogue(t)
	ctx, stop := context.WithCancel(r.ctx())
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop()
	for range 16 {
		flood.Go(func() {
			for ctx.Err() == nil {
				_, _ = r.calls.Renew(ctx, &runtimev1.RenewRequest{Release: "rogue"})
			}
		})
		flood.Go(func() {
			for ctx.Err() == nil {
				_, _ = r.calls.Watch(ctx, &runtimev1.WatchRequest{Cursor: "of nobody"}) // the whole table
			}
		})
	}
	const calls = 200
	for i := range int32(calls) {
		r.increment("flooded", 1, i+1)
	}
	stop()
	flood.Wait()
	r.unharmed()
}
