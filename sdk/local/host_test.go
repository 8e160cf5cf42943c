package local

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
	"github.com/francis-actors/francis/runtime/store/sqlite"
	"github.com/francis-actors/francis/sdk"
)

var quiet = slog.New(slog.DiscardHandler)

type counter struct {
	myactorv1francis.UnimplementedMyActor
}

func newCounter(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return counter{}, nil
}

func (counter) Increment(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	turn.State().Counter += req.GetIn()
	return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
}

func (counter) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	return &myactorv1.GetResponse{Out: proto.Int32(view.State().GetCounter())}, nil
}

// running is a host that runs, until stop.
func running(t *testing.T, run func(*Host, context.Context) error, opts ...Option) (h *Host, stop func() error) {
	t.Helper()
	h, err := NewHost(append([]Option{WithLogger(quiet), WithShutdownGracePeriod(5 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := myactorv1francis.RegisterMyActor(h, newCounter); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(h, ctx) }()
	<-h.Ready()
	return h, func() error {
		cancel()
		return <-ended
	}
}

func increment(t *testing.T, h *Host, want int32) {
	t.Helper()
	res, err := myactorv1francis.NewMyActorProxy(h.Service(), "id1").Increment(t.Context(), &myactorv1.IncrementRequest{In: 1})
	if err != nil || res.GetOut() != want {
		t.Errorf("counted %d, %v; want %d", res.GetOut(), err, want)
	}
}

func TestStateOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	file := WithSQLite(filepath.Join(t.TempDir(), "data.db"))
	for n := range int32(3) {
		h, stop := running(t, (*Host).Run, file)
		increment(t, h, n+1)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := h.Run(t.Context()); err == nil || err.Error() != "local: a stopped host does not start again: Run was called twice" {
			t.Errorf("Run after Run: %v", err)
		}
	}
}

func TestFileBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	file := WithSQLite(filepath.Join(t.TempDir(), "data.db"))
	_, stop := running(t, (*Host).Run, file)
	second, err := NewHost(file, WithLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another runtime") {
		t.Errorf("a second host on the file ended with %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A process that was killed leaves a worker behind, with every shard. Nobody waits for
// the end of its lease.
func TestNobodyWaitsForAKilledProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	leaveWorker(t, path)
	synctest.Test(t, func(t *testing.T) {
		h, stop := running(t, (*Host).Run, WithSQLite(path))
		began := time.Now()
		increment(t, h, 1)
		if took := time.Since(began); took > 0 {
			t.Errorf("the first call took %v", took)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// leaveWorker makes a file in which a living worker owns every shard.
func leaveWorker(t *testing.T, path string) {
	t.Helper()
	kept, err := sqlite.Open(sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, worker := t.Context(), &runtimev1.Worker{Id: "killed", Types: []string{"myactor"}}
	_, added := kept.AddWorker(ctx, worker)
	_, announced := kept.Announce(ctx, worker)
	_, shards, registered := kept.RegisterType(ctx, &runtimev1.ActorType{Name: "myactor", Service: "myactor.v1.MyActor"}, 256)
	assignments := make([]store.Assignment, len(shards.Shards))
	for i, s := range shards.Shards {
		assignments[i] = store.Assignment{Type: s.GetType(), Shard: s.GetShard(), Epoch: s.GetEpoch(), Worker: "killed"}
	}
	_, assigned := kept.Assign(ctx, assignments)
	if err := errors.Join(added, announced, registered, assigned, kept.Close()); err != nil {
		t.Fatal(err)
	}
}

// broken is a store whose disk fails when the test says so.
type broken struct {
	store.Store

	failed chan struct{}
}

func (b broken) Failed() <-chan struct{} { return b.failed }

func (b broken) Commit(ctx context.Context, worker string, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	select {
	case <-b.failed:
		return nil, store.Moved{}, store.ErrFatal
	default:
		return b.Store.Commit(ctx, worker, records)
	}
}

func TestFailedStoreEndsTheHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := broken{memory.New(), make(chan struct{})}
		ended := make(chan error, 1)
		h, stop := running(t, func(h *Host, ctx context.Context) error {
			if err := h.worker.Start(); err != nil {
				return err
			}
			err := h.serve(ctx, disk)
			ended <- err
			return nil
		}, WithMemory())
		defer func() { _ = stop() }()
		increment(t, h, 1)
		began := time.Now()
		close(disk.failed)
		if err := <-ended; !errors.Is(err, store.ErrFatal) {
			t.Errorf("Run ended with %v", err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Run took %v to end", took)
		}
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts []Option
		want string // "" is no error
	}{
		"memory":    {[]Option{WithMemory(), WithLogger(nil)}, ""},
		"a file":    {[]Option{WithSQLite("missing/data.db")}, ""}, // nothing is opened yet
		"no store":  {nil, "local: no store: use WithSQLite(path) or WithPostgreSQL(connectionString), or WithMemory for what may end with the process"},
		"two":       {[]Option{WithMemory(), WithSQLite("data.db")}, "local: more than one of WithSQLite, WithPostgreSQL and WithMemory: choose one"},
		"a cluster": {clustered("host=db"), ""},
		"a file of several": {
			[]Option{WithSQLite("data.db"), WithCluster("127.0.0.1:0", []byte("a secret of the tests"))},
			"local: WithCluster without WithPostgreSQL: several processes need a database that they share",
		},
		"nobody to listen to": {[]Option{WithMemory(), WithBind(":7571")}, "local: WithBind without WithCluster: a host alone listens nowhere"},
		"no machine": {
			[]Option{WithPostgreSQL("host=db"), WithCluster(":7571", []byte("a secret of the tests"))},
			"local: the address \":7571\" names no machine; give the one at which others reach it, and use WithBind to listen on all interfaces",
		},
		"a weak secret": {
			[]Option{WithPostgreSQL("host=db"), WithCluster("10.0.0.7:7571", []byte("a secret of the tests"))},
			"local: secret of the cluster: unusable secret: the secret has 21 bytes, less than 32, and 10.0.0.7:7571 can be reached from other machines; make a good one with `runtime gen-key`",
		},
		"too wide limits": {[]Option{WithMemory(), WithLimits(sdk.Limits{Message: 1 << 30})}, "local: the limit Message is 1073741824; it must be between 1024 and 4194304"},
		"bad lease":       {[]Option{WithMemory(), WithLease(time.Second)}, "local: lease is 1s; it must be between 2s and 1m0s"},
		"bad grace":       {[]Option{WithMemory(), WithShutdownGracePeriod(-1)}, "local: the shutdown grace is -1ns; it cannot be negative"},
	} {
		_, err := NewHost(test.opts...)
		if err == nil && test.want != "" || err != nil && err.Error() != test.want {
			t.Errorf("%s: error %v\nwant  %s", name, err, test.want)
		}
	}
}

// Only where another process can take the actors over, the lease goes on in a suspend.
func TestClockOfTheLease(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts      []Option
		monotonic bool
	}{
		"memory":     {[]Option{WithMemory()}, true},
		"a file":     {[]Option{WithSQLite("data.db")}, true},
		"a database": {[]Option{WithPostgreSQL("host=db")}, false},
	} {
		cfg, err := newConfig(test.opts)
		if err != nil || (cfg.clock() != nil) != test.monotonic {
			t.Errorf("%s: a clock of its own: %v, want %v (%v)", name, cfg.clock() != nil, test.monotonic, err)
		}
	}
}

// A host that cannot begin fails the calls that wait for it, and those that come.
func TestHostThatCannotBegin(t *testing.T) {
	t.Parallel()
	h, err := NewHost(WithSQLite(t.TempDir()), WithLogger(quiet)) // a folder is no file
	if err != nil {
		t.Fatal(err)
	}
	if err := myactorv1francis.RegisterMyActor(h, newCounter); err != nil {
		t.Fatal(err)
	}
	call := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := myactorv1francis.NewMyActorProxy(h.Service(), "id1").Increment(ctx, &myactorv1.IncrementRequest{In: 1}, sdk.WithoutRetries())
		return err
	}
	waiting := make(chan error, 1)
	go func() { waiting <- call() }()
	if err := h.Run(t.Context()); err == nil {
		t.Error("the host has run on a folder")
	}
	for _, err := range []error{call(), <-waiting} {
		if connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("a call was told %v; want unavailable", err)
		}
	}
}

// A host that is asked to stop while its database says nothing stops, and does not fail.
func TestRunEndsWhileTheStoreOpens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	h, err := NewHost(WithLogger(quiet), WithPostgreSQL("postgres://"+listener.Addr().String()+"/x?sslmode=disable"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run ended with %v", err)
	}
}
