package host_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/host"
)

const (
	here  = "here"
	there = "there"
	// maxPending is how many calls may wait for a probe.
	maxPending = 2000
)

// cluster is a cluster of which a test says what happens: one owner has all shards.
type cluster struct {
	// forward, load and commit answer for others; set before the first call.
	forward func(worker string, req *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error)
	load    func(ctx context.Context) (*runtimev1.LoadResponse_Result, error)
	commit  func() (*runtimev1.CommitResponse_Result, error)
	change  func() (runtimev1.ChangeResponse_Result, error)

	mu     sync.Mutex
	owner  string
	epoch  uint64
	lapsed bool
	// silent is true while other workers do not answer.
	silent  bool
	changed chan struct{}
	// others told.
	forwarded []string
	// records are those that were sent.
	records []*runtimev1.Record
	// changes and settlements are those that were sent.
	changes     []*runtimev1.TaskChange
	settlements []*runtimev1.Settlement
	// listed counts the lists that were read.
	listed int
}

func newCluster() *cluster {
	return &cluster{
		owner: here, epoch: 1, changed: make(chan struct{}),
		forward: func(string, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) { return reply(7), nil },
		load: func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}, nil
		},
		commit: func() (*runtimev1.CommitResponse_Result, error) { return verdict(runtimev1.Verdict_VERDICT_APPLIED) },
		change: func() (runtimev1.ChangeResponse_Result, error) { return runtimev1.ChangeResponse_RESULT_DONE, nil },
	}
}

// reply is what another worker answers: the sum of a probe.
func reply(sum int64) *peerv1.InvokeResponse {
	data, _ := proto.Marshal(&behaviourv1.AddResponse{Sum: sum})
	return &peerv1.InvokeResponse{Reply: data}
}

func notOwner(entry *runtimev1.Shard) *peerv1.InvokeResponse {
	return &peerv1.InvokeResponse{NotOwner: entry}
}

func verdict(v runtimev1.Verdict) (*runtimev1.CommitResponse_Result, error) {
	return &runtimev1.CommitResponse_Result{Verdict: v, Version: 1}, nil
}

// set changes the cluster and wakes those who wait for it.
func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *cluster) move(owner string) { c.set(func() { c.owner, c.epoch = owner, c.epoch+1 }) }
func (c *cluster) lapse()            { c.set(func() { c.lapsed = true }) }
func (c *cluster) heal()             { c.set(func() { c.lapsed = false }) }

func (c *cluster) until(ctx context.Context, done func() bool) error {
	for {
		c.mu.Lock()
		changed, over := c.changed, done()
		c.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (*cluster) Worker() string                       { return here }
func (*cluster) AwaitTable(ctx context.Context) error { return ctx.Err() }
func (*cluster) Types() []string                      { return []string{"probe"} }
func (*cluster) Serves(typ string) bool               { return typ == "probe" }
func (c *cluster) ActiveForForwarded() bool           { return c.Active() }

func (c *cluster) Entry(typ string, shard uint32) *runtimev1.Shard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &runtimev1.Shard{Type: typ, Shard: shard, Worker: c.owner, Epoch: c.epoch}
}

func (c *cluster) Await(ctx context.Context, _ string, _ uint32, epoch uint64) error {
	return c.until(ctx, func() bool { return c.epoch >= epoch && c.owner != "" })
}

func (c *cluster) Active() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.lapsed
}

func (c *cluster) Pass(ctx context.Context) error {
	return c.until(ctx, func() bool { return !c.lapsed })
}

func (c *cluster) Forward(ctx context.Context, worker string, req *peerv1.InvokeRequest, res *peerv1.InvokeResponse) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	c.forwarded = append(c.forwarded, worker)
	c.mu.Unlock()
	if err := c.until(ctx, func() bool { return !c.silent }); err != nil {
		return fault.LinkLost(err)
	}
	got, err := c.forward(worker, req)
	proto.Merge(res, got)
	return err
}

func (c *cluster) Load(ctx context.Context, _ *runtimev1.LoadRequest_Read) (*runtimev1.LoadResponse_Result, error) {
	return c.load(ctx)
}

func (c *cluster) Commit(from host.Sender) {
	record := proto.CloneOf(from.Seal()) // which is the sender's again when it is answered
	c.mu.Lock()
	c.records = append(c.records, record)
	c.mu.Unlock()
	go func() { from.Answered(c.commit()) }()
}

func (*cluster) Contract(string) *contract.Contract { return nil }

func (c *cluster) Change(_ context.Context, change *runtimev1.TaskChange) (runtimev1.ChangeResponse_Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = append(c.changes, change)
	return c.change()
}

func (c *cluster) Settle(settlement *runtimev1.Settlement, settled func()) {
	c.mu.Lock()
	c.settlements = append(c.settlements, settlement)
	c.mu.Unlock()
	settled()
}

func (c *cluster) List(context.Context, *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed++
	return &runtimev1.ListResponse{}, nil
}

func (c *cluster) ListActors(context.Context, *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed++
	return &runtimev1.ListActorsResponse{}, nil
}

// wantForwarded checks to whom calls were sent.
func (c *cluster) wantForwarded(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.forwarded, want) {
		t.Errorf("calls were forwarded to %v, want %v", c.forwarded, want)
	}
}

// bed is a host of probes in a cluster.
type bed struct {
	*cluster

	t      *testing.T
	host   *host.Host
	probes *behaviour.Probes
	// ended is set by a test that has ended the host itself.
	ended bool
}

// run runs a test in a bubble, which does not end before the host has.
func run(t *testing.T, test func(b *bed)) {
	t.Helper()
	runWith(t, func(b *bed) error {
		return behaviourv1francis.RegisterProbeActor(b.host, b.probes.New, sdk.WithMaxPending(maxPending))
	}, test)
}

// withRelays registers relays beside the probes: actors without state that call them.
func withRelays(b *bed) error {
	return errors.Join(
		behaviourv1francis.RegisterProbeActor(b.host, b.probes.New),
		behaviourv1francis.RegisterRelayActor(b.host, behaviour.NewRelay))
}

// runWith is run with the actors that register registers.
func runWith(t *testing.T, register func(b *bed) error, test func(b *bed)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{cluster: newCluster(), t: t, probes: &behaviour.Probes{}}
		var err error
		b.host, err = host.New(host.Config{Cluster: b.cluster, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		b.probes.Service = b.host.Service()
		if err := register(b); err != nil {
			t.Fatal(err)
		}
		test(b)
		b.heal()
		if b.ended {
			return
		}
		ended, stop := context.WithCancel(context.Background())
		stop()
		if err := b.host.Run(ended); err != nil {
			t.Error(err)
		}
	})
}

// outcome is how a call ended.
type outcome struct {
	sum int64
	err error
}

func (b *bed) add(req *behaviourv1.AddRequest, opts ...sdk.CallOption) <-chan outcome {
	return inBackground(func() (int64, error) {
		res, err := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Add(context.Background(), req, append(opts, sdk.WithoutRetries())...)
		return res.GetSum(), err
	})
}

func (b *bed) read(script *behaviourv1.Script) <-chan outcome {
	return inBackground(func() (int64, error) {
		res, err := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Read(context.Background(), &behaviourv1.ReadRequest{Script: script}, sdk.WithoutRetries())
		return res.GetSum(), err
	})
}

// inBackground makes a call. The bubble is at rest when it returns.
func inBackground(call func() (int64, error)) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		sum, err := call()
		done <- outcome{sum, err}
	}()
	synctest.Wait()
	return done
}

// lose moves the shards of the probe to the other worker.
func (b *bed) lose() {
	b.move(there)
	b.revoke()
}

func (b *bed) revoke() {
	for shard := range uint32(256) {
		b.host.Revoke("probe", shard)
	}
	synctest.Wait()
}

func gated(in int64) *behaviourv1.AddRequest {
	return &behaviourv1.AddRequest{In: in, Script: &behaviourv1.Script{Wait: "gate"}}
}

func shardOf(id string) uint32 { return placement.ShardOf(id, placement.Shards) }

// forwarded is a call of Add as another worker sends it.
func forwarded(in int64) *peerv1.InvokeRequest {
	body, _ := proto.Marshal(&behaviourv1.AddRequest{In: in})
	return &peerv1.InvokeRequest{
		Type: "probe", Id: "id1", Epoch: 1,
		Procedure: "/behaviour.v1.ProbeActor/Add", Codec: peerv1.Codec_CODEC_PROTO, Body: body,
	}
}

func sumOf(t *testing.T, res *peerv1.InvokeResponse, err error) int64 {
	t.Helper()
	var reply behaviourv1.AddResponse
	if err := errors.Join(err, proto.Unmarshal(res.GetReply(), &reply)); err != nil {
		t.Error(err)
	}
	return reply.GetSum()
}

// forwardedCall is a call as the link gives it to a host.
type forwardedCall struct {
	context.Context

	answer func(*peerv1.InvokeResponse, error)
}

func (f forwardedCall) Answer(res *peerv1.InvokeResponse, err error) { f.answer(res, err) }

func (f forwardedCall) Notify(l link.Leaver) { context.AfterFunc(f, l.Gone) }
