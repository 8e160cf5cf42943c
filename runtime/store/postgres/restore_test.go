package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
)

// Workers that renew, through whatever runtime, keep a backup from being restored; those
// that have stopped do not.
func TestRestoreRefusesLiveWorkers(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	runtime := mustOpen(t, Config{ConnectionString: database})
	defer runtime.Close()
	s := mustOpen(t, Config{ConnectionString: database})
	defer s.Close()
	worker := &runtimev1.Worker{Id: "w1", Lease: durationpb.New(500 * time.Millisecond)}
	if _, err := runtime.AddWorker(t.Context(), worker); err != nil {
		t.Fatal(err)
	}

	living, stop := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	beating.Go(func() {
		for living.Err() == nil {
			if err := runtime.Beat(t.Context(), "w1"); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Millisecond) // real time: the beats of a worker
		}
	})
	if _, err := s.Restore(t.Context(), empty()); !errors.Is(err, store.ErrLive) {
		t.Errorf("while a worker renews: %v, want %v", err, store.ErrLive)
	}
	stop()
	beating.Wait()
	if _, err := s.Restore(t.Context(), empty()); err != nil {
		t.Errorf("when it has stopped: %v", err)
	}
	if err := runtime.Beat(t.Context(), "w1"); !errors.Is(err, store.ErrDead) {
		t.Errorf("it renews after that: %v, want %v", err, store.ErrDead)
	}
}

// A worker that joins while others are watched is noticed.
func TestMoved(t *testing.T) {
	t.Parallel()
	member := func(id string, alive bool, beat uint64) store.Member {
		return store.Member{Worker: &runtimev1.Worker{Id: id}, Alive: alive, Beat: beat}
	}
	seen := []store.Member{member("still", true, 3), member("moves", true, 3), member("dies", true, 3), member("dead", false, 3)}
	now := []store.Member{member("still", true, 3), member("moves", true, 4), member("dies", false, 4), member("dead", false, 3), member("joins", true, 0)}
	if got := moved(seen, now); len(got) != 2 || got[0] != "moves" || got[1] != "joins" {
		t.Errorf("%q live; want moves and joins", got)
	}
}

// empty restores a backup of a cluster that has nothing.
func empty() store.Restoration {
	return store.Restoration{Backup: func(yield func(*backupv1.Record, error) bool) {
		yield(&backupv1.Record{Record: &backupv1.Record_Header{Header: &backupv1.Header{Cluster: "c", Generation: 1}}}, nil)
	}}
}
