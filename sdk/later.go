package sdk

import (
	"context"
	"crypto/rand"
	"iter"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Later looks after the alarms and jobs of one actor. Generated proxies embed it, with
// methods beside it that set them: Schedule… an alarm, which has a name and replaces the
// one of that name, and Enqueue… a job, which has an id of its own. In a turn, what it
// changes belongs to the turn: it is stored with the turn's commit or not at all. What it
// reads is what is stored. It is a value, and safe for concurrent use.
type Later struct{ Ref }

// NewLater returns what looks after the alarms and jobs of an actor. A malformed id fails
// at the first call.
func NewLater(caller Caller, typ, id string) Later { return Later{NewRef(caller, typ, id)} }

// Enqueue calls a method as a job. Generated code calls it.
func Enqueue(ctx context.Context, ref Ref, procedure string, req proto.Message, opts ...EnqueueOption) (JobID, error) {
	var c laterCall
	for _, opt := range opts {
		opt.applyToJob(&c)
	}
	if c.key == "" {
		id := rand.Text()
		return JobID(id), ref.callLater(ctx, &actor.Call{Procedure: procedure, Request: req, Later: &actor.Later{Job: id}}, &c)
	}
	err := ref.callLater(ctx, &actor.Call{Procedure: procedure, Request: req, Key: c.key, Later: &actor.Later{}}, &c)
	return JobID(task.JobID(ref.typ, ref.id, c.key)), err
}

// Schedule calls a method as an alarm. Generated code calls it.
func Schedule(ctx context.Context, ref Ref, procedure, alarm string, when When, req proto.Message, opts ...ScheduleOption) error {
	if err := name.CheckAlarm(alarm); err != nil {
		return fault.InvalidTask(err.Error())
	}
	c := laterCall{when: when}
	for _, opt := range opts {
		opt.applyToAlarm(&c)
	}
	return ref.callLater(ctx, &actor.Call{Procedure: procedure, Request: req, Later: &actor.Later{Alarm: alarm}}, &c)
}

func (r Ref) callLater(ctx context.Context, call *actor.Call, c *laterCall) error {
	if err := r.check(); err != nil {
		return err
	}
	if c.when.err != nil {
		return fault.InvalidTask(c.when.err.Error())
	}
	call.Type, call.ID, call.Later.Timing = r.typ, r.id, c.timing()
	_, err := invoke(ctx, r.caller, call)
	return err
}

// Alarms yields the alarms of the actor, by name. They are read in pages as the loop goes
// on; one that is set or deleted meanwhile may be among them or not. An error ends them.
func (l Later) Alarms(ctx context.Context) iter.Seq2[Task, error] {
	return l.list(ctx, &runtimev1.ListRequest{Kind: runtimev1.ListRequest_KIND_ALARMS})
}

// Alarm returns an alarm. It fails with not_found if there is none of that name.
func (l Later) Alarm(ctx context.Context, name string) (Task, error) {
	return l.get(ctx, &runtimev1.ListRequest{Kind: runtimev1.ListRequest_KIND_ALARMS, Name: name}, Task{Alarm: name}, "alarm "+name)
}

// DeleteAlarm deletes an alarm. If a turn is handling it just now, nothing of that turn
// will have happened. Outside of a turn it fails with not_found if there is none of that
// name; in a turn that is no mistake.
func (l Later) DeleteAlarm(ctx context.Context, name string) error {
	return l.change(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: l.key(Task{Alarm: name})}})
}

// Jobs yields the jobs of the actor that wait or run, by id, as Alarms does alarms.
func (l Later) Jobs(ctx context.Context) iter.Seq2[Task, error] {
	return l.list(ctx, &runtimev1.ListRequest{Kind: runtimev1.ListRequest_KIND_JOBS})
}

// Job returns a job. It fails with not_found if there is none of that id: it never was, or
// it has ended.
func (l Later) Job(ctx context.Context, id JobID) (Task, error) {
	return l.get(ctx, &runtimev1.ListRequest{Kind: runtimev1.ListRequest_KIND_JOBS, Name: string(id)}, Task{Job: id}, "job "+string(id))
}

// CancelJob deletes a job, as DeleteAlarm does an alarm.
func (l Later) CancelJob(ctx context.Context, id JobID) error {
	return l.change(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: l.key(Task{Job: id})}})
}

// DeadLetters yields the alarms and jobs of the actor that were given up, as Alarms does
// alarms: alarms by name, and then jobs by id. They are kept until somebody decides about
// them.
func (l Later) DeadLetters(ctx context.Context) iter.Seq2[Task, error] {
	return l.list(ctx, &runtimev1.ListRequest{Dead: true})
}

// RetryDeadLetter makes a dead letter an alarm or a job again, due at once and with all of
// its attempts. Of the letter only Alarm or Job counts. Outside of a turn it fails with
// not_found if there is none, and with failed_precondition while an alarm or a job of that
// name goes on; in a turn neither is a mistake, and nothing happens.
func (l Later) RetryDeadLetter(ctx context.Context, letter Task) error {
	return l.change(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Revive{Revive: l.key(letter)}})
}

// DeleteDeadLetter deletes a dead letter. Of it only Alarm or Job counts. Outside of a turn
// it fails with not_found if there is none; in a turn that is no mistake.
func (l Later) DeleteDeadLetter(ctx context.Context, letter Task) error {
	return l.change(ctx, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Bury{Bury: l.key(letter)}})
}

func (l Later) change(ctx context.Context, change *runtimev1.TaskChange) error {
	if err := l.check(); err != nil {
		return err
	}
	return l.caller.Change(ctx, change)
}

// list yields what a request lists, page by page.
func (l Later) list(ctx context.Context, req *runtimev1.ListRequest) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		req := proto.CloneOf(req) // each loop begins anew
		for more := true; more; {
			page, err := l.page(ctx, req)
			if err != nil {
				yield(Task{}, err)
				return
			}
			for _, t := range page.GetTasks() {
				if !yield(taskOf(t), nil) {
					return
				}
				req.After = t.GetTask().GetKey()
			}
			more = page.GetMore() && len(page.GetTasks()) > 0
		}
	}
}

// get returns the one task that a request lists.
func (l Later) get(ctx context.Context, req *runtimev1.ListRequest, named Task, what string) (Task, error) {
	if err := task.CheckKey(l.key(named)); err != nil { // no name at all would list every one
		return Task{}, fault.InvalidTask(err.Error())
	}
	page, err := l.page(ctx, req)
	if err != nil {
		return Task{}, err
	}
	if len(page.GetTasks()) == 0 {
		return Task{}, fault.UnknownTask(what, l.typ+"/"+l.id)
	}
	return taskOf(page.GetTasks()[0]), nil
}

func (l Later) page(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	if err := name.CheckID(l.id); err != nil {
		return nil, fault.InvalidID(err.Error())
	}
	req.Type, req.Id = l.typ, l.id
	return l.caller.List(ctx, req)
}

// key is that of a task of the actor.
func (l Later) key(t Task) *runtimev1.TaskKey {
	key := &runtimev1.TaskKey{Type: l.typ, Id: l.id}
	if t.Job != "" {
		key.Name = &runtimev1.TaskKey_Job{Job: string(t.Job)}
	} else {
		key.Name = &runtimev1.TaskKey_Alarm{Alarm: t.Alarm}
	}
	return key
}
