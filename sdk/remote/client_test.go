package remote_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

// clientOptions are those of a client of the cluster.
func (c *cluster) clientOptions() []remote.ClientOption {
	return []remote.ClientOption{
		remote.WithRuntimeAddresses(c.address()), remote.WithHostBootstrapPSK([]byte(hostPSK)),
		remote.WithPinnedCA(c.authority().Bundle().PEM()), remote.WithLogger(quiet),
	}
}

// dial returns a client, which is closed when the test ends.
func (c *cluster) dial() *remote.Client {
	c.t.Helper()
	client, err := remote.Dial(c.ctx(), c.clientOptions()...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := client.Close(); err != nil {
			c.t.Error(err)
		}
	})
	return client
}

// This is what docs/hosts.md shows.
func TestDial(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	ctx, runtimeAddress, psk, caPEM := c.ctx(), c.address(), []byte(hostPSK), c.authority().Bundle().PEM()

	client, err := remote.Dial(ctx,
		remote.WithRuntimeAddresses(runtimeAddress),
		remote.WithHostBootstrapPSK(psk),
		remote.WithPinnedCA(caPEM),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	counter := myactorv1francis.NewMyActorProxy(client.Service(), "id1")
	res, err := counter.Increment(ctx, &myactorv1.IncrementRequest{In: 42})
	if err != nil || res.GetOut() != 42 {
		t.Errorf("it counts %d, %v", res.GetOut(), err)
	}
	job, err := counter.EnqueueIncrement(ctx, &myactorv1.IncrementRequest{In: 1}, sdk.WithDelay(time.Hour))
	if err != nil {
		t.Error(err)
	}
	if waits, err := counter.Job(ctx, job); err != nil || waits.Job != job || !strings.HasSuffix(waits.Procedure, "Increment") {
		t.Errorf("the job is %+v, %v", waits, err)
	}
	if err := counter.CancelJob(ctx, job); err != nil {
		t.Error(err)
	}
	answer := httptest.NewRecorder()
	client.Gateway().ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, "/invoke/myactor/id1/get", strings.NewReader("{}")))
	if answer.Body.String() != `{"Out":42}` {
		t.Errorf("its gateway answers %s", answer.Body)
	}
	c.increment("id1", 1, 43)
}

// What does not pass is said at once: no deadline is needed.
func TestDialFailsAtOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	other, err := pki.NewAuthority(c.cfg.Cluster, mustSecret(t, runtimePSK+", another"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		opts []remote.ClientOption
		want string
	}{
		"another secret":  {[]remote.ClientOption{remote.WithHostBootstrapPSK([]byte("another host secret"))}, "check that the host PSK equals"},
		"another pin":     {[]remote.ClientOption{remote.WithPinnedCA(other.Bundle().PEM())}, "pin what `runtime print-ca` prints now"},
		"no runtime":      {[]remote.ClientOption{remote.WithRuntimeAddresses()}, `remote: no runtime: use WithRuntimeAddresses("host:port")`},
		"no secret":       {[]remote.ClientOption{remote.WithHostBootstrapPSK(nil)}, "no bootstrap secret"},
		"both trusts":     {[]remote.ClientOption{remote.WithUnsafeNoPinnedCA()}, "choose one"},
		"too wide limits": {[]remote.ClientOption{remote.WithLimits(sdk.Limits{Message: 1 << 30})}, "the limit Message"},
	} {
		client, err := remote.Dial(context.Background(), append(c.clientOptions(), test.opts...)...)
		if err == nil || !strings.Contains(err.Error(), test.want) || client != nil {
			t.Errorf("%s: %v, %v; want %s", name, client, err, test.want)
		}
	}
}

// Where nobody answers Dial tries until its context ends, and says then why it could not.
func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := startRuntime(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = remote.Dial(ctx, append(c.clientOptions(), remote.WithRuntimeAddresses(nobody))...)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
	// With a second address it joins there.
	client, err := remote.Dial(c.ctx(), append(c.clientOptions(), remote.WithRuntimeAddresses(nobody, c.address()))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// A client needs the runtime to find actors, and not to reach them.
func TestAClientCallsWithoutARuntime(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	counter := myactorv1francis.NewMyActorProxy(c.dial().Service(), "id1")
	if _, err := counter.Increment(c.ctx(), &myactorv1.IncrementRequest{In: 42}); err != nil {
		t.Fatal(err)
	}
	c.stop()
	eventually(t, "the runtime is away", func() bool {
		conn, err := net.Dial("tcp", c.address()) //nolint:noctx // it is this machine
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	for range 10 {
		if res, err := counter.Get(c.ctx(), &myactorv1.GetRequest{}, sdk.WithoutRetries()); err != nil || res.GetOut() != 42 {
			t.Errorf("it counts %d, %v", res.GetOut(), err)
		}
	}
}

// A worker leaves, and the calls of a client follow its actors.
func TestAClientFollowsActors(t *testing.T) {
	t.Parallel()
	c := startRuntime(t)
	first := c.newHost()
	if err := myactorv1francis.RegisterMyActor(first, newCounter); err != nil {
		t.Fatal(err)
	}
	leave := inBackground(t, first.Run)
	<-first.Ready()
	counter := myactorv1francis.NewMyActorProxy(c.dial().Service(), "id1")
	for want := range int32(200) {
		switch want {
		case 50:
			c.startHost()
		case 100:
			leave()
		}
		if res, err := counter.Increment(c.ctx(), &myactorv1.IncrementRequest{In: 1}); err != nil || res.GetOut() != want+1 {
			t.Fatalf("it counts %d, %v; want %d", res.GetOut(), err, want+1)
		}
	}
}

// slow is a counter whose turns wait until their callers leave.
type slow struct {
	counter

	began chan struct{}
}

func (s *slow) Increment(ctx context.Context, _ myactorv1francis.MyActorTurn, _ *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	s.began <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Calls that are under way when a client is closed end at once, and say that nobody knows;
// later ones say that they have not happened. None is tried again.
func TestAClientIsClosed(t *testing.T) {
	t.Parallel()
	c := startRuntime(t)
	began := make(chan struct{}, 1)
	c.startHostOf(func(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
		return &slow{began: began}, nil
	})
	client := c.dial()
	counter := myactorv1francis.NewMyActorProxy(client.Service(), "id1")
	ended := make(chan error, 1)
	go func() {
		_, err := counter.Increment(c.ctx(), &myactorv1.IncrementRequest{In: 1}, sdk.WithTimeout(time.Hour))
		ended <- err
	}()
	<-began
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; sdk.OutcomeOf(err) != sdk.OutcomeUnknown || sdk.Retryable(err) {
		t.Errorf("the call under way: %v, outcome %v", err, sdk.OutcomeOf(err))
	}
	later := map[string]error{}
	_, later["a turn"] = counter.Increment(c.ctx(), &myactorv1.IncrementRequest{In: 1})
	_, later["a view"] = counter.Get(c.ctx(), &myactorv1.GetRequest{})
	_, later["a job"] = counter.EnqueueIncrement(c.ctx(), &myactorv1.IncrementRequest{In: 1})
	_, later["a list"] = counter.Job(c.ctx(), "j1")
	for name, err := range later {
		if connect.CodeOf(err) != connect.CodeFailedPrecondition || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened || !strings.Contains(err.Error(), "the client is closed") {
			t.Errorf("%s after it: %v", name, err)
		}
	}
	if err := client.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
