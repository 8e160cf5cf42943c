package remote_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

// A call that nobody can answer, because Run has not been called, says so.
func TestCallBeforeRun(t *testing.T) {
	t.Parallel()
	host, err := remote.NewHost(
		remote.WithAddress("127.0.0.1:0"), remote.WithRuntimeAddresses("127.0.0.1:1"),
		remote.WithHostBootstrapPSK([]byte(optionsPSK)), remote.WithUnsafeNoPinnedCA(),
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	counter := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
	_, err = counter.Increment(ctx, &myactorv1.IncrementRequest{In: 1})
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded || !strings.Contains(err.Error(), "the host to join the cluster; Run does that") {
		t.Errorf("the call was told %v", err)
	}
}

// A host whose port is taken does not let its callers wait.
func TestHostWithoutPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	host, err := remote.NewHost(
		remote.WithAddress(taken.Addr().String()), remote.WithRuntimeAddresses("127.0.0.1:1"),
		remote.WithHostBootstrapPSK([]byte(optionsPSK)), remote.WithUnsafeNoPinnedCA(),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Run(t.Context()); err == nil {
		t.Error("the host runs at a port that is taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	counter := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
	if _, err := counter.Increment(ctx, &myactorv1.IncrementRequest{In: 1}, sdk.WithoutRetries()); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("a call was told %v; want unavailable", err)
	}
}
