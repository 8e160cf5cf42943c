package francistest

import (
	"context"
	"sync"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// worker is the only member of a solo cluster, and epoch the only one of its shards.
const (
	worker = "solo"
	epoch  = 1
)

// solo is a cluster of one worker that keeps the state of its actors for as long as
// the process lives.
type solo struct {
	// types answers for the host, which is made after its cluster.
	types func() []string

	mu     sync.Mutex
	actors map[key]*runtimev1.State
}

type key struct{ typ, id string }

func keyOf(a *runtimev1.Actor) key { return key{a.GetType(), a.GetId()} }

func (*solo) Worker() string { return worker }

func (*solo) AwaitTable(context.Context) error { return nil }

func (s *solo) Types() []string { return s.types() }

// entry is what the table of a solo cluster says of every shard.
var entry = &runtimev1.Shard{Epoch: epoch, Worker: worker}

func (*solo) Entry(string, uint32) *runtimev1.Shard { return entry }

// Await waits for an owner that never comes: the solo worker keeps its shards.
func (*solo) Await(ctx context.Context, _ string, _ uint32, wanted uint64) error {
	if wanted <= epoch {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (*solo) Active() bool { return true }

func (*solo) Pass(context.Context) error { return nil }

func (*solo) Forward(context.Context, string, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	return nil, host.ErrUnsent
}

func (s *solo) Load(_ context.Context, read *runtimev1.LoadRequest_Read) (*runtimev1.LoadResponse_Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &runtimev1.LoadResponse_Result{
		Verdict: runtimev1.Verdict_VERDICT_APPLIED, State: s.actors[keyOf(read.GetActor())],
	}, nil
}

func (s *solo) Commit(record *runtimev1.Record, answered func(*runtimev1.CommitResponse_Result, error)) {
	answered(s.commit(record), nil)
}

func (s *solo) commit(record *runtimev1.Record) *runtimev1.CommitResponse_Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := keyOf(record.GetActor())
	have := s.actors[k]
	if !same(have.GetIdentity(), record.GetBase()) {
		return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_STALE_BASE}
	}
	if s.actors == nil {
		s.actors = map[key]*runtimev1.State{}
	}
	next := &runtimev1.State{
		Identity: record.GetIdentity(), Version: have.GetVersion() + 1, Message: record.GetMessage(), Data: record.GetData(),
	}
	s.actors[k] = next
	return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED, Version: next.GetVersion()}
}

func same(a, b *runtimev1.Identity) bool {
	return a.GetActivation() == b.GetActivation() && a.GetSequence() == b.GetSequence()
}
