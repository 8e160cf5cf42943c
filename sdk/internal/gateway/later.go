package gateway

import (
	"context"
	"crypto/rand"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/deliver"
)

// headerLater is what the header Francis-Deliver says, nil for a call that is for now.
func headerLater(header valuer, key string) (*actor.Later, error) {
	value, given, err := single(header, deliver.Header)
	if err != nil || !given {
		return nil, invalid(fault.InvalidTask, err)
	}
	later, err := deliver.Parse(value)
	if err != nil {
		return nil, fault.InvalidTask("the header " + deliver.Header + ": " + err.Error())
	}
	if later.Job != "" && key != "" {
		return nil, fault.InvalidTask("the job has an id and an idempotency key, from which its id follows; leave one of them out")
	}
	nameJob(later, key)
	return later, nil
}

// nameJob gives a job an id, unless it has one or it follows from a key.
func nameJob(later *actor.Later, key string) {
	if later.Alarm == "" && later.Job == "" && key == "" {
		later.Job = rand.Text()
	}
}

// jobID is the id of the job that a call enqueues, "" for an alarm.
func jobID(call actor.Call) string {
	if call.Later.Alarm == "" && call.Later.Job == "" {
		return task.JobID(call.Type, call.ID, call.Key)
	}
	return call.Later.Job
}

// serveLater answers a call that is for later: with an empty reply, and the id of a job.
func (g *Gateway) serveLater(ctx context.Context, info *connect.CallInfo, call actor.Call, stream connect.ServerStream) error {
	if _, err := g.directory.Service().Invoke(ctx, call); err != nil {
		return advised(info, err)
	}
	if id := jobID(call); id != "" {
		info.ResponseHeader().Set(deliver.JobHeader, id)
	}
	return stream.Send(&raw{emptyReply(call.Codec)})
}

// emptyReply is an empty message of any type.
func emptyReply(encoding peerv1.Codec) []byte {
	if encoding == peerv1.Codec_CODEC_PROTO {
		return nil
	}
	return []byte("{}")
}
