package remote_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/francis-actors/francis/runtime/serve" //nolint:depguard // as in the harness
	"github.com/francis-actors/francis/sdk/remote"
)

// A worker that meets only runtimes of another authority than the pinned one ends, and
// says what to do; with one right runtime among them it joins.
func TestWrongPin(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	other := &cluster{t: t, cfg: newConfig(t, runtimePSK+", another")}
	var err error
	if other.runtime, err = serve.New(t.Context(), other.cfg, quiet); err != nil {
		t.Fatal(err)
	}
	inBackground(t, other.runtime.Run)
	newHost := func(runtimes ...string) *remote.Host {
		host, err := remote.NewHost(
			remote.WithAddress("127.0.0.1:0"), remote.WithRuntimeAddresses(runtimes...), remote.WithHostBootstrapPSK([]byte(hostPSK)),
			remote.WithPinnedCA(c.authority().Bundle().PEM()), remote.WithLogger(quiet), remote.WithShutdownGracePeriod(time.Second),
		)
		if err != nil {
			t.Fatal(err)
		}
		return host
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = newHost(other.address(), other.address()).Run(ctx)
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "pin what `runtime print-ca` prints now") {
		t.Errorf("with strangers only, the worker ends with %v", err)
	}
	host := newHost(other.address(), c.address())
	inBackground(t, host.Run)
	select {
	case <-host.Ready():
	case <-ctx.Done():
		t.Error("with one right runtime the worker does not join")
	}
}
