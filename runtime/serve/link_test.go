package serve_test

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/link"
)

// openLink opens a link as a worker does; it ends with the test.
func openLink(t *testing.T, links runtimev1connect.LinkServiceClient) (*link.Client, error) {
	t.Helper()
	client, err := link.Open(t.Context(), links.Link, time.Hour)
	if err == nil {
		t.Cleanup(client.Close)
	}
	return client, err
}

// ask makes a request on a link.
func ask(t *testing.T, client *link.Client, req *runtimev1.LinkRequest) (*runtimev1.LinkResponse, error) {
	t.Helper()
	body, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Call(t.Context(), link.Bytes(body))
	if err != nil {
		return nil, err
	}
	res := &runtimev1.LinkResponse{}
	return res, proto.Unmarshal(answer, res)
}

func load(reads ...*runtimev1.LoadRequest_Read) *runtimev1.LinkRequest {
	return &runtimev1.LinkRequest{Request: &runtimev1.LinkRequest_Load{Load: &runtimev1.LoadRequest{Reads: reads}}}
}

func commit(records ...*runtimev1.Record) *runtimev1.LinkRequest {
	return &runtimev1.LinkRequest{Request: &runtimev1.LinkRequest_Commit{Commit: &runtimev1.CommitRequest{Records: records}}}
}

// What travels on a link meets the same fence and the same checks as a request of its own.
func TestLinkIsServedAsRequestsAre(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	holder := r.join("127.0.0.1:7571").Holder
	calls := r.dial(holder.DialRuntime())
	if _, err := calls.Announce(t.Context(), announcement()); err != nil {
		t.Fatal(err)
	}
	client, err := openLink(t, r.links(holder.DialRuntime()))
	if err != nil {
		t.Fatal(err)
	}
	actor := &runtimev1.Actor{Type: announcement().GetTypes()[0].GetName(), Id: "id1"}
	fence := &runtimev1.Fence{Shard: placement.ShardOf(actor.GetId(), placement.Shards), Epoch: 1}
	record := &runtimev1.Record{Actor: actor, Fence: fence, Identity: &runtimev1.Identity{Activation: 7, Sequence: 1}, Message: "myactor.v1.MyActorState", Data: []byte("state")}

	written, err := ask(t, client, commit(record))
	if results := written.GetCommit().GetResults(); err != nil || len(results) != 1 || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED || len(written.GetCommit().GetMark()) == 0 {
		t.Errorf("the commit is answered with %v, %v", written, err)
	}
	again, err := ask(t, client, commit(record))
	if results := again.GetCommit().GetResults(); err != nil || len(results) != 1 || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_ALREADY_APPLIED {
		t.Errorf("the repetition is answered with %v, %v", again, err)
	}
	read, err := ask(t, client, load(&runtimev1.LoadRequest_Read{Actor: actor, Fence: fence}))
	if results := read.GetLoad().GetResults(); err != nil || len(results) != 1 || string(results[0].GetState().GetData()) != "state" {
		t.Errorf("the load is answered with %v, %v", read, err)
	}

	late := proto.CloneOf(record)
	late.Fence.Epoch = 9
	refused, err := ask(t, client, commit(late))
	if results := refused.GetCommit().GetResults(); err != nil || len(results) != 1 || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH {
		t.Errorf("a record of another epoch is answered with %v, %v", refused, err)
	}
	for name, req := range map[string]*runtimev1.LinkRequest{
		"nothing":    {},
		"a bad id":   load(&runtimev1.LoadRequest_Read{Actor: &runtimev1.Actor{Type: "counter", Id: "."}, Fence: fence}),
		"a bad type": commit(&runtimev1.Record{Actor: &runtimev1.Actor{Id: "id1"}}),
	} {
		if _, err := ask(t, client, req); codeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s is answered with %v", name, err)
		}
	}
	if _, err := client.Call(t.Context(), link.Bytes{0xff}); codeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a malformed request is answered with %v", err)
	}
}

func TestAWorkerHoldsFewLinks(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	links := r.links(r.join("127.0.0.1:7571").Holder.DialRuntime())
	var last *link.Client
	for range 16 {
		client, err := openLink(t, links)
		if err != nil {
			t.Fatal(err)
		}
		last = client
	}
	if _, err := openLink(t, links); codeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("one link too many is answered with %v", err)
	}
	last.Close()
	for ctx := t.Context(); ; { // the runtime hears of the end
		if _, err := openLink(t, links); err == nil || ctx.Err() != nil {
			break
		}
	}
}

// A runtime that stops waits for no link.
func TestAStopEndsLinks(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	client, err := openLink(t, r.links(r.join("127.0.0.1:7571").Holder.DialRuntime()))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	<-client.Ended()
	if _, err := client.Call(context.Background(), link.Bytes(nil)); err == nil {
		t.Error("a request is answered after the end")
	}
}
