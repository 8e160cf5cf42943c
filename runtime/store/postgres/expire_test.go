package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pgtest"
)

// expiring is a record whose state lives for an hour.
func expiring(id string) *runtimev1.Record {
	r := record(id, nil, identity(1, 1), []byte("x"))
	r.StateTtl = durationpb.New(time.Hour)
	return r
}

// Like every other change, that of a sweep is of the history of the server that makes it:
// otherwise it would count where what a failover lost has counted.
func TestASweepBeginsABranch(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	now := time.Now()
	config := Config{ConnectionString: database, Now: func() time.Time { return now }}
	s := mustOpen(t, config)
	own(t, s, "w1")
	_, lost, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{expiring("a")})
	if err != nil {
		t.Fatal(err)
	}
	lost.Counter++ // as if another change had been acknowledged there
	now = now.Add(2 * time.Hour)

	other := mustOpen(t, config)
	other.readCluster = strings.ReplaceAll(other.readCluster, thisServer, `'another one'`)
	if _, err := other.Forget(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	after, err := other.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Counter != lost.Counter || !after.Behind(lost.Point) {
		t.Errorf("%+v is not behind %+v, which the other server has never had", after, lost.Point)
	}
}

// States that are damaged stay for people to look at, and a sweep comes to its end and to
// those behind them.
func TestASweepPassesDamage(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	now := time.Now()
	s := mustOpen(t, Config{ConnectionString: database, Now: func() time.Time { return now }})
	own(t, s, "w1")
	commit := func(records ...*runtimev1.Record) {
		t.Helper()
		if _, _, err := s.Commit(t.Context(), "w1", records); err != nil {
			t.Fatal(err)
		}
	}
	damaged := make([]*runtimev1.Record, expireAtOnce)
	for i := range damaged {
		damaged[i] = expiring(fmt.Sprint("bad", i))
	}
	commit(damaged...)
	execute(t, database, "UPDATE francis.actors SET data = 'y'")
	now = now.Add(time.Minute)
	commit(expiring("good"))
	now = now.Add(2 * time.Hour)

	for more, sweeps := true, 0; more; sweeps++ {
		if sweeps == 3 {
			t.Fatal("the sweep finds something again and again")
		}
		var err error
		if more, err = s.Forget(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if got := loadOne(t, s, "w1", "bad0").GetVerdict(); got != runtimev1.Verdict_VERDICT_DAMAGED {
		t.Errorf("a damaged state after the sweep: %v", got)
	}
	var emptied, waiting int
	row := s.pool.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE message = ''), count(*) FILTER (WHERE expires > 0) FROM francis.actors")
	if err := row.Scan(&emptied, &waiting); err != nil || emptied != 1 || waiting != 0 {
		t.Errorf("%d states were taken, and %d wait for a sweep (%v); want 1, the sound one, and none", emptied, waiting, err)
	}
}
