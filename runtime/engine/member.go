package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/runtime/store"
)

// Membership is what a worker is given when it joins.
type Membership struct {
	// WorkerID is fresh and random, and never given again.
	WorkerID string
	// Lease is how long the worker may run, counted from when it sent the request to
	// join.
	Lease time.Duration
}

// Admit makes a new worker a member. It owns nothing until it has announced what it
// serves, and is declared dead like any other when it does not renew its lease.
func (e *Engine) Admit(ctx context.Context) (Membership, error) {
	if err := e.gate.enter(); err != nil {
		return Membership{}, err
	}
	defer e.gate.leave()
	worker := &runtimev1.Worker{Id: e.newID(), Lease: durationpb.New(e.cfg.Lease)}
	counter, err := e.store.AddWorker(ctx, worker)
	if err != nil {
		return Membership{}, e.coded(worker.GetId(), fmt.Errorf("admit a worker: %w", err))
	}
	e.merge(placement.Change{Counter: uint64(counter), Workers: []*runtimev1.Worker{worker}})
	e.log.Info("a worker has joined", "worker", worker.GetId())
	return Membership{WorkerID: worker.GetId(), Lease: e.cfg.Lease}, nil
}

// announce makes known what a worker serves, and where.
func (e *Engine) announce(ctx context.Context, id string, req *runtimev1.AnnounceRequest) error {
	if err := e.check(req); err != nil {
		return err
	}
	if err := e.await(ctx); err != nil {
		return err
	}
	if err := e.checkAddress(ctx, id, req.GetAddress()); err != nil {
		return err
	}
	if err := e.announcing.take(ctx); err != nil {
		return err
	}
	defer e.announcing.give()
	if err := checkServices(e.board.table(), id, req.GetTypes()); err != nil {
		return err
	}
	if err := e.listWorker(ctx, id, req); err != nil {
		return err
	}
	return e.listTypes(ctx, req.GetTypes())
}

// listWorker goes before listTypes: it proves that the worker lives.
func (e *Engine) listWorker(ctx context.Context, id string, req *runtimev1.AnnounceRequest) error {
	names := make([]string, len(req.GetTypes()))
	for i, typ := range req.GetTypes() {
		names[i] = typ.GetName()
	}
	slices.Sort(names)
	worker := &runtimev1.Worker{Id: id, Address: req.GetAddress(), Types: names, Lease: e.board.table().Worker(id).GetLease()}
	counter, err := e.store.Announce(ctx, worker)
	if err != nil {
		return e.doubted(err)
	}
	if e.merge(placement.Change{Counter: uint64(counter), Workers: []*runtimev1.Worker{worker}}) {
		e.log.Info("a worker has announced what it serves", "worker", id, "address", worker.GetAddress(), "types", worker.GetTypes())
	}
	return nil
}

func (e *Engine) listTypes(ctx context.Context, types []*runtimev1.ActorType) error {
	for _, typ := range types {
		registered, placed, err := e.store.RegisterType(ctx, typ, placement.Shards)
		if err != nil {
			return e.doubted(err)
		}
		change := shardsOf(placed)
		change.Types = []*runtimev1.ActorType{registered.Type}
		e.merge(change)
	}
	return nil
}

// checkAddress refuses an address at which another worker answers. One that is
// listed there and does not answer is as good as dead: its lease runs out.
func (e *Engine) checkAddress(ctx context.Context, id, address string) error {
	if address == "" {
		return nil
	}
	table := e.board.table()
	for _, other := range table.Workers() {
		if other != id && table.Worker(other).GetAddress() == address && e.cfg.Probe(ctx, address, other) {
			return fault.AddressTaken(address, other)
		}
	}
	return nil
}

// release gives shards of a worker back. When nobody was to have them next, they get
// an owner at once, so that the answer names it.
func (e *Engine) release(ctx context.Context, id string, req *runtimev1.ReleaseRequest) ([]*runtimev1.Shard, error) {
	if n := len(req.GetReleases()); n > maxReleases {
		return nil, fault.TooMany("releases", n, maxReleases)
	}
	if err := e.await(ctx); err != nil {
		return nil, err
	}
	if req.GetLeaving() {
		if err := e.setLeaving(ctx, id); err != nil {
			return nil, err
		}
	}
	placed, err := e.store.Release(ctx, id, req.GetReleases())
	if err != nil {
		return nil, e.doubted(err)
	}
	e.tasks.released(id, req.GetReleases())
	e.merge(shardsOf(placed))
	if !slices.ContainsFunc(placed.Shards, unowned) {
		return placed.Shards, nil
	}
	return e.rehouse(ctx, placed.Shards)
}

// rehouse finds owners for shards that may have none, and returns the entries then.
func (e *Engine) rehouse(ctx context.Context, shards []*runtimev1.Shard) ([]*runtimev1.Shard, error) {
	if err := e.settle(ctx); err != nil {
		return nil, e.doubted(err)
	}
	table, now := e.board.table(), slices.Clone(shards)
	for i, shard := range now {
		if entry := table.Shard(shard.GetType(), shard.GetShard()); entry.GetEpoch() >= shard.GetEpoch() {
			now[i] = entry
		}
	}
	return now, nil
}

func unowned(shard *runtimev1.Shard) bool { return shard.GetWorker() == "" }

// setLeaving keeps new shards from a worker and finds a next owner for each that it
// owns.
func (e *Engine) setLeaving(ctx context.Context, id string) error {
	known := e.board.table().Worker(id)
	if known.GetLeaving() {
		return nil
	}
	placed, err := e.store.SetLeaving(ctx, id)
	if err != nil {
		return e.doubted(err)
	}
	change := shardsOf(placed)
	if known != nil {
		leaving := proto.CloneOf(known)
		leaving.Leaving = true
		change.Workers = []*runtimev1.Worker{leaving}
	}
	e.merge(change)
	e.log.Info("a worker leaves", "worker", id)
	return e.doubted(e.settle(ctx))
}

// leave ends a membership. What the worker still owned goes to others.
func (e *Engine) leave(ctx context.Context, id string) error {
	if err := e.await(ctx); err != nil {
		return err
	}
	heirs := assignments(e.board.table().Heirs(id, []string{id}))
	happened, placed, err := e.store.Evict(ctx, id, heirs)
	if err != nil {
		return e.doubted(err)
	}
	if happened {
		e.tasks.left(id)
		e.bury(id, placed)
		e.log.Info("a worker has left", "worker", id)
	}
	return nil
}

// alive returns whether a worker lives, as the store knows it.
func (e *Engine) alive(ctx context.Context, id string) error {
	members, err := e.store.Workers(ctx)
	if err != nil {
		return fmt.Errorf("read the workers: %w", err)
	}
	for _, worker := range living(members) {
		if worker.GetId() == id {
			return nil
		}
	}
	return store.ErrDead
}

// await returns when the board holds what the store does.
func (e *Engine) await(ctx context.Context) error {
	select {
	case <-e.loaded:
		return nil
	case <-e.gate.closing:
		return fault.RuntimeStopping()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// doubted notes that a change of placement failed, unless nothing happened for sure.
func (e *Engine) doubted(err error) error {
	if err != nil && !errors.Is(err, store.ErrDead) && !errors.Is(err, store.ErrInvalid) {
		e.doubt()
	}
	return err
}
