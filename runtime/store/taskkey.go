package store

import (
	"cmp"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// TaskKey is a francis.runtime.v1.TaskKey as a value that can be compared.
type TaskKey struct {
	Type, ID string
	// Kind is KIND_ALARMS or KIND_JOBS.
	Kind runtimev1.ListRequest_Kind
	// Name is the name of the alarm or the id of the job.
	Name string
}

// KeyOf is the key of a message.
func KeyOf(key *runtimev1.TaskKey) TaskKey {
	k := TaskKey{Type: key.GetType(), ID: key.GetId(), Kind: runtimev1.ListRequest_KIND_ALARMS, Name: key.GetAlarm()}
	if name, ok := key.GetName().(*runtimev1.TaskKey_Job); ok {
		k.Kind, k.Name = runtimev1.ListRequest_KIND_JOBS, name.Job
	}
	return k
}

// Message is the message of a key.
func (k TaskKey) Message() *runtimev1.TaskKey {
	key := &runtimev1.TaskKey{Type: k.Type, Id: k.ID, Name: &runtimev1.TaskKey_Alarm{Alarm: k.Name}}
	if k.Kind == runtimev1.ListRequest_KIND_JOBS {
		key.Name = &runtimev1.TaskKey_Job{Job: k.Name}
	}
	return key
}

// Compare orders keys as they are listed: by type, actor, kind and name.
func (k TaskKey) Compare(other TaskKey) int {
	return cmp.Or(
		strings.Compare(k.Type, other.Type), strings.Compare(k.ID, other.ID),
		cmp.Compare(k.Kind, other.Kind), strings.Compare(k.Name, other.Name),
	)
}

// Position is the place of a task among those of its type: by when it is due, then by
// actor, kind and name.
type Position struct {
	Due time.Time
	Key TaskKey
}

// PositionOf is the place of a task.
func PositionOf(s *runtimev1.ScheduledTask) Position {
	return Position{Due: s.GetDue().AsTime(), Key: KeyOf(s.GetTask().GetKey())}
}

// Compare orders positions.
func (p Position) Compare(other Position) int {
	return cmp.Or(strings.Compare(p.Key.Type, other.Key.Type), p.Due.Compare(other.Due), p.Key.Compare(other.Key))
}

// DueUnit is how exactly a store knows when a task is due.
const DueUnit = time.Microsecond

// RoundDue is a time as stores keep it: rounded up, so that nothing is early.
func RoundDue(due *timestamppb.Timestamp) *timestamppb.Timestamp {
	t := due.AsTime()
	if whole := t.Truncate(DueUnit); whole.Before(t) {
		return timestamppb.New(whole.Add(DueUnit))
	}
	return due
}
