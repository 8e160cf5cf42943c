// Command worker hosts the actors on which faults are tried out. Its tests kill it,
// stop it and cut it off.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/internal/release"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/local"
	"github.com/francis-actors/francis/sdk/remote"
)

// grace bounds the drain.
const grace = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("the worker ended", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// settings are the flags.
type settings struct {
	gateway, address, bind, psk string
	// runtimes are where the runtimes are, and ca is the file of their authority. With a
	// database the worker is its own runtime, and the lease is that of all of them.
	runtimes, ca, database string
	lease                  time.Duration
}

func run(ctx context.Context) error {
	var s settings
	flag.StringVar(&s.gateway, "gateway", "127.0.0.1:0", "where the gateway listens")
	flag.StringVar(&s.address, "address", "", "where other workers reach this one")
	flag.StringVar(&s.bind, "bind", "", "where it listens for them")
	flag.StringVar(&s.psk, "psk", "", "the host PSK, or with a database the secret of the cluster")
	flag.StringVar(&s.runtimes, "runtimes", "", "where the runtimes are, separated by commas")
	flag.StringVar(&s.ca, "ca", "", "the CA's file")
	flag.StringVar(&s.database, "database", "", "a PostgreSQL database that the workers share without runtimes beside them")
	flag.DurationVar(&s.lease, "lease", 0, "the lease of workers that share a database")
	flag.Parse()
	host, err := s.host()
	if err != nil {
		return err
	}
	if err := errors.Join(chaosv1francis.RegisterRegisterActor(host, newRegister), chaosv1francis.RegisterLedgerActor(host, newLedger)); err != nil {
		return err
	}
	return serve(ctx, s.gateway, host)
}

func (s settings) host() (sdk.Host, error) {
	if s.database != "" {
		return local.NewHost(
			local.WithPostgreSQL(s.database), local.WithCluster(s.address, []byte(s.psk)), local.WithBind(s.bind),
			local.WithLease(s.lease), local.WithShutdownGracePeriod(grace),
		)
	}
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		return nil, err
	}
	return remote.NewHost(
		remote.WithAddress(s.address), remote.WithBind(s.bind), remote.WithRuntimeAddresses(strings.Split(s.runtimes, ",")...),
		remote.WithHostBootstrapPSK([]byte(s.psk)), remote.WithPinnedCA(pem), remote.WithShutdownGracePeriod(grace),
	)
}

func serve(ctx context.Context, address string, host sdk.Host) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", host.Gateway())
	mux.HandleFunc("GET /debug/goroutines", goroutines)
	server := sdk.NewServer(mux)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { cancel(server.Serve(listener)) }()
	go func() {
		<-host.Ready()
		fmt.Println("ready")
	}()
	err = host.Run(ctx)
	ending, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	return errorsFirst(err, server.Shutdown(ending))
}

// goroutines lists the goroutines of this process; the first line has their number.
func goroutines(w http.ResponseWriter, _ *http.Request) {
	_ = pprof.Lookup("goroutine").WriteTo(w, 1)
}

func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// register is the actor. Its activation is a number that no other one has.
type register struct{ activation uint64 }

func newRegister(context.Context, *chaosv1francis.RegisterActorActivation) (chaosv1francis.RegisterActor, error) {
	return &register{rand.Uint64()}, nil
}

func (r *register) Add(_ context.Context, turn chaosv1francis.RegisterActorTurn, req *chaosv1.AddRequest) (*chaosv1.AddResponse, error) {
	state := turn.State()
	state.Value += req.GetIn()
	state.ProtoReflect().SetUnknown(protoreflect.RawFields(release.Extra))
	if pause := req.GetPause().AsDuration(); pause > 0 {
		fmt.Println("turn of", turn.ID())
		<-time.After(pause) // it ignores its context, as bad code does
	}
	return &chaosv1.AddResponse{Value: state.GetValue(), Activation: r.activation, Process: int64(os.Getpid())}, nil
}

func (*register) Write(_ context.Context, turn chaosv1francis.RegisterActorTurn, req *chaosv1.WriteRequest) (*chaosv1.WriteResponse, error) {
	turn.State().Value, turn.State().Padding = req.GetValue(), req.GetPadding()
	return &chaosv1.WriteResponse{}, nil
}

func (*register) Swap(_ context.Context, turn chaosv1francis.RegisterActorTurn, req *chaosv1.SwapRequest) (*chaosv1.SwapResponse, error) {
	state := turn.State()
	if state.GetValue() != req.GetOld() {
		return &chaosv1.SwapResponse{}, nil
	}
	state.Value = req.GetNew()
	return &chaosv1.SwapResponse{Swapped: true}, nil
}

func (*register) Read(_ context.Context, view chaosv1francis.RegisterActorView, _ *chaosv1.ReadRequest) (*chaosv1.ReadResponse, error) {
	return &chaosv1.ReadResponse{Value: view.State().GetValue()}, nil
}

func (*register) Break(ctx context.Context, _ chaosv1francis.RegisterActorTurn, req *chaosv1.BreakRequest) (*chaosv1.BreakResponse, error) {
	return &chaosv1.BreakResponse{}, harm(ctx, req.GetHarm())
}

// harm does harm to the worker.
func harm(ctx context.Context, how chaosv1.BreakRequest_Harm) error {
	switch how {
	case chaosv1.BreakRequest_HARM_EXIT:
		os.Exit(3)
	case chaosv1.BreakRequest_HARM_PANIC:
		panic("as told") //nolint:forbidigo // it is what the test asks for
	case chaosv1.BreakRequest_HARM_HANG:
		select {}
	case chaosv1.BreakRequest_HARM_LOOP:
		for { //nolint:revive,staticcheck // it is what the test asks for
		}
	case chaosv1.BreakRequest_HARM_ALLOCATE:
		for hoard := [][]byte{}; ; hoard = append(hoard, bytes.Repeat([]byte{1}, 64<<20)) { //nolint:gocritic // for ever
		}
	case chaosv1.BreakRequest_HARM_WAIT:
		<-ctx.Done()
		return ctx.Err()
	default:
	}
	return nil
}
