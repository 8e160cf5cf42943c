package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
)

// childVariable makes the test binary another process of a cluster: it holds the database.
const childVariable = "FRANCIS_TEST_LOCAL_CHILD"

func TestMain(m *testing.M) {
	if database := os.Getenv(childVariable); database != "" {
		if err := child(database); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// testLease is that of the clusters here.
const testLease = 2 * time.Second

func clustered(database string) []Option {
	return []Option{
		WithPostgreSQL(database), WithCluster("127.0.0.1:0", []byte("a secret of the tests")), WithLease(testLease),
		WithLogger(quiet), WithShutdownGracePeriod(5 * time.Second),
	}
}

// loud says which actors have run in this process.
type loud struct{ counter }

func (l loud) Increment(ctx context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	fmt.Println("ran", turn.ID())
	return l.counter.Increment(ctx, turn, req)
}

// child is a host of a cluster that runs until it is killed.
func child(database string) error {
	h, err := NewHost(clustered(database)...)
	if err != nil {
		return err
	}
	err = myactorv1francis.RegisterMyActor(h, func(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
		return loud{}, nil
	})
	if err != nil {
		return err
	}
	return h.Run(context.Background())
}

// actors are counters, with what was acknowledged of each.
type actors map[string]int32

func newActors() actors {
	all := actors{}
	for i := range 32 {
		all[fmt.Sprint("a", i)] = 0
	}
	return all
}

// increment increments each actor, once.
func (a actors) increment(t *testing.T, h *Host) {
	t.Helper()
	for id := range a {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		res, err := myactorv1francis.NewMyActorProxy(h.Service(), id).Increment(ctx, &myactorv1.IncrementRequest{In: 1})
		cancel()
		if a[id]++; err != nil || res.GetOut() != a[id] {
			t.Fatalf("%s counts %d, %v; want %d", id, res.GetOut(), err, a[id])
		}
	}
}

// Two processes share the actors; when one is killed, the other has them all after the
// lease, with everything that was acknowledged.
func TestProcessOfAClusterIsKilled(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	h, stop := running(t, (*Host).Run, clustered(database)...)
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), childVariable+"="+database)
	other.Stderr = os.Stderr
	said, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ran := make(chan string, 1<<16)
	go func() {
		defer close(ran)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			ran <- lines.Text()
		}
	}()
	counters := newActors()
	for theirs := map[string]bool{}; len(theirs) < len(counters)/4; {
		counters.increment(t, h)
		for len(ran) > 0 {
			theirs[<-ran] = true
		}
	}

	_ = other.Process.Kill()
	_ = other.Wait()
	began := time.Now()
	counters.increment(t, h)
	t.Logf("all actors answer %v after the kill", time.Since(began).Round(time.Millisecond))
	if took, limit := time.Since(began), testLease+20*time.Second; took > limit { // lease + 1 s, and what a loaded machine takes
		t.Errorf("the actors of the killed process answered after %v", took)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A process that joins gets actors while it is used, and hands them over when it ends: no
// call fails.
func TestProcessesOfAClusterComeAndGo(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	h, stop := running(t, (*Host).Run, clustered(database)...)
	counters := newActors()
	for range 2 {
		other, end := running(t, (*Host).Run, clustered(database)...)
		counters.increment(t, other)
		ended := make(chan error, 1)
		go func() { ended <- end() }()
		for over := false; !over; {
			counters.increment(t, h)
			select {
			case err := <-ended:
				if over = true; err != nil {
					t.Error(err)
				}
			default:
			}
		}
	}
	counters.increment(t, h)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Hosts that do not share a database with one another are told how to.
func TestSecondProcessNeedsACluster(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	refused := func(why string, opts ...Option) {
		t.Helper()
		second, err := NewHost(append(opts, WithLogger(quiet))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Run(t.Context()); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "WithCluster") {
			t.Errorf("%s ended with %v", why, err)
		}
	}
	for name, first := range map[string]func(database string) []Option{
		"alone":     func(database string) []Option { return []Option{WithPostgreSQL(database)} },
		"a cluster": clustered,
	} {
		database := server.Database(t)
		_, stop := running(t, (*Host).Run, first(database)...)
		refused("a host without a cluster, beside "+name, WithPostgreSQL(database))
		if name == "alone" {
			refused("a host of a cluster, beside one "+name, clustered(database)...)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
