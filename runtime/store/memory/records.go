package memory

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// Load implements store.Records.
func (s *Store) Load(ctx context.Context, worker string, reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	results := make([]*runtimev1.LoadResponse_Result, len(reads))
	for i, read := range reads {
		results[i] = s.load(worker, read)
	}
	return results, nil
}

func (s *Store) load(worker string, read *runtimev1.LoadRequest_Read) *runtimev1.LoadResponse_Result {
	if !s.table.Owns(worker, read.GetActor(), read.GetFence()) {
		return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_STALE_EPOCH}
	}
	row := s.actors[keyOf(read.GetActor())]
	result := &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}
	if digest := read.GetRecall(); len(digest) > 0 {
		result.Keys = row.recall(digest, s.now())
		return result
	}
	result.Keys, result.State = row.heads(s.now()), row.answer(s.now())
	return result
}

// answer is the state of an actor at a time, which is there also when it says nothing.
func (r row) answer(now time.Time) *runtimev1.State {
	if r.state == nil {
		return &runtimev1.State{}
	}
	return store.Times{Expires: r.expires}.Live(r.state, now)
}

// Commit implements store.Records.
func (s *Store) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	if err := store.CheckRecords(records); err != nil {
		return nil, store.Moved{}, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, store.Moved{}, err
	}
	defer s.mu.Unlock()
	results := make([]*runtimev1.CommitResponse_Result, len(records))
	work := s.workOf(records)
	applied := false
	for i, record := range records {
		results[i] = s.commit(worker, record, work)
		applied = applied || results[i].GetVerdict() == runtimev1.Verdict_VERDICT_APPLIED
	}
	if applied {
		s.keep(work.Draft())
		s.table.Cluster.Counter++
	}
	return results, store.Moved{Moves: work.Moves(), Point: s.table.Cluster.Point()}, nil
}

func (s *Store) commit(worker string, record *runtimev1.Record, work *tasks.Work) *runtimev1.CommitResponse_Result {
	if !s.table.Owns(worker, record.GetActor(), record.GetFence()) {
		return &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_STALE_EPOCH}
	}
	key := keyOf(record.GetActor())
	state := s.actors[key].state
	verdict := store.Judge(state.GetIdentity(), record)
	if verdict == runtimev1.Verdict_VERDICT_APPLIED {
		verdict, _ = work.Judge(record) // memory does not fail
	}
	switch verdict {
	case runtimev1.Verdict_VERDICT_APPLIED:
		s.put(key, s.after(s.actors[key], record))
		return &runtimev1.CommitResponse_Result{Verdict: verdict, Version: state.GetVersion() + 1}
	case runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
		return &runtimev1.CommitResponse_Result{Verdict: verdict, Version: state.GetVersion()}
	default:
		return &runtimev1.CommitResponse_Result{Verdict: verdict}
	}
}

// after is the row that a record leaves.
func (s *Store) after(have row, record *runtimev1.Record) row {
	now := s.now()
	next := row{
		state: store.After(record, have.state.GetVersion()+1), keys: have.remember(record, now),
		expires: store.TimesAfter(record, store.Times{}, now).Expires,
	}
	next.state.Identity = proto.CloneOf(record.GetIdentity())
	if record.GetMessage() == "" {
		next.emptied = now
	}
	return next
}

// Forget implements store.Members.
func (s *Store) Forget(ctx context.Context, age time.Duration) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	now := s.now()
	before := now.Add(-age)
	s.table.Apply(s.table.Forget(before))
	forgotten := s.forgetActors(before, now)
	if forgotten > 0 {
		s.table.Cluster.Counter++
	}
	return forgotten == forgetAtOnce, nil
}

// forgetActors takes states that have expired, and drops identities of actors without state
// and keys. It returns how many.
func (s *Store) forgetActors(before, now time.Time) int {
	forgotten := 0
	for key, row := range s.actors {
		if forgotten == forgetAtOnce {
			break
		}
		if (store.Times{Expires: row.expires}).Expired(now) {
			row.state, row.emptied, row.expires = store.Emptied(row.state), now, 0
			s.actors[key] = row
			forgotten++
			continue
		}
		if !row.emptied.IsZero() && row.emptied.Before(before) && len(row.live(now)) == 0 {
			s.drop(key)
			forgotten++
		}
	}
	return forgotten
}

func keyOf(actor *runtimev1.Actor) actorKey {
	return actorKey{typ: actor.GetType(), id: actor.GetId()}
}

var (
	_ store.Store    = (*Store)(nil)
	_ cluster.Driver = shell{}
)
