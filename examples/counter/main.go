// The counter example serves one actor type, the counter of myactor.proto, from a
// host in this process:
//
//	go run ./examples/counter
//	curl -X POST http://localhost:8081/invoke/myactor/id1/increment --data '{"In": 42}'
//
// Its state lives in memory and ends with the process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/examples/internal/counter"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

const grace = 10 * time.Second

func main() {
	address := flag.String("address", "127.0.0.1:8081", "where to serve HTTP")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *address)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}

// run serves the counter until ctx ends.
func run(ctx context.Context, address string) error {
	host, err := francistest.NewHost(francistest.WithShutdownGracePeriod(grace))
	if err != nil {
		return err
	}
	if err := myactorv1francis.RegisterMyActor(host, counter.New); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -address", err)
	}
	slog.Info("serving", "try", fmt.Sprintf(`curl -X POST http://%s/invoke/myactor/id1/increment --data '{"In": 42}'`, listener.Addr()))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop() // without its HTTP server the host has nothing to do
		served <- serve(ctx, listener, host.Gateway())
	}()
	return errors.Join(host.Run(ctx), <-served)
}

// serve answers HTTP/1.1 and, for gRPC, HTTP/2 without TLS.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := sdk.NewServer(handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("stopping")
	stopCtx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return server.Shutdown(stopCtx)
}
