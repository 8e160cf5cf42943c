package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
)

const superseded = runtimev1.Verdict_VERDICT_SUPERSEDED

const (
	done     = runtimev1.ChangeResponse_RESULT_DONE
	exists   = runtimev1.ChangeResponse_RESULT_EXISTS
	conflict = runtimev1.ChangeResponse_RESULT_CONFLICT
	notFound = runtimev1.ChangeResponse_RESULT_NOT_FOUND
)

var taskTests = []test{
	{"a task is set, changed and deleted", taskChanged},
	{"a job that waits is set once", taskJobOnce},
	{"a task without a time left is none", taskNever},
	{"changes are made in order and all together", taskOrder},
	{"a revision is never used again", taskRevisions},
	{"malformed changes are refused", taskMalformed},
	{"a record sets tasks with its state", taskStaged},
	{"a refused record changes no task", taskRefused},
	{"a record completes the delivery", taskCompleted},
	{"a superseded delivery refuses the whole record", taskSuperseded},
	{"the identity comes before the completion", taskIdentity},
	{"a record that completes and changes the same task", taskCompletedAndChanged},
	{"tasks outlive the state of their actor", taskOutlives},
	{"the counter grows with tasks", taskCounter},
}

// alarm and job are keys of tasks of carts.
func alarm(id, name string) *runtimev1.TaskKey {
	return &runtimev1.TaskKey{Type: "cart", Id: id, Name: &runtimev1.TaskKey_Alarm{Alarm: name}}
}

func job(id, name string) *runtimev1.TaskKey {
	return &runtimev1.TaskKey{Type: "cart", Id: id, Name: &runtimev1.TaskKey_Job{Job: name}}
}

// task is a task that is due at once, with a request of its own.
func task(key *runtimev1.TaskKey, request string) *runtimev1.Task {
	return &runtimev1.Task{
		Key: key, Procedure: "/shop.v1.Cart/Remind", Request: []byte(request),
		Retry: &runtimev1.Retry{
			Attempts: 3, Multiplier: 2,
			InitialBackoff: durationpb.New(10 * time.Second), MaxBackoff: durationpb.New(time.Hour),
		},
	}
}

// after is a task that is due after a delay.
func after(key *runtimev1.TaskKey, delay time.Duration) *runtimev1.Task {
	t := task(key, "")
	t.Timing = &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(delay)}}
	return t
}

// every is a task that is due at once and then every so often.
func every(key *runtimev1.TaskKey, interval time.Duration) *runtimev1.Task {
	t := task(key, "")
	t.Timing = &runtimev1.Timing{Repeat: &runtimev1.Timing_Every{Every: &runtimev1.Interval{Time: durationpb.New(interval)}}}
	return t
}

func set(t *runtimev1.Task) *runtimev1.TaskChange {
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: t}}
}

func remove(key *runtimev1.TaskKey) *runtimev1.TaskChange {
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: key}}
}

func revive(key *runtimev1.TaskKey) *runtimev1.TaskChange {
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Revive{Revive: key}}
}

func bury(key *runtimev1.TaskKey) *runtimev1.TaskChange {
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Bury{Bury: key}}
}

// change makes changes.
func (b *bench) change(changes ...*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, store.Moved) {
	b.Helper()
	results, moved, err := b.Change(b.Context(), changes)
	b.ok(err)
	return results, moved
}

// set sets tasks and expects that it is done.
func (b *bench) set(tasks ...*runtimev1.Task) store.Moved {
	b.Helper()
	var changes []*runtimev1.TaskChange
	for _, t := range tasks {
		changes = append(changes, set(t))
	}
	results, moved := b.change(changes...)
	for i, result := range results {
		want(b, "set "+name(tasks[i].GetKey()), result, done)
	}
	return moved
}

// name is a key in short.
func name(key *runtimev1.TaskKey) string {
	k := store.KeyOf(key)
	if k.Kind == runtimev1.ListRequest_KIND_JOBS {
		return k.ID + "#" + k.Name
	}
	return k.ID + "!" + k.Name
}

func names[T interface{ GetTask() *runtimev1.Task }](tasks []T) []string {
	all := []string{}
	for _, t := range tasks {
		all = append(all, name(t.GetTask().GetKey()))
	}
	return all
}

// stored is a task that lives, or nil; dead is a dead letter.
func (b *bench) stored(key *runtimev1.TaskKey) *runtimev1.ScheduledTask {
	b.Helper()
	return b.one(key, &runtimev1.ListRequest{})
}

func (b *bench) dead(key *runtimev1.TaskKey) *runtimev1.ScheduledTask {
	b.Helper()
	return b.one(key, &runtimev1.ListRequest{Dead: true})
}

func (b *bench) one(key *runtimev1.TaskKey, req *runtimev1.ListRequest) *runtimev1.ScheduledTask {
	b.Helper()
	k := store.KeyOf(key)
	req.Type, req.Id, req.Kind, req.Name = k.Type, k.ID, k.Kind, k.Name
	found := b.list(req).GetTasks()
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

func (b *bench) list(req *runtimev1.ListRequest) *runtimev1.ListResponse {
	b.Helper()
	res, err := b.List(b.Context(), req)
	b.ok(err)
	return res
}

// due is what is due by now.
func (b *bench) due() []*runtimev1.ScheduledTask {
	b.Helper()
	return b.dueIn(0)
}

func (b *bench) dueIn(ahead time.Duration) []*runtimev1.ScheduledTask {
	b.Helper()
	found, err := b.Due(b.Context(), store.DueQuery{Type: "cart", Until: b.clock.now().Add(ahead), Limit: 100})
	b.ok(err)
	return found.Tasks
}

// completing is a record that completes a delivery.
func completing(r *runtimev1.Record, s *runtimev1.ScheduledTask) *runtimev1.Record {
	r.Completes = &runtimev1.Completion{Key: s.GetTask().GetKey(), Revision: s.GetRevision()}
	return r
}

// changing is a record that makes changes.
func changing(r *runtimev1.Record, changes ...*runtimev1.TaskChange) *runtimev1.Record {
	r.Changes = changes
	return r
}

// moved checks that moves say what is stored.
func (b *bench) moved(what string, moved store.Moved, keys ...*runtimev1.TaskKey) {
	b.Helper()
	expected, got := []string{}, []string{}
	for _, key := range keys {
		expected = append(expected, name(key))
	}
	for _, m := range moved.Moves {
		got = append(got, name(m.Key.Message()))
		if now := b.stored(m.Key.Message()); !proto.Equal(now, m.Task) || (now == nil) != (m.Task == nil) {
			b.Errorf("%s: %s moved to %v, and %v is stored", what, name(m.Key.Message()), m.Task, now)
		}
	}
	slices.Sort(expected)
	slices.Sort(got)
	want(b, what+": moves", got, expected)
}

func taskChanged(b *bench) {
	b.single()
	begun := b.clock.now()
	b.moved("set", b.set(after(alarm("a", "tea"), time.Minute)), alarm("a", "tea"))
	first := b.stored(alarm("a", "tea"))
	if at := first.GetDue().AsTime(); at.Before(begun.Add(time.Minute)) || at.After(b.clock.now().Add(time.Minute+time.Millisecond)) {
		b.Errorf("due at %v, a minute after %v", at, begun)
	}
	want(b, "what is due", names(b.due()), []string{})
	want(b, "what is due in a minute", names(b.dueIn(2*time.Minute)), []string{"a!tea"})

	b.moved("replace", b.set(task(alarm("a", "tea"), "new")), alarm("a", "tea"))
	next := b.stored(alarm("a", "tea"))
	want(b, "request", string(next.GetTask().GetRequest()), "new")
	if next.GetRevision() <= first.GetRevision() {
		b.Errorf("revision %d after %d", next.GetRevision(), first.GetRevision())
	}
	want(b, "what is due", names(b.due()), []string{"a!tea"})

	results, moved := b.change(remove(alarm("a", "tea")), remove(alarm("a", "tea")), remove(job("a", "tea")))
	want(b, "results", results, []runtimev1.ChangeResponse_Result{done, notFound, notFound})
	b.moved("delete", moved, alarm("a", "tea"))
	want(b, "what is due", names(b.due()), []string{})
}

func taskJobOnce(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"), task(alarm("a", "1"), "y"))
	before := b.stored(job("a", "1"))
	other := task(job("a", "1"), "x")
	other.Procedure = "/shop.v1.Cart/Other"
	results, moved := b.change(set(task(job("a", "1"), "x")), set(task(job("a", "1"), "z")), set(other), set(task(job("b", "1"), "x")))
	want(b, "results", results, []runtimev1.ChangeResponse_Result{exists, conflict, conflict, done})
	b.moved("again", moved, job("b", "1"))
	if now := b.stored(job("a", "1")); !proto.Equal(now, before) {
		b.Errorf("the job is %v, and was %v", now, before)
	}
}

func taskNever(b *bench) {
	b.single()
	b.set(task(alarm("a", "tea"), ""))
	ended := every(alarm("a", "tea"), time.Hour)
	ended.Timing.Until = timestamppb.New(b.clock.now().Add(-time.Hour))
	b.moved("set", b.set(ended), alarm("a", "tea"))
	if now := b.stored(alarm("a", "tea")); now != nil {
		b.Errorf("a task that has ended is stored: %v", now)
	}
	want(b, "what is due", names(b.due()), []string{})
}

func taskOrder(b *bench) {
	b.single()
	results, moved := b.change(
		remove(alarm("a", "x")), set(task(alarm("a", "x"), "1")), set(task(alarm("a", "x"), "2")),
		set(task(job("a", "x"), "1")), set(task(job("a", "x"), "2")), remove(job("a", "x")), set(task(job("a", "x"), "3")),
		set(task(alarm("a", "y"), "1")), remove(alarm("a", "y")),
	)
	want(b, "results", results, []runtimev1.ChangeResponse_Result{notFound, done, done, done, conflict, done, done, done, done})
	b.moved("changes", moved, alarm("a", "x"), job("a", "x"), alarm("a", "y"))
	want(b, "alarm", string(b.stored(alarm("a", "x")).GetTask().GetRequest()), "2")
	want(b, "job", string(b.stored(job("a", "x")).GetTask().GetRequest()), "3")
	want(b, "tasks", names(b.list(&runtimev1.ListRequest{Type: "cart"}).GetTasks()), []string{"a!x", "a#x"})
	want(b, "counter", b.counter(), moved.Counter)
	want(b, "no changes", len(b.empty().Moves), 0)
}

// empty changes nothing.
func (b *bench) empty() store.Moved {
	b.Helper()
	before := b.counter()
	results, moved := b.change()
	want(b, "results of nothing", len(results), 0)
	want(b, "counter after nothing", moved.Counter, before)
	return moved
}

func taskRevisions(b *bench) {
	b.single()
	seen := map[uint64]bool{}
	for range 20 {
		b.set(task(alarm("a", "x"), ""))
		revision := b.stored(alarm("a", "x")).GetRevision()
		if revision == 0 || seen[revision] {
			b.Fatalf("revision %d, after %v", revision, seen)
		}
		seen[revision] = true
		b.change(remove(alarm("a", "x")))
	}
}

func taskMalformed(b *bench) {
	b.single()
	good := set(task(alarm("a", "x"), ""))
	for what, bad := range map[string]*runtimev1.TaskChange{
		"nothing":   {},
		"no key":    set(&runtimev1.Task{}),
		"no name":   set(task(&runtimev1.TaskKey{Type: "cart", Id: "a"}, "")),
		"no id":     remove(alarm("", "x")),
		"no type":   revive(&runtimev1.TaskKey{Id: "a", Name: alarm("a", "x").GetName()}),
		"empty job": bury(job("a", "")),
	} {
		_, _, err := b.Change(b.Context(), []*runtimev1.TaskChange{good, bad})
		wantError(b, what, err, store.ErrInvalid)
		_, _, err = b.Commit(b.Context(), "w1", []*runtimev1.Record{changing(record("a", nil, at(1, 1), "x"), good, bad)})
		wantError(b, "a record with "+what, err, store.ErrInvalid)
	}
	_, _, err := b.Change(b.Context(), slices.Repeat([]*runtimev1.TaskChange{good}, limit.MaxChanges+1))
	wantError(b, "too many", err, store.ErrInvalid)
	_, _, err = b.Change(b.Context(), slices.Repeat([]*runtimev1.TaskChange{revive(job("a", "x"))}, limit.MaxRevived+1))
	wantError(b, "too many revivals", err, store.ErrInvalid)
	foreign := record("a", nil, at(1, 1), "x")
	foreign.Completes = &runtimev1.Completion{Key: alarm("b", "x"), Revision: 1}
	_, _, err = b.Commit(b.Context(), "w1", []*runtimev1.Record{foreign})
	wantError(b, "a delivery of another actor", err, store.ErrInvalid)
	foreign.Completes = &runtimev1.Completion{Key: alarm("a", "x")}
	_, _, err = b.Commit(b.Context(), "w1", []*runtimev1.Record{foreign})
	wantError(b, "a delivery without a revision", err, store.ErrInvalid)
	want(b, "tasks", names(b.list(&runtimev1.ListRequest{Type: "cart"}).GetTasks()), []string{})
}

// commitTasks sends records and returns what they moved.
func (b *bench) commitTasks(records ...*runtimev1.Record) ([]runtimev1.Verdict, store.Moved) {
	b.Helper()
	results, moved, err := b.Commit(b.Context(), "w1", records)
	b.ok(err)
	return verdicts(results), moved
}

func taskStaged(b *bench) {
	b.single()
	verdicts, moved := b.commitTasks(
		changing(record("a", nil, at(1, 1), "1"), set(task(alarm("a", "x"), "own")), set(task(job("other", "x"), "for another"))),
		record("b", nil, at(1, 1), "plain"),
	)
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied, applied})
	b.moved("commit", moved, alarm("a", "x"), job("other", "x"))
	want(b, "counter", moved.Counter, b.counter())
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "1")
	want(b, "due", names(b.due()), []string{"a!x", "other#x"})
	verdicts, moved = b.commitTasks(changing(record("a", nil, at(1, 1), "1"), set(task(alarm("a", "x"), "again"))))
	want(b, "the same again", verdicts, []runtimev1.Verdict{already})
	want(b, "moves of a repetition", len(moved.Moves), 0)
	want(b, "request", string(b.stored(alarm("a", "x")).GetTask().GetRequest()), "own")
	// What one of the changes cannot do, keeps no record from being applied.
	verdicts, _ = b.commitTasks(changing(record("a", at(1, 1), at(1, 2), "2"), set(task(job("other", "x"), "conflict")), remove(alarm("a", "none")), remove(alarm("a", "x"))))
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied})
	want(b, "due", names(b.due()), []string{"other#x"})
}

func taskRefused(b *bench) {
	b.single()
	change := set(task(alarm("a", "x"), ""))
	verdicts, moved := b.commitTasks(
		changing(record("a", at(9, 9), at(1, 1), "no"), change),
		changing(atEpoch(record("b", nil, at(1, 1), "no"), 7), change),
		completing(changing(record("c", nil, at(1, 1), "no"), change), &runtimev1.ScheduledTask{Task: task(job("c", "gone"), ""), Revision: 5}),
		changing(record("d", nil, at(1, 1), "yes"), set(task(alarm("d", "x"), ""))),
	)
	want(b, "verdicts", verdicts, []runtimev1.Verdict{staleBase, staleEpoch, superseded, applied})
	b.moved("commit", moved, alarm("d", "x"))
	want(b, "due", names(b.due()), []string{"d!x"})
	want(b, "state", b.load("w1", "c", 1).GetState().GetVersion(), 0)
}

func taskCompleted(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"), every(alarm("a", "tick"), time.Hour))
	once, tick := b.stored(job("a", "1")), b.stored(alarm("a", "tick"))
	verdicts, moved := b.commitTasks(completing(record("a", nil, at(1, 1), "1"), once))
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied})
	b.moved("complete", moved, job("a", "1"))
	if now := b.stored(job("a", "1")); now != nil {
		b.Errorf("a job that was completed is stored: %v", now)
	}
	_, moved = b.commitTasks(completing(record("a", at(1, 1), at(1, 2), "2"), tick))
	b.moved("complete", moved, alarm("a", "tick"))
	next := b.stored(alarm("a", "tick"))
	want(b, "time to the next", next.GetScheduled().AsTime().Sub(tick.GetScheduled().AsTime()), time.Hour)
	want(b, "due", names(b.due()), []string{})
	b.clock.pass(time.Hour)
	want(b, "due after an hour", names(b.due()), []string{"a!tick"})
}

func taskSuperseded(b *bench) {
	b.single()
	b.set(every(alarm("a", "tick"), time.Hour))
	delivered := b.stored(alarm("a", "tick"))
	b.commitTasks(completing(record("a", nil, at(1, 1), "once"), delivered))
	twice := keyed(completing(changing(record("a", at(1, 1), at(1, 2), "twice"), set(task(job("a", "1"), ""))), delivered), 1)
	verdicts, moved := b.commitTasks(twice)
	want(b, "verdicts", verdicts, []runtimev1.Verdict{superseded})
	want(b, "moves", len(moved.Moves), 0)
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "once")
	want(b, "keys", b.numbers("a"), nil)
	want(b, "jobs", names(b.list(&runtimev1.ListRequest{Type: "cart", Kind: runtimev1.ListRequest_KIND_JOBS}).GetTasks()), []string{})

	b.set(task(alarm("a", "tick"), "set anew"))
	late := b.stored(alarm("a", "tick"))
	b.change(remove(alarm("a", "tick")))
	verdicts, _ = b.commitTasks(completing(record("a", at(1, 1), at(1, 2), "no"), late))
	want(b, "a delivery that was deleted", verdicts, []runtimev1.Verdict{superseded})
	// The base still holds: a refused record leaves no trace in the store's memory.
	want(b, "the next record", b.commit("w1", record("a", at(1, 1), at(1, 2), "2")), []runtimev1.Verdict{applied})
}

func taskIdentity(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"))
	r := completing(record("a", nil, at(1, 1), "1"), b.stored(job("a", "1")))
	for i, verdict := range []runtimev1.Verdict{applied, already, already} {
		got, moved := b.commitTasks(r)
		want(b, fmt.Sprint("try ", i), got, []runtimev1.Verdict{verdict})
		want(b, "moves", len(moved.Moves), map[bool]int{true: 1}[verdict == applied])
	}
	wrong := completing(record("a", at(7, 7), at(8, 1), "no"), &runtimev1.ScheduledTask{Task: task(job("a", "1"), ""), Revision: 1})
	want(b, "another base and no task", b.commit("w1", wrong), []runtimev1.Verdict{staleBase})
}

func taskCompletedAndChanged(b *bench) {
	b.single()
	b.set(every(alarm("a", "x"), time.Hour), every(alarm("b", "x"), time.Hour), task(job("c", "x"), "1"))
	verdicts, moved := b.commitTasks(
		completing(changing(record("a", nil, at(1, 1), ""), remove(alarm("a", "x"))), b.stored(alarm("a", "x"))),
		completing(changing(record("b", nil, at(1, 1), ""), set(task(alarm("b", "x"), "anew"))), b.stored(alarm("b", "x"))),
		completing(changing(record("c", nil, at(1, 1), ""), set(task(job("c", "x"), "2"))), b.stored(job("c", "x"))),
	)
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied, applied, applied})
	b.moved("commit", moved, alarm("a", "x"), alarm("b", "x"), job("c", "x"))
	want(b, "due", names(b.due()), []string{"b!x", "c#x"})
	want(b, "request", string(b.stored(job("c", "x")).GetTask().GetRequest()), "2")
}

func taskOutlives(b *bench) {
	if testing.Short() {
		b.Skip("waits for the clock of the store")
	}
	b.single()
	b.set(task(job("a", "1"), "x"), task(job("a", "2"), "x"))
	b.commit("w1", record("a", nil, at(1, 1), "x"))
	b.commit("w1", emptyRecord("a", at(1, 1), at(1, 2)))
	b.forget()
	want(b, "the actor", b.load("w1", "a", 1).GetState().GetVersion(), 0)
	want(b, "due", names(b.due()), []string{"a#1", "a#2"})
	empty := completing(emptyRecord("a", nil, at(2, 1)), b.stored(job("a", "1")))
	want(b, "complete", b.commit("w1", empty), []runtimev1.Verdict{applied})
	want(b, "due", names(b.due()), []string{"a#2"})
}

func taskCounter(b *bench) {
	b.single()
	var s *runtimev1.ScheduledTask
	steps := []struct {
		name string
		grow store.Counter
		do   func()
	}{
		{"set", 1, func() { b.set(task(job("a", "1"), "x"), task(job("a", "2"), "x")) }},
		{"set again", 0, func() { b.change(set(task(job("a", "1"), "x"))) }},
		{"delete nothing", 0, func() { b.change(remove(job("a", "3")), bury(job("a", "3")), revive(job("a", "3"))) }},
		{"look", 0, func() { s = b.stored(job("a", "1")) }},
		{"settle", 1, func() { b.settle("w1", failed(s, 1, "no")) }},
		{"settle again", 0, func() { b.settle("w1", failed(s, 1, "no")) }},
		{"strand", 1, func() { b.strand(b.stored(job("a", "1"))) }},
		{"strand what is gone", 0, func() { b.strand(s) }},
		{"complete", 1, func() { b.commit("w1", completing(record("a", nil, at(1, 1), ""), b.stored(job("a", "1")))) }},
	}
	for _, step := range steps {
		before := b.counter()
		step.do()
		want(b, step.name, b.counter()-before, step.grow)
	}
}
