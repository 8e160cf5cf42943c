package francistest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/internal/core/limit"
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
	// deliver gives it what is due.
	deliver func(*runtimev1.Delivery)

	mu      sync.Mutex
	actors  map[key]*kept
	agendas map[key]*agenda
	// revision is the last one that a task was given.
	revision uint64
	// stopped is true once nothing is delivered any more.
	stopped bool
}

// kept is what is kept of an actor: its state, and the idempotency keys that it has
// seen.
type kept struct {
	state *runtimev1.State
	// expires is when the state expires; zero for never.
	expires time.Time
	keys    []keptKey
}

type keptKey struct {
	key   *runtimev1.Key
	since time.Time
}

type key struct{ typ, id string }

func keyOf(a *runtimev1.Actor) key { return key{a.GetType(), a.GetId()} }

func (*solo) Worker() string { return worker }

func (*solo) AwaitTable(context.Context) error { return nil }

func (s *solo) Types() []string { return s.types() }

// Contract knows of no other workers.
func (*solo) Contract(string) *contract.Contract { return nil }

func (s *solo) Serves(typ string) bool { return slices.Contains(s.types(), typ) }

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

func (*solo) ActiveForForwarded() bool { return true }

func (*solo) Pass(context.Context) error { return nil }

func (*solo) Forward(context.Context, string, *peerv1.InvokeRequest, *peerv1.InvokeResponse) error {
	return host.ErrUnsent
}

func (s *solo) Load(_ context.Context, read *runtimev1.LoadRequest_Read) (*runtimev1.LoadResponse_Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.kept(read.GetActor())
	res := &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}
	if len(read.GetRecall()) == 0 {
		res.State = have.live()
	}
	for _, k := range have.keys {
		switch age := time.Since(k.since); {
		case age >= keys.Life:
		case len(read.GetRecall()) == 0:
			res.Keys = append(res.Keys, &runtimev1.Key{Digest: k.key.GetDigest(), Request: k.key.GetRequest(), Age: durationpb.New(age)})
		case bytes.Equal(read.GetRecall(), k.key.GetDigest()):
			res.Keys = append(res.Keys, k.key)
		}
	}
	return res, nil
}

// kept is what is kept of an actor. The cluster is locked.
func (s *solo) kept(a *runtimev1.Actor) *kept {
	if have, ok := s.actors[keyOf(a)]; ok {
		return have
	}
	return &kept{}
}

// live is the state as it is now: of one that has expired the identity is left.
func (k *kept) live() *runtimev1.State {
	if k.expires.IsZero() {
		return k.state
	}
	live := &runtimev1.State{Identity: k.state.GetIdentity(), Version: k.state.GetVersion()}
	if left := time.Until(k.expires); left > 0 {
		live.Message, live.Data, live.ExpiresIn = k.state.GetMessage(), k.state.GetData(), durationpb.New(left)
	}
	return live
}

func (s *solo) Commit(from host.Sender) {
	if record := from.Seal(); record != nil {
		from.Answered(s.commit(record), nil)
	}
}

func (s *solo) commit(record *runtimev1.Record) *runtimev1.CommitResponse_Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.kept(record.GetActor())
	switch {
	case !same(have.state.GetIdentity(), record.GetBase()):
		return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_STALE_BASE}
	case s.superseded(record):
		return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_SUPERSEDED}
	case record.GetDeletes() && s.agenda(keyOf(record.GetActor())).size() > limit.MaxDeleted:
		return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_TOO_MANY_TASKS}
	}
	if s.actors == nil {
		s.actors = map[key]*kept{}
	}
	s.actors[keyOf(record.GetActor())] = have
	have.state = &runtimev1.State{
		Identity: proto.CloneOf(record.GetIdentity()), Version: have.state.GetVersion() + 1, Message: record.GetMessage(), Data: record.GetData(),
	}
	have.expires = time.Time{}
	if ttl := record.GetStateTtl(); ttl != nil {
		have.expires = time.Now().Add(ttl.AsDuration())
	}
	have.keep(record)
	s.plan(record)
	return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED, Version: have.state.GetVersion()}
}

// keep takes over the keys of a record.
func (k *kept) keep(record *runtimev1.Record) {
	now := time.Now()
	gone := func(have keptKey) bool {
		same := func(digest []byte) bool { return bytes.Equal(digest, have.key.GetDigest()) }
		return now.Sub(have.since) >= keys.Life || slices.ContainsFunc(record.GetForgotten(), same) ||
			slices.ContainsFunc(record.GetKeys(), func(next *runtimev1.Key) bool { return same(next.GetDigest()) })
	}
	if record.GetDeletes() {
		k.keys = nil
	}
	if len(record.GetKeys()) > 0 {
		k.keys = slices.DeleteFunc(k.keys, gone)
	}
	for _, key := range record.GetKeys() {
		k.keys = append(k.keys, keptKey{key, now})
	}
}

func same(a, b *runtimev1.Identity) bool {
	return a.GetActivation() == b.GetActivation() && a.GetSequence() == b.GetSequence()
}
