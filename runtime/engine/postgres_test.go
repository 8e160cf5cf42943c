package engine

import (
	"testing"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store/postgres"
)

// startOn runs an engine over a database.
func startOn(t *testing.T, database string) *harness {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{ConnectionString: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := start(t, Config{Store: s})
	t.Cleanup(func() { _ = h.stop() }) // before the store
	return h
}

// ownAll joins a worker that owns all shards of a type.
func (h *harness) ownAll(typ string) *member {
	h.t.Helper()
	m := h.join(typ)
	for owned := 0; owned < placement.Shards; {
		m.watch()
		shards, _ := m.owned(typ)
		owned = len(shards)
	}
	return m
}

// A server that has lost its latest commits, as after a failover to one that lagged behind,
// is found out by the first who shows one of them, to whichever engine, however far the
// history has come by then: everybody joins again, and nothing of before is accepted.
func TestServerThatLostCommitsBeginsAGeneration(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	database := server.Database(t)
	one, two := startOn(t, database), startOn(t, database)
	old := one.ownAll("cart")
	shard := old.table.Shard("cart", 0)
	commit := func(sequence uint64, mark []byte) (*runtimev1.CommitResponse, error) {
		r := record(0, shard.GetEpoch())
		r.Identity.Sequence = sequence
		if sequence > 1 {
			r.Base = &runtimev1.Identity{Activation: r.GetIdentity().GetActivation(), Sequence: sequence - 1}
		}
		return two.Worker(old.id).Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{r}, Mark: mark})
	}
	mustCommit := func(sequence uint64, mark []byte) []byte {
		t.Helper()
		answer, err := commit(sequence, mark)
		if err != nil || answer.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
			t.Fatalf("record %d: %v, %v", sequence, answer, err)
		}
		return answer.GetMark()
	}
	kept := mustCommit(1, nil)
	server.Backup(t)
	lost := mustCommit(2, kept)
	server.Stop(t, pgtest.Immediate)
	server.Restore(t)
	server.Launch(t)

	var since []*member
	for range 8 { // the counter passes what was lost
		since = append(since, one.admit())
	}
	if now := pointOf(t, one.store); now.Generation != 1 {
		t.Fatalf("the generation is %d before anybody has shown what was lost", now.Generation)
	}
	_, err := commit(3, lost)
	expectError(t, err, connect.CodeFailedPrecondition, francisv1.Reason_REASON_WORKER_DEAD)
	if now := pointOf(t, one.store); now.Generation != 2 {
		t.Errorf("the generation is %d when somebody has", now.Generation)
	}
	for _, sequence := range []uint64{2, 3} {
		if answer, err := commit(sequence, kept); err != nil || answer.GetResults()[0].GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH {
			t.Errorf("record %d of an activation of before: %v, %v", sequence, answer, err)
		}
	}
	for _, m := range append(since, old) {
		if answer, err := m.Renew(t.Context(), &runtimev1.RenewRequest{}); err != nil || !answer.GetDead() {
			t.Errorf("a worker of before renews with %v, %v", answer, err)
		}
	}

	again := two.ownAll("cart")
	shard = again.table.Shard("cart", 0)
	answer, err := again.Load(t.Context(), read(record(0, shard.GetEpoch())))
	if err != nil || answer.GetResults()[0].GetState().GetIdentity().GetSequence() != 1 {
		t.Errorf("after joining again the state is %v, %v; want that of record 1", answer, err)
	}
}
