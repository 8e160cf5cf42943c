package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	// million is how many actors lie in the file.
	million = 1_000_000
	// counters is the type of the actors.
	counters = "myactor"
	// bulk is how many of them one commit writes.
	bulk = 4096
)

// storedID names a stored actor; it has counted to its number and 1.
func storedID(n int) string { return fmt.Sprintf("stored-%07d", n) }

// stored is a file with actors, which is made once. Rows that use it change no actor.
func (l *lab) stored(ctx context.Context) (place, error) {
	if l.million == "" {
		path := l.newPath("million.db")
		if err := l.fillPlace(ctx, path); err != nil {
			return "", err
		}
		l.million = path
	}
	return l.million, nil
}

// storedInPostgreSQL is a database with the same actors, which is made once.
func (l *lab) storedInPostgreSQL(ctx context.Context) (place, error) {
	if l.millionRows == "" {
		database, err := l.newDatabase(ctx)
		if err != nil {
			return "", err
		}
		if err := l.fillPlace(ctx, database); err != nil {
			return "", err
		}
		l.millionRows = database
	}
	return l.millionRows, nil
}

func (l *lab) fillPlace(ctx context.Context, at place) error {
	kept, err := at.open(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(ctx, kept, l.cfg.stored), kept.Close()); err != nil {
		return fmt.Errorf("store %d actors: %w", l.cfg.stored, err)
	}
	return nil
}

// fill writes actors in the name of a worker that is gone afterwards.
func fill(ctx context.Context, kept store.Store, count int) error {
	const writer = "writer"
	if _, err := kept.AddWorker(ctx, &runtimev1.Worker{Id: writer}); err != nil {
		return err
	}
	epochs, err := own(ctx, kept, writer)
	if err != nil {
		return err
	}
	for n := 0; n < count; {
		var records []*runtimev1.Record
		for ; n < count && len(records) < bulk; n++ {
			record, err := newRecord(n, epochs)
			if err != nil {
				return err
			}
			records = append(records, record)
		}
		results, _, err := kept.Commit(ctx, writer, records)
		if err != nil {
			return err
		}
		for _, res := range results {
			if res.GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
				return fmt.Errorf("the store says %v", res.GetVerdict())
			}
		}
	}
	_, _, err = kept.Evict(ctx, writer, nil)
	return err
}

// own gives all counters to a worker; it returns the epochs of their shards.
func own(ctx context.Context, kept store.Store, worker string) (map[uint32]uint64, error) {
	typ := &runtimev1.ActorType{Name: counters, Service: "myactor.v1.MyActor"}
	_, placed, err := kept.RegisterType(ctx, typ, placement.Shards)
	if err != nil {
		return nil, err
	}
	var assignments []store.Assignment
	for _, s := range placed.Shards {
		assignments = append(assignments, store.Assignment{Type: s.GetType(), Shard: s.GetShard(), Epoch: s.GetEpoch(), Worker: worker})
	}
	if placed, err = kept.Assign(ctx, assignments); err != nil {
		return nil, err
	}
	epochs := map[uint32]uint64{}
	for _, s := range placed.Shards {
		epochs[s.GetShard()] = s.GetEpoch()
	}
	return epochs, nil
}

// newRecord is the first record of a stored actor.
func newRecord(n int, epochs map[uint32]uint64) (*runtimev1.Record, error) {
	state := &myactorv1.MyActorState{Counter: int32(n + 1)}
	data, err := proto.Marshal(state)
	shard := placement.ShardOf(storedID(n), placement.Shards)
	return &runtimev1.Record{
		Actor:    &runtimev1.Actor{Type: counters, Id: storedID(n)},
		Fence:    &runtimev1.Fence{Shard: shard, Epoch: epochs[shard]},
		Identity: &runtimev1.Identity{Activation: uint64(n + 1), Sequence: 1},
		Message:  string(proto.MessageName(state)), Data: data,
	}, err
}
