package remote_test

import (
	"context"
	"net"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

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
