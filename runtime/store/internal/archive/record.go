package archive

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Header is the first record of a backup that is taken now.
func Header(c store.Cluster, now time.Time) *backupv1.Record {
	return &backupv1.Record{Record: &backupv1.Record_Header{Header: &backupv1.Header{
		Cluster: c.ID, Generation: c.Generation, Counter: uint64(c.Counter), Taken: timestamppb.New(now),
	}}}
}

// Type is the record of a type.
func Type(t store.Type) *backupv1.Record {
	return &backupv1.Record{Record: &backupv1.Record_Type{Type: &backupv1.Type{Type: t.Type, Shards: t.Shards}}}
}

// Actor is the record of an actor.
func Actor(a *backupv1.Actor) *backupv1.Record {
	return &backupv1.Record{Record: &backupv1.Record_Actor{Actor: a}}
}

// Key is the record of an idempotency key.
func Key(k *backupv1.Key) *backupv1.Record {
	return &backupv1.Record{Record: &backupv1.Record_Key{Key: k}}
}

// Task is the record of a task as it is stored: of one without a revision, which is
// damaged, the key alone.
func Task(s *runtimev1.ScheduledTask, dead bool) *backupv1.Record { //nolint:revive // dead is no mode, it is what a row says of itself
	t := &backupv1.Task{Task: s, Dead: dead}
	if s.GetRevision() == 0 {
		t.Damaged, t.Task = true, &runtimev1.ScheduledTask{Task: &runtimev1.Task{Key: s.GetTask().GetKey()}}
	}
	return &backupv1.Record{Record: &backupv1.Record_Task{Task: t}}
}
