package remote_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/config" //nolint:depguard // an abuse needs a real cluster; what ships links none of it
	"github.com/francis-actors/francis/runtime/serve"  //nolint:depguard // as above
	"github.com/francis-actors/francis/sdk/remote"
)

const (
	hostPSK    = "a host secret of the abuse tests"
	runtimePSK = "a runtime secret of the abuse tests"
	// patience bounds each wait of these tests.
	patience = 2 * time.Minute
)

var quiet = slog.New(slog.DiscardHandler)

// counter is the actor of the examples.
type counter struct {
	myactorv1francis.UnimplementedMyActor
}

func newCounter(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return &counter{}, nil
}

func (*counter) Increment(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	turn.State().Counter += req.GetIn()
	return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
}

func (*counter) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	return &myactorv1.GetResponse{Out: proto.Int32(view.State().GetCounter())}, nil
}

// cluster is a runtime with one honest worker, which hosts every counter.
type cluster struct {
	t       testing.TB
	cfg     *config.Config
	runtime *serve.Runtime
	host    *remote.Host
	// stop ends the runtime before the test does.
	stop context.CancelFunc
	// honest is the honest worker as the table lists it.
	honest *runtimev1.Worker
}

// newConfig has a long lease: what joins here by hand renews nothing.
func newConfig(t testing.TB, psk string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("config.yaml", []byte(`
runtimePSKs: ["`+psk+`"]
bootstrap: {method: psk, hostPSK: "`+hostPSK+`"}
provider: {type: memory}
lease: 60s
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Bind = "127.0.0.1:0"
	return cfg
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	c := startRuntime(t)
	c.host = c.startHost()
	workers, err := c.runtime.Workers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("the workers are %v, %v", workers, err)
	}
	c.honest = workers[0]
	return c
}

// startRuntime starts a cluster without workers.
func startRuntime(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, cfg: newConfig(t, runtimePSK)}
	var err error
	if c.runtime, err = serve.New(t.Context(), c.cfg, quiet); err != nil {
		t.Fatal(err)
	}
	c.stop = inBackground(t, c.runtime.Run)
	return c
}

func (c *cluster) startHost() *remote.Host {
	c.t.Helper()
	return c.startHostOf(newCounter)
}

// startHostOf starts a worker with the counters that a constructor makes.
func (c *cluster) startHostOf(newCounter func(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error)) *remote.Host {
	c.t.Helper()
	host := c.newHost()
	if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
		c.t.Fatal(err)
	}
	return c.join(host)
}

func (c *cluster) newHost() *remote.Host {
	c.t.Helper()
	host, err := remote.NewHost(
		remote.WithAddress("127.0.0.1:0"), remote.WithRuntimeAddresses(c.address()),
		remote.WithHostBootstrapPSK([]byte(hostPSK)), remote.WithPinnedCA(c.authority().Bundle().PEM()),
		remote.WithShutdownGracePeriod(5*time.Second), remote.WithLogger(quiet),
	)
	if err != nil {
		c.t.Fatal(err)
	}
	return host
}

// join runs a host until the test ends; it is ready.
func (c *cluster) join(host *remote.Host) *remote.Host {
	c.t.Helper()
	inBackground(c.t, host.Run)
	select {
	case <-host.Ready():
	case <-time.After(patience):
		c.t.Fatal("the worker is not ready")
	}
	return host
}

// inBackground runs a part until the test ends, or until it is stopped.
func inBackground(t testing.TB, run func(context.Context) error) (stop context.CancelFunc) {
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
	return stop
}

func (c *cluster) address() string { return c.runtime.Address().String() }

func (c *cluster) authority() *pki.Authority {
	c.t.Helper()
	authority, err := c.cfg.Authority()
	if err != nil {
		c.t.Fatal(err)
	}
	return authority
}

func (c *cluster) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	return ctx
}

// increment adds to a counter the honest way, and checks what it has counted.
func (c *cluster) increment(id string, by, want int32) {
	c.t.Helper()
	res, err := myactorv1francis.NewMyActorProxy(c.host.Service(), id).Increment(c.ctx(), &myactorv1.IncrementRequest{In: by})
	if err != nil || res.GetOut() != want {
		c.t.Errorf("%s counts %d, %v; want %d", id, res.GetOut(), err, want)
	}
}

// rogue is a worker or client that joined rightly, and then says what it likes.
type rogue struct {
	*cluster
	id     string
	holder *pki.Holder
	// calls and peer are the raw clients of the two ports.
	calls runtimev1connect.WorkerServiceClient
	peer  peerv1connect.PeerServiceClient
}

func (c *cluster) newRogue() *rogue {
	return c.newRogueAs(join.Request{Role: pki.RoleWorker, Address: "127.0.0.1:7571", Types: []string{"myactor"}})
}

// newRogueAs is one in the role of a request.
func (c *cluster) newRogueAs(req join.Request) *rogue {
	c.t.Helper()
	trust, err := pki.Pinned(c.authority().Bundle().PEM())
	if err != nil {
		c.t.Fatal(err)
	}
	req.Runtime, req.Trust, req.Secret = c.address(), trust, c.cfg.Bootstrap.HostPSK
	member, err := join.Join(c.ctx(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	r := &rogue{cluster: c, id: member.ID, holder: member.Holder}
	r.calls = runtimev1connect.NewWorkerServiceClient(c.client(c.address(), r.holder.DialRuntime()))
	r.peer = peerv1connect.NewPeerServiceClient(c.client(c.honest.GetAddress(), r.holder.DialWorker(c.honest.GetId())))
	return r
}

// http2Client has connections of its own, and knows no other protocol.
func (c *cluster) http2Client(config *tls.Config) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: config, Protocols: &protocols, DisableCompression: true}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (c *cluster) client(address string, config *tls.Config) *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(c.http2Client(config), "https://"+address, connecthttp.WithCompressors()))
}

// shardOf is the shard of an actor as the runtime's table has it.
func (r *rogue) shardOf(typ, id string) *runtimev1.Shard {
	r.t.Helper()
	shard := placement.ShardOf(id, placement.Shards)
	for cursor := ""; ; {
		table, err := r.calls.Watch(r.ctx(), &runtimev1.WatchRequest{Cursor: cursor})
		if err != nil {
			r.t.Fatal(err)
		}
		for _, entry := range table.GetShards() {
			if entry.GetType() == typ && entry.GetShard() == shard && entry.GetWorker() != "" {
				return entry
			}
		}
		cursor = table.GetCursor()
	}
}
