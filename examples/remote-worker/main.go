// The remote-worker example is a worker of a cluster: it hosts the counter of
// myactor.proto, and serves the calls of curl for all actors of the cluster.
//
//	go run ./examples/remote-worker -worker-address 127.0.0.1:8081 \
//	  -actor-host-address 127.0.0.1:7571 -runtime-address 127.0.0.1:7400
//	curl -X POST http://localhost:8081/invoke/myactor/id1/increment --data '{"In": 42}'
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/examples/internal/counter"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

// hostBootstrapPSK proves to the runtime that this worker may join: it is the
// bootstrap.hostPSK of config.yaml. Secrets of production come from the environment.
const hostBootstrapPSK = "example-host-bootstrap-psk-change-me"

const grace = 10 * time.Second

// flags are the command line.
type flags struct {
	worker, actorHost, runtime, pinnedCA string
}

func main() {
	var f flags
	flag.StringVar(&f.worker, "worker-address", envOr("FRANCIS_HTTP_ADDRESS", "127.0.0.1:8081"), "where to serve HTTP")
	flag.StringVar(&f.actorHost, "actor-host-address", "127.0.0.1:7571", "where other workers reach this one")
	flag.StringVar(&f.runtime, "runtime-address", "127.0.0.1:7400", "where the runtime is")
	flag.StringVar(&f.pinnedCA, "pinned-ca", "", "file with the CA that `runtime print-ca` prints; without it the first runtime that answers is trusted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "remote-worker:", err)
		os.Exit(1)
	}
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// run is the worker, until ctx ends.
func run(ctx context.Context, f flags) error {
	trust, err := trust(f.pinnedCA)
	if err != nil {
		return err
	}
	host, err := remote.NewHost(
		remote.WithAddress(f.actorHost),        // for calls between workers
		remote.WithRuntimeAddresses(f.runtime), // one or more runtimes
		remote.WithHostBootstrapPSK([]byte(hostBootstrapPSK)),
		trust,
		remote.WithShutdownGracePeriod(grace),
		remote.FromEnv(), // what `runtime dev` sets
	)
	if err != nil {
		return err
	}
	err = myactorv1francis.RegisterMyActor(host, counter.New, sdk.WithIdleTimeout(10*time.Second))
	if err != nil {
		return err
	}
	return serve(ctx, f.worker, host)
}

// trust is how the worker knows the runtime.
func trust(file string) (remote.Option, error) {
	if file == "" {
		if os.Getenv(remote.EnvCA) == "" {
			slog.Warn("no CA is pinned: the first runtime that answers is trusted; use -pinned-ca in production")
		}
		return remote.WithUnsafeNoPinnedCA(), nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; write it with: runtime print-ca -config config.yaml > %s", err, file)
	}
	return remote.WithPinnedCA(pem), nil
}

// serve runs the worker and its HTTP server. When ctx ends, the worker hands its
// actors over first, so that calls still find them.
func serve(ctx context.Context, address string, host *remote.Host) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -worker-address", err)
	}
	server := sdk.NewServer(host.Gateway())
	go func() {
		<-host.Ready()
		slog.Info("ready", "http", listener.Addr().String())
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { cancel(server.Serve(listener)) }()
	err = host.Run(ctx)
	stopCtx, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	if stopErr := server.Shutdown(stopCtx); err == nil {
		err = stopErr
	}
	return err
}
