package behaviour_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/francis-actors/francis/internal/behaviour"
	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/internal/race"
	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/serve"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
	"github.com/francis-actors/francis/sdk/local"
	"github.com/francis-actors/francis/sdk/remote"
)

// The topologies that need no server, in the order of the table in docs/topologies.md.
var topologies = []behaviour.Topology{
	inProcess,
	embedded("embedded, memory", func(testing.TB) local.Option { return local.WithMemory() }),
	embedded("embedded, SQLite", func(t testing.TB) local.Option {
		return local.WithSQLite(filepath.Join(t.TempDir(), "data.db"))
	}),
	cluster("one worker, memory", "{type: memory}", false),
	cluster("two workers, memory", "{type: memory}", true),
	client,
	cluster("one worker, SQLite", `{type: sqlite, connectionString: "%FILE%"}`, false),
}

// onPostgreSQL are the topologies where the state lies in PostgreSQL: one host, two hosts
// that form a cluster, and two runtimes that share the database, each with a worker.
func onPostgreSQL(database func(testing.TB) string) []behaviour.Topology {
	return []behaviour.Topology{
		{
			Name: "embedded, PostgreSQL",
			Test: realTime,
			Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
				return startLocal(t, register, local.WithPostgreSQL(database(t)))
			},
		},
		{
			Name:     "two embedded, PostgreSQL",
			Test:     realTime,
			Forwards: true,
			Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
				shared, together := local.WithPostgreSQL(database(t)), local.WithCluster("127.0.0.1:0", []byte(clusterSecret))
				startLocal(t, register, shared, together)
				return startLocal(t, func(sdk.Registrar) error { return nil }, shared, together)
			},
		},
		{
			Name:     "two runtimes, PostgreSQL",
			Test:     realTime,
			Forwards: true,
			Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
				provider := fmt.Sprintf("{type: postgres, connectionString: %q}", database(t))
				one, ca := startRuntime(t, provider)
				two, _ := startRuntime(t, provider)
				startWorker(t, one, ca, register)
				return startWorker(t, two, ca, func(sdk.Registrar) error { return nil })
			},
		},
	}
}

// TestBehaviour runs the suite on every topology that needs no server.
func TestBehaviour(t *testing.T) {
	t.Parallel()
	runOn(t, topologies)
}

// TestBehaviourOnPostgreSQL runs it where the state lies in PostgreSQL.
func TestBehaviourOnPostgreSQL(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute of real time")
	}
	if race.Enabled {
		t.Skip("hosts and engines are those of TestBehaviour; the race detector watches them there, and the driver in its own suite")
	}
	server := pgtest.Start(t)
	runOn(t, onPostgreSQL(server.Database))
}

func runOn(t *testing.T, topologies []behaviour.Topology) {
	t.Helper()
	for _, topology := range topologies {
		topology.Report = found.of(topology.Name)
		t.Run(topology.Name, func(t *testing.T) {
			t.Parallel()
			behaviour.Run(t, topology)
		})
	}
}

func realTime(t *testing.T, test func(t *testing.T)) { test(t) }

var inProcess = behaviour.Topology{
	Name:   "in process",
	Test:   synctest.Test,
	Settle: synctest.Wait,
	Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
		host := francistest.Start(t)
		if err := register(host); err != nil {
			t.Fatal(err)
		}
		return host
	},
}

// embedded is a host with its runtime in one process, in virtual time.
func embedded(name string, store func(testing.TB) local.Option) behaviour.Topology {
	return behaviour.Topology{
		Name:   name,
		Test:   synctest.Test,
		Settle: synctest.Wait,
		Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
			return startLocal(t, register, store(t))
		},
	}
}

func startLocal(t testing.TB, register func(sdk.Registrar) error, opts ...local.Option) *local.Host {
	t.Helper()
	host, err := local.NewHost(append(opts, local.WithShutdownGracePeriod(5*time.Second), local.WithLogger(quiet))...)
	if err != nil {
		t.Fatal(err)
	}
	run(t, host, register)
	return host
}

// cluster is a runtime with a worker that hosts the actors; where it forwards, the
// calls come from another worker that hosts none.
func cluster(name, provider string, forwards bool) behaviour.Topology {
	return behaviour.Topology{
		Name:     name,
		Test:     realTime,
		Forwards: forwards,
		Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
			address, ca := startRuntime(t, provider)
			host := startWorker(t, address, ca, register)
			if forwards {
				return startWorker(t, address, ca, func(sdk.Registrar) error { return nil })
			}
			return host
		},
	}
}

// client is a runtime with a worker that hosts the actors; the calls come from a client.
var client = behaviour.Topology{
	Name:     "client, memory",
	Test:     realTime,
	Forwards: true,
	Start: func(t testing.TB, register func(sdk.Registrar) error) behaviour.Host {
		address, ca := startRuntime(t, "{type: memory}")
		startWorker(t, address, ca, register)
		return dial(t, address, ca)
	},
}

// dial returns a client that is closed when the test ends.
func dial(t testing.TB, address string, ca []byte) *remote.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := remote.Dial(ctx,
		remote.WithRuntimeAddresses(address), remote.WithHostBootstrapPSK([]byte(hostPSK)), remote.WithPinnedCA(ca), remote.WithLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

const (
	runtimeConfig = `
runtimePSKs: ["a runtime secret of the behaviour tests"]
bootstrap: {method: psk, hostPSK: "` + hostPSK + `"}
`
	hostPSK       = "a host secret of the behaviour tests"
	clusterSecret = "a secret of the behaviour tests"
)

var quiet = slog.New(slog.DiscardHandler)

func startRuntime(t testing.TB, provider string) (address string, ca []byte) {
	t.Helper()
	text := strings.ReplaceAll(runtimeConfig+"provider: "+provider, "%FILE%", filepath.Join(t.TempDir(), "data.db"))
	cfg, err := config.Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Bind = "127.0.0.1:0"
	authority, err := cfg.Authority()
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := serve.New(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, runtime.Run)
	return runtime.Address().String(), authority.Bundle().PEM()
}

func startWorker(t testing.TB, address string, ca []byte, register func(sdk.Registrar) error) *remote.Host {
	t.Helper()
	host := newWorker(t, address, ca)
	run(t, host, register)
	return host
}

func newWorker(t testing.TB, address string, ca []byte) *remote.Host {
	t.Helper()
	host, err := remote.NewHost(
		remote.WithAddress("127.0.0.1:0"),
		remote.WithRuntimeAddresses(address),
		remote.WithHostBootstrapPSK([]byte(hostPSK)),
		remote.WithPinnedCA(ca),
		remote.WithShutdownGracePeriod(5*time.Second),
		remote.WithLogger(quiet),
	)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// run registers the actors of a host and runs it until the test ends.
func run(t testing.TB, host sdk.Host, register func(sdk.Registrar) error) {
	t.Helper()
	if err := register(host); err != nil {
		t.Fatal(err)
	}
	inBackground(t, host.Run)
	select {
	case <-host.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the worker is not ready")
	}
}

// inBackground runs a part until the test ends.
func inBackground(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
