package task

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"path"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// tell is the job that tells the actor of a task that it has died; nil if it has no method
// for that.
func tell(failed *runtimev1.ScheduledTask, now time.Time) *runtimev1.ScheduledTask {
	task := failed.GetTask()
	if task.GetOnDeath() == "" {
		return nil
	}
	request, err := proto.Marshal(dead(failed, now))
	if err != nil {
		return nil // cannot happen: its strings were checked when the task was set
	}
	id := noticeID(task.GetKey(), failed.GetRevision())
	return at(&runtimev1.Task{
		Key:       &runtimev1.TaskKey{Type: task.GetKey().GetType(), Id: task.GetKey().GetId(), Name: &runtimev1.TaskKey_Job{Job: id}},
		Procedure: task.GetOnDeath(), Request: request,
		Retry: task.GetRetry(), Metadata: task.GetMetadata(),
	}, now, now, failed.GetRevision(), 0)
}

// dead is what the actor is told.
func dead(failed *runtimev1.ScheduledTask, now time.Time) *francisv1.DeadLetter {
	letter := &francisv1.DeadLetter{
		Method: path.Base(failed.GetTask().GetProcedure()), Request: failed.GetTask().GetRequest(),
		Error: failed.GetError(), Attempts: failed.GetFailures(),
		Scheduled: failed.GetScheduled(), Died: timestamppb.New(now),
	}
	switch name := failed.GetTask().GetKey().GetName().(type) {
	case *runtimev1.TaskKey_Alarm:
		letter.Task = &francisv1.DeadLetter_Alarm{Alarm: name.Alarm}
	case *runtimev1.TaskKey_Job:
		letter.Task = &francisv1.DeadLetter_Job{Job: name.Job}
	}
	return letter
}

// JobID is the id of a job that has an idempotency key: the same for the same key of the
// same actor, so that a job which waits is recognised.
func JobID(typ, id, key string) string { return idOf("key", typ, id, key) }

// noticeID is the id of the job that tells of the death of a task at that revision.
func noticeID(key *runtimev1.TaskKey, revision uint64) string {
	kind, name := "job", key.GetJob()
	if _, alarm := key.GetName().(*runtimev1.TaskKey_Alarm); alarm {
		kind, name = "alarm", key.GetAlarm()
	}
	return idOf("death", key.GetType(), key.GetId(), kind, name, string(binary.BigEndian.AppendUint64(nil, revision)))
}

// idOf derives an id from parts, which it keeps apart.
func idOf(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		hash.Write([]byte(part))
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(hash.Sum(nil)[:16]))
}
