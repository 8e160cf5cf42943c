package remote_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/gen/francis/peer/v1/peerv1connect"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/internal/pki"
)

// invocation is an increment by 0 as a good worker forwards it.
func (r *rogue) invocation() *peerv1.InvokeRequest {
	theirs := r.shardOf("myactor", victim)
	body, _ := proto.Marshal(&myactorv1.IncrementRequest{})
	return &peerv1.InvokeRequest{
		Type: "myactor", Id: victim, Procedure: "/myactor.v1.MyActor/Increment", Epoch: theirs.GetEpoch(),
		Codec: peerv1.Codec_CODEC_PROTO, Body: body, TimeoutNanos: int64(patience),
	}
}

func chainOf(n int) []*runtimev1.Actor {
	actors := make([]*runtimev1.Actor, n)
	for i := range actors {
		actors[i] = &runtimev1.Actor{Type: "myactor", Id: fmt.Sprint("caller", i)}
	}
	return actors
}

// invocations are calls that no good worker makes; code 0 is answered rightly.
var invocations = map[string]struct {
	change func(*peerv1.InvokeRequest)
	code   connect.Code
	text   string
}{
	"as it should be": {func(*peerv1.InvokeRequest) {}, 0, ""},
	"a chain with the actor": {func(i *peerv1.InvokeRequest) {
		i.Chain = append(chainOf(1), &runtimev1.Actor{Type: i.GetType(), Id: i.GetId()})
	}, connect.CodeFailedPrecondition, "wait"},
	"a chain of 64":         {func(i *peerv1.InvokeRequest) { i.Chain = chainOf(64) }, connect.CodeFailedPrecondition, "64"},
	"a chain of 50,000":     {func(i *peerv1.InvokeRequest) { i.Chain = chainOf(50_000) }, connect.CodeFailedPrecondition, "64"},
	"a chain of nobody":     {func(i *peerv1.InvokeRequest) { i.Chain = []*runtimev1.Actor{{}} }, 0, ""},
	"a view out of nowhere": {func(i *peerv1.InvokeRequest) { i.FromView = true }, connect.CodeFailedPrecondition, "view"},
	"a view that changes":   {func(i *peerv1.InvokeRequest) { i.FromView, i.Chain = true, chainOf(1) }, connect.CodeFailedPrecondition, "view"},
	"no epoch":              {func(i *peerv1.InvokeRequest) { i.Epoch = 0 }, 0, ""},
	"a past epoch":          {func(i *peerv1.InvokeRequest) { i.Epoch-- }, 0, ""},
	"a future epoch": {func(i *peerv1.InvokeRequest) {
		i.Epoch, i.TimeoutNanos = math.MaxUint64, int64(50*time.Millisecond)
	}, connect.CodeDeadlineExceeded, "deadline"},
	"the longest timeout":    {func(i *peerv1.InvokeRequest) { i.TimeoutNanos = math.MaxInt64 }, 0, ""},
	"a negative timeout":     {func(i *peerv1.InvokeRequest) { i.TimeoutNanos = math.MinInt64 }, 0, ""},
	"no codec":               {func(i *peerv1.InvokeRequest) { i.Codec = peerv1.Codec_CODEC_UNSPECIFIED }, connect.CodeInvalidArgument, "codec"},
	"an unknown codec":       {func(i *peerv1.InvokeRequest) { i.Codec = 99 }, connect.CodeInvalidArgument, "codec"},
	"a negative codec":       {func(i *peerv1.InvokeRequest) { i.Codec = -1 }, connect.CodeInvalidArgument, "codec"},
	"a damaged body":         {func(i *peerv1.InvokeRequest) { i.Body = []byte{0xff} }, connect.CodeInvalidArgument, "IncrementRequest"},
	"a body that is no JSON": {func(i *peerv1.InvokeRequest) { i.Codec, i.Body = peerv1.Codec_CODEC_JSON, []byte("{") }, connect.CodeInvalidArgument, "IncrementRequest"},
	"deep JSON": {func(i *peerv1.InvokeRequest) {
		i.Codec, i.Body = peerv1.Codec_CODEC_JSON, []byte(`{"a":`+strings.Repeat("[", 1<<20))
	}, connect.CodeInvalidArgument, "IncrementRequest"},
	"too large a body":          {func(i *peerv1.InvokeRequest) { i.Body = make([]byte, 5<<20) }, connect.CodeResourceExhausted, ""},
	"too much metadata":         {func(i *peerv1.InvokeRequest) { i.Metadata = map[string]string{"a": strings.Repeat("a", 4<<10)} }, connect.CodeResourceExhausted, "metadata"},
	"much metadata":             {func(i *peerv1.InvokeRequest) { i.Metadata = map[string]string{"a": strings.Repeat("a", 4<<10-1)} }, 0, ""},
	"a type that nobody serves": {func(i *peerv1.InvokeRequest) { i.Type = "nobodys" }, connect.CodeNotFound, "nobodys"},
	"no actor":                  {func(i *peerv1.InvokeRequest) { i.Type, i.Id = "", "" }, connect.CodeInvalidArgument, "the actor id is empty"},
	"a long id":                 {func(i *peerv1.InvokeRequest) { i.Id = strings.Repeat("a", 513) }, connect.CodeInvalidArgument, "at most 512"},
	"a control character":       {func(i *peerv1.InvokeRequest) { i.Id = "a\nb" }, connect.CodeInvalidArgument, "control character"},
	"no method":                 {func(i *peerv1.InvokeRequest) { i.Procedure = "" }, connect.CodeUnimplemented, ""},
	"a method of the cluster":   {func(i *peerv1.InvokeRequest) { i.Procedure = "/francis.runtime.v1.WorkerService/Commit" }, connect.CodeUnimplemented, "Commit"},
}

// T23 on a worker's port: whatever another worker or a client sends is answered rightly or
// refused by name, and none of it ends in a panic.
func TestARoguePeerIsRefusedByName(t *testing.T) {
	t.Parallel()
	for role, start := range map[string]func(*testing.T) *rogue{"worker": startRogue, "client": startRogueClient} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			start(t).invokeAll()
		})
	}
}

func (r *rogue) invokeAll() {
	t := r.t
	for name, test := range invocations {
		req := r.invocation()
		test.change(req)
		began := time.Now()
		res, err := r.peer.Invoke(r.ctx(), req)
		switch {
		case test.code == 0 && (err != nil || res.GetReply() == nil):
			t.Errorf("%s: %v, %v; want a reply", name, res, err)
		case test.code != 0 && (connect.CodeOf(err) != test.code || fault.Detail(err) == nil && name != "too large a body" || !strings.Contains(err.Error(), test.text)):
			t.Errorf("%s: %.300v; want %v: … %s", name, err, test.code, test.text)
		}
		if path := fault.Detail(err).GetPath(); len(path) > 100 {
			t.Errorf("%s is answered with a path of %d actors", name, len(path))
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("%s took %v", name, took)
		}
	}
	r.unharmed()
}

// liar is a worker that answers every call with the same.
type liar struct {
	answer *peerv1.InvokeResponse
	asked  atomic.Int64
}

func (l *liar) Invoke(context.Context, *peerv1.InvokeRequest) (*peerv1.InvokeResponse, error) {
	l.asked.Add(1)
	return l.answer, nil
}

func (l *liar) Link(ctx context.Context, stream peerv1connect.PeerServiceLinkServerStream) error {
	answer, err := proto.Marshal(l.answer)
	if err != nil {
		return err
	}
	return link.Serve(ctx, stream, link.Server{
		Take: func(request *link.Request, _ []byte) {
			l.asked.Add(1)
			request.Answer(link.Bytes(answer), nil)
		},
		Valid: func() bool { return true },
	})
}

// serve makes the rogue answer calls of its own type.
func (r *rogue) serve(l *liar) {
	r.t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", r.holder.MemberServer(pki.RoleWorker))
	if err != nil {
		r.t.Fatal(err)
	}
	rpc, mux := connect.NewServer(), http.NewServeMux()
	peerv1connect.RegisterPeerServiceHandler(rpc, l)
	connecthttp.Mount(mux, rpc)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	r.t.Cleanup(func() { server.Close() })
	if _, err := r.calls.Announce(r.ctx(), announcement(listener.Addr().String())); err != nil {
		r.t.Fatal(err)
	}
}

// invokeOwn calls an actor of the rogue through the honest worker.
func (r *rogue) invokeOwn() *httptest.ResponseRecorder {
	ctx, cancel := context.WithTimeout(r.ctx(), time.Second)
	defer cancel()
	answer := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/invoke/"+ownType+"/own/increment", strings.NewReader("{}"))
	r.host.Gateway().ServeHTTP(answer, req)
	return answer
}

// What a worker answers says nothing about shards that were not asked for, and no
// answer makes a caller believe that an actor lives where the runtime did not place
// it.
func TestARoguePeerLies(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*rogue) *runtimev1.Shard{
		"about an actor of others": func(r *rogue) *runtimev1.Shard {
			return &runtimev1.Shard{Type: "myactor", Shard: r.shardOf("myactor", victim).GetShard(), Epoch: math.MaxUint64, Worker: r.id}
		},
		"about no worker at all": func(r *rogue) *runtimev1.Shard {
			return &runtimev1.Shard{Type: "myactor", Shard: r.shardOf("myactor", victim).GetShard(), Epoch: math.MaxUint64}
		},
		"about a shard that is none": func(*rogue) *runtimev1.Shard {
			return &runtimev1.Shard{Type: "myactor", Shard: math.MaxUint32, Epoch: 1}
		},
		"about itself": func(r *rogue) *runtimev1.Shard {
			return &runtimev1.Shard{Type: ownType, Shard: r.shardOf(ownType, "own").GetShard(), Epoch: math.MaxUint64, Worker: r.honest.GetId()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRogue(t)
			l := &liar{answer: &peerv1.InvokeResponse{NotOwner: lie(r)}}
			r.serve(l)
			answer := &httptest.ResponseRecorder{}
			eventually(t, "the honest worker knows of the type", func() bool {
				answer = r.invokeOwn()
				return l.asked.Load() > 0
			})
			if answer.Code == http.StatusOK {
				t.Errorf("answered %s", answer.Body)
			}
			t.Logf("asked %d times: %s", l.asked.Load(), answer.Body)
			r.unharmed()
		})
	}
}
