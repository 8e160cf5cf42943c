package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// harness is an engine that runs, and workers of it.
type harness struct {
	*Engine
	t    *testing.T
	stop func() error
}

// start runs an engine, over a new memory store if the config has none, until the
// test ends or stops it.
func start(t *testing.T, cfg Config) *harness {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = memory.New()
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return &harness{Engine: e, t: t, stop: stop}
}

// member is a worker that has joined, and what it knows.
type member struct {
	*Worker
	h      *harness
	table  *placement.Table
	cursor string
	quiet  context.CancelFunc
}

// admit joins a worker and renews its lease until it is silenced.
func (h *harness) admit() *member {
	h.t.Helper()
	membership, err := h.Admit(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, quiet := context.WithCancel(h.t.Context())
	m := &member{Worker: h.Worker(membership.WorkerID), h: h, table: new(placement.Table), quiet: quiet}
	go func() {
		for deadline.Sleep(ctx, lease.Interval(membership.Lease)) {
			_, _ = m.Renew(ctx, &runtimev1.RenewRequest{})
		}
	}()
	return m
}

// join joins a worker that serves types.
func (h *harness) join(types ...string) *member {
	h.t.Helper()
	m := h.admit()
	if _, err := m.Announce(h.t.Context(), announcement(m.id+":1", types...)); err != nil {
		h.t.Fatal(err)
	}
	return m
}

func announcement(address string, types ...string) *runtimev1.AnnounceRequest {
	req := &runtimev1.AnnounceRequest{Address: address}
	for _, typ := range types {
		req.Types = append(req.Types, actorType(typ))
	}
	return req
}

// watch takes over what has changed, once, and waits for it if need be.
func (m *member) watch() *runtimev1.WatchResponse {
	m.h.t.Helper()
	answer, err := m.Watch(m.h.t.Context(), &runtimev1.WatchRequest{Cursor: m.cursor})
	if err != nil {
		m.h.t.Fatal(err)
	}
	m.cursor, m.table = answer.GetCursor(), m.table.Merge(answer)
	return answer
}

// look takes over everything that is known once the engine has come to rest.
func (m *member) look() {
	m.h.t.Helper()
	synctest.Wait()
	m.cursor = ""
	m.watch()
}

// owned are the shards of a type that a worker owns, and moving those of them that
// it is to release.
func (m *member) owned(typ string) (owned, moving []*runtimev1.Shard) {
	for _, shard := range m.table.Shards(typ) {
		if shard.GetWorker() == m.id {
			owned = append(owned, shard)
			if shard.GetNext() != "" {
				moving = append(moving, shard)
			}
		}
	}
	return owned, moving
}

func (m *member) release(req *runtimev1.ReleaseRequest) []*runtimev1.Shard {
	m.h.t.Helper()
	answer, err := m.Release(m.h.t.Context(), req)
	if err != nil {
		m.h.t.Fatal(err)
	}
	return answer.GetShards()
}

func releases(shards []*runtimev1.Shard) *runtimev1.ReleaseRequest {
	req := &runtimev1.ReleaseRequest{}
	for _, shard := range shards {
		req.Releases = append(req.Releases, &runtimev1.ReleaseRequest_Release{
			Type: shard.GetType(), Fence: &runtimev1.Fence{Shard: shard.GetShard(), Epoch: shard.GetEpoch()},
		})
	}
	return req
}

// expectError checks code and reason of an error, and that it has a detail at all.
func expectError(t *testing.T, err error, code connect.Code, reason francisv1.Reason) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", code)
	}
	coded, ok := errors.AsType[*connect.Error](err)
	if !ok {
		t.Fatalf("uncoded error %v", err)
	}
	detail := fault.Detail(err)
	if coded.Code() != code || detail == nil || detail.GetReason() != reason {
		t.Errorf("got %v %v (%v), want %v %v", coded.Code(), detail.GetReason(), err, code, reason)
	}
	if detail.GetOutcome() == francisv1.Outcome_OUTCOME_UNSPECIFIED {
		t.Errorf("the error does not say what happened: %v", err)
	}
}

// broken is a store of which methods fail while err is set.
type broken struct {
	store.Store
	mu  sync.Mutex
	err error
	// blocks is closed to let Commit go on; nil lets it pass.
	blocks chan struct{}
	failed chan struct{}
}

func newBroken() *broken {
	return &broken{Store: memory.New(), failed: make(chan struct{})}
}

func (b *broken) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *broken) fault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *broken) Failed() <-chan struct{} { return b.failed }

func (b *broken) Assign(ctx context.Context, assignments []store.Assignment) (store.Placed, error) {
	if err := b.fault(); err != nil {
		return store.Placed{}, err
	}
	return b.Store.Assign(ctx, assignments)
}

func (b *broken) Workers(ctx context.Context) ([]store.Member, error) {
	if err := b.fault(); err != nil {
		return nil, err
	}
	return b.Store.Workers(ctx)
}

func (b *broken) Beat(ctx context.Context, worker string) error {
	if err := b.fault(); err != nil {
		return err
	}
	return b.Store.Beat(ctx, worker)
}

// Release happens, and its answer is lost.
func (b *broken) Release(ctx context.Context, worker string, releases []*runtimev1.ReleaseRequest_Release) (store.Placed, error) {
	placed, err := b.Store.Release(ctx, worker, releases)
	if broken := b.fault(); broken != nil {
		return store.Placed{}, broken
	}
	return placed, err
}

func (b *broken) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	if b.blocks != nil {
		<-b.blocks
	}
	return b.Store.Commit(ctx, worker, records)
}

// seconds is a time in a bubble, since a start.
func seconds(since time.Time) float64 { return time.Since(since).Seconds() }

// actorType is a type with a contract of its own.
func actorType(name string) *runtimev1.ActorType { return actorTypeOf(name, "test."+name+".Service") }

func actorTypeOf(name, service string) *runtimev1.ActorType {
	dot := len(service) - len(".Service")
	file := &descriptorpb.FileDescriptorProto{
		Name: &name, Package: new(service[:dot]), Syntax: new("proto3"),
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("Service")}},
	}
	files := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}}
	if _, err := protodesc.NewFiles(files); err != nil {
		panic(err)
	}
	return &runtimev1.ActorType{Name: name, Service: service, Files: files}
}
