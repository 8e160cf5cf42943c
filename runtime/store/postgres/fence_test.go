package postgres

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
)

// While a record is between its fence and its commit, its shard cannot move: a fence that
// only looks (the second case) accepts a record whose shard has another owner by then,
// which has answered from the state without it.
func TestShardWaitsForRecords(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	for name, unlocked := range map[string]bool{"locked": false, "only looked at": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := server.Database(t)
			other := mustOpen(t, Config{ConnectionString: database})
			own(t, other, "w1")

			moved := make(chan error, 1)
			movedFirst := false
			var once sync.Once
			s := mustOpen(t, Config{ConnectionString: database, unlocked: unlocked, judged: func() {
				once.Do(func() {
					go func() {
						_, _, err := other.Evict(context.Background(), "w1", nil)
						moved <- err
					}()
					movedFirst = !waits(t, database, moved)
				})
			}})
			results, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{record("a", nil, identity(1, 1), []byte("x"))})
			if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
				t.Fatalf("the record: %v, %v", results, err)
			}
			if movedFirst != unlocked {
				t.Errorf("the shard moved before the record was committed: %v", movedFirst)
			}
			if !movedFirst {
				if err := <-moved; err != nil {
					t.Error(err)
				}
			}
			placed, err := other.Shards(t.Context())
			if err != nil || placed.Shards[0].GetEpoch() != 2 {
				t.Errorf("the shard is %v, %v", placed.Shards, err)
			}
		})
	}
}

// waits reports whether a session of the database waits for a lock, before something else
// has ended.
func waits(t *testing.T, database string, ended <-chan error) bool {
	c, err := pgx.Connect(context.Background(), database)
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.Close(context.Background())
	for {
		var waiting int
		err := c.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err != nil {
			t.Error(err)
			return false
		}
		if waiting > 0 {
			return true
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return false
		default:
		}
	}
}
