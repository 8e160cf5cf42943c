// The quickstart example is a whole application: shopping carts, each of them an actor,
// served over HTTP and kept in a SQLite file. Its contract is cart.proto.
//
//	go run ./examples/quickstart
//	curl -X POST http://localhost:8081/invoke/cart/alice/add --data '{"thing": "apple", "quantity": 3}'
//	curl -X POST http://localhost:8081/invoke/cart/alice/show --data '{}'
//
// Where the environment names a runtime, it is a worker of a cluster instead:
//
//	go run ./runtime dev -workers 2 -- go run ./examples/quickstart
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"connectrpc.com/connect/v2"

	cartv1 "github.com/francis-actors/francis/examples/gen/cart/v1"
	"github.com/francis-actors/francis/examples/gen/cart/v1/cartv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/local"
	"github.com/francis-actors/francis/sdk/remote"
)

// cart is the actor. All that it remembers is its state.
type cart struct{}

func newCart(context.Context, *cartv1francis.CartActorActivation) (cartv1francis.CartActor, error) {
	return cart{}, nil
}

// Add changes the state; the change is committed before the reply leaves.
func (cart) Add(_ context.Context, turn cartv1francis.CartActorTurn, req *cartv1.AddRequest) (*cartv1.AddResponse, error) {
	if req.GetQuantity() <= 0 {
		return nil, connect.NewError(connect.CodeInvalidArgument, "the quantity must be positive")
	}
	state := turn.State()
	if state.Things == nil {
		state.Things = map[string]int32{}
	}
	state.Things[req.GetThing()] += req.GetQuantity()
	return &cartv1.AddResponse{Quantity: state.GetThings()[req.GetThing()]}, nil
}

// Show reads the state. It runs beside other views, and cannot change anything.
func (cart) Show(_ context.Context, view cartv1francis.CartActorView, _ *cartv1.ShowRequest) (*cartv1.ShowResponse, error) {
	return &cartv1.ShowResponse{Things: view.State().GetThings()}, nil
}

// newHost is all that differs between one process and a cluster.
func newHost(file string) (sdk.Host, error) {
	if os.Getenv(remote.EnvRuntimeAddresses) != "" {
		return remote.NewHost(remote.FromEnv())
	}
	return local.NewHost(local.WithSQLite(file))
}

// run serves the carts until ctx ends.
func run(ctx context.Context, address, file string) error {
	host, err := newHost(file)
	if err != nil {
		return err
	}
	if err := cartv1francis.RegisterCartActor(host, newCart); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -address", err)
	}
	server := sdk.NewServer(host.Gateway())
	go func() { _ = server.Serve(listener) }() // until Shutdown
	slog.Info("serving carts", "url", "http://"+listener.Addr().String())
	err = host.Run(ctx)
	return errors.Join(err, server.Shutdown(context.Background()))
}

func main() {
	address := flag.String("address", cmp.Or(os.Getenv("FRANCIS_HTTP_ADDRESS"), "127.0.0.1:8081"), "where to serve HTTP")
	file := flag.String("file", "carts.db", "where to keep the carts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *address, *file)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}
