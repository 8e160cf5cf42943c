package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/runtime/store"
)

const tooManyTasks = runtimev1.Verdict_VERDICT_TOO_MANY_TASKS

var deleteTests = []test{
	{"a record deletes all of its actor at once", deleteWhole},
	{"what a deleting record brings is there afterwards", deleteAndBegin},
	{"a deleting record is known by its identity", deleteIdentity},
	{"a job deletes its own actor", deleteCompletes},
	{"a refused deletion deletes nothing", deleteRefused},
	{"an actor that is not there is deleted", deleteNothing},
	{"too many tasks are not deleted at once", deleteTooMany},
	{"deletions in one call with other records", deleteNeighbours},
	{"a deletion that is not well formed is refused", deleteMalformed},
	{"a deletion takes what was before it, in any disorder", deleteModel},
}

// deletion is a record that deletes its actor.
func deletion(id string, base, identity *runtimev1.Identity) *runtimev1.Record {
	r := emptyRecord(id, base, identity)
	r.Deletes = true
	return r
}

// all are the tasks and dead letters of an actor.
func (b *bench) all(id string) []string {
	b.Helper()
	found := []string{}
	for _, dead := range []bool{false, true} {
		res, err := b.List(b.Context(), &runtimev1.ListRequest{Type: "cart", Id: id, Dead: dead, Limit: store.MaxListed})
		b.ok(err)
		for _, n := range names(res.GetTasks()) {
			if dead {
				n += " (dead)"
			}
			found = append(found, n)
		}
	}
	return found
}

// kill makes a dead letter of a job that is set and has one attempt.
func (b *bench) kill(id, name string) {
	b.Helper()
	t := task(job(id, name), "")
	t.Retry.Attempts = 1
	b.set(t)
	b.fail(job(id, name), "no")
}

// sortedCopy are values in order, where the store promises none.
func sortedCopy[T cmp.Ordered](values []T) []T { return slices.Sorted(slices.Values(values)) }

// furnish gives actors a state, keys, an alarm, jobs and a dead letter each.
func (b *bench) furnish(ids ...string) {
	b.Helper()
	b.single()
	for _, id := range ids {
		b.commit("w1", keyed(record(id, nil, at(1, 1), "x"), 1, 2))
		b.set(every(alarm(id, "x"), time.Hour), task(job(id, "1"), ""), after(job(id, "2"), time.Hour))
		b.kill(id, "3")
	}
}

func deleteWhole(b *bench) {
	b.furnish("a", "aa", "A")
	results, moved, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{deletion("a", at(1, 1), at(1, 2))})
	b.ok(err)
	want(b, "verdict", results[0].GetVerdict(), applied)
	want(b, "version", results[0].GetVersion(), 2)
	var gone []string
	for _, move := range moved.Moves {
		if move.Task != nil || move.Counter != moved.Counter {
			b.Errorf("%v moved to %v at %d", name(move.Key.Message()), move.Task, move.Counter)
		}
		gone = append(gone, name(move.Key.Message()))
	}
	want(b, "moves", gone, []string{"a!x", "a#1", "a#2"})

	want(b, "tasks", b.all("a"), nil)
	want(b, "due", sortedCopy(names(b.due())), []string{"A!x", "A#1", "aa!x", "aa#1"})
	want(b, "keys", b.numbers("a"), nil)
	want(b, "reply", b.recall("a", 1), "none")
	loaded := b.load("w1", "a", 1).GetState()
	want(b, "state", loaded.GetMessage()+string(loaded.GetData()), "")
	want(b, "identity", loaded.GetIdentity(), at(1, 2))
	for _, other := range []string{"aa", "A"} {
		want(b, other, string(b.load("w1", other, 1).GetState().GetData()), "x")
		want(b, "keys of "+other, sortedCopy(b.numbers(other)), []int{1, 2})
		want(b, "tasks of "+other, b.all(other), []string{other + "!x", other + "#1", other + "#2", other + "#3 (dead)"})
	}

	b.clock.pass(59 * time.Minute)
	b.forgetAfter(time.Hour)
	want(b, "identity within an hour", b.load("w1", "a", 1).GetState().GetIdentity(), at(1, 2))
	b.clock.pass(2 * time.Minute)
	b.forgetAfter(time.Hour)
	want(b, "identity after an hour", b.load("w1", "a", 1).GetState().GetVersion(), 0)
	want(b, "a new one", b.commit("w1", record("a", nil, at(5, 1), "new")), []runtimev1.Verdict{applied})
}

// The key of the deleting call has to be known to its repetitions, and what the turn sets
// after the deletion is for the actor that begins anew.
func deleteAndBegin(b *bench) {
	b.furnish("a", "b")
	r := keyed(changing(deletion("a", at(1, 1), at(1, 2)),
		set(task(alarm("a", "x"), "again")), remove(alarm("a", "x")), set(task(job("a", "1"), "other")), set(task(job("b", "1"), "other"))), 2, 7)
	want(b, "verdict", b.commit("w1", r), []runtimev1.Verdict{applied})
	want(b, "tasks", b.all("a"), []string{"a#1"})
	want(b, "request", string(b.stored(job("a", "1")).GetTask().GetRequest()), "other")
	want(b, "a job of somebody else", string(b.stored(job("b", "1")).GetTask().GetRequest()), "")
	want(b, "keys", sortedCopy(b.numbers("a")), []int{2, 7})
	want(b, "reply", b.recall("a", 7), "reply 7")
	want(b, "state", b.load("w1", "a", 1).GetState().GetMessage(), "")

	b.clock.pass(2 * time.Hour)
	b.forgetAfter(time.Hour)
	want(b, "keys after two hours", sortedCopy(b.numbers("a")), []int{2, 7})
	b.clock.pass(keys.Life)
	b.forgetAfter(time.Hour)
	want(b, "identity after a day", b.load("w1", "a", 1).GetState().GetVersion(), 0)
}

func deleteIdentity(b *bench) {
	b.furnish("a")
	want(b, "delete", b.commit("w1", deletion("a", at(1, 1), at(1, 2))), []runtimev1.Verdict{applied})
	b.set(task(job("a", "new"), ""))
	want(b, "again", b.commit("w1", deletion("a", at(1, 1), at(1, 2))), []runtimev1.Verdict{already})
	want(b, "what came later", b.all("a"), []string{"a#new"})
	want(b, "a delayed record of the activation that was deleted", b.commit("w1", record("a", at(1, 1), at(1, 2), "no")), []runtimev1.Verdict{already})
	want(b, "one of another activation", b.commit("w1", record("a", at(1, 1), at(2, 1), "no")), []runtimev1.Verdict{staleBase})
	want(b, "one that was first", b.commit("w1", record("a", nil, at(3, 1), "no")), []runtimev1.Verdict{staleBase})
	want(b, "the next activation", b.commit("w1", record("a", at(1, 2), at(4, 1), "new")), []runtimev1.Verdict{applied})
	want(b, "the deletion, once more", b.commit("w1", deletion("a", at(1, 1), at(1, 2))), []runtimev1.Verdict{staleBase})
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "new")
	want(b, "tasks", b.all("a"), []string{"a#new"})
}

func deleteCompletes(b *bench) {
	b.furnish("a", "b")
	for id, key := range map[string]*runtimev1.TaskKey{"a": job("a", "1"), "b": alarm("b", "x")} {
		delivered := b.stored(key)
		r := completing(deletion(id, at(1, 1), at(1, 2)), delivered)
		want(b, "delete", b.commit("w1", r), []runtimev1.Verdict{applied})
		want(b, "again", b.commit("w1", r), []runtimev1.Verdict{already})
		want(b, "tasks", b.all(id), nil)
		late := completing(deletion(id, at(1, 2), at(1, 3)), delivered)
		want(b, "a delivery that is gone", b.commit("w1", late), []runtimev1.Verdict{superseded})
	}
}

func deleteRefused(b *bench) {
	b.furnish("a")
	delivered := b.stored(job("a", "1"))
	b.change(remove(job("a", "1")))
	for what, test := range map[string]struct {
		record *runtimev1.Record
		want   runtimev1.Verdict
	}{
		"epoch":    {atEpoch(deletion("a", at(1, 1), at(1, 2)), 7), staleEpoch},
		"base":     {deletion("a", at(9, 9), at(10, 1)), staleBase},
		"delivery": {completing(deletion("a", at(1, 1), at(1, 2)), delivered), superseded},
	} {
		want(b, what, b.commit("w1", test.record), []runtimev1.Verdict{test.want})
	}
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "x")
	want(b, "keys", sortedCopy(b.numbers("a")), []int{1, 2})
	want(b, "tasks", b.all("a"), []string{"a!x", "a#2", "a#3 (dead)"})
}

func deleteNothing(b *bench) {
	b.single()
	want(b, "delete", b.commit("w1", deletion("a", nil, at(1, 1))), []runtimev1.Verdict{applied})
	want(b, "again", b.commit("w1", deletion("a", nil, at(1, 1))), []runtimev1.Verdict{already})
	b.forget()
	want(b, "identity", b.load("w1", "a", 1).GetState().GetVersion(), 0)
	// An actor that has no more than tasks.
	b.set(task(job("b", "1"), ""))
	want(b, "delete", b.commit("w1", deletion("b", nil, at(1, 1))), []runtimev1.Verdict{applied})
	want(b, "tasks", b.all("b"), nil)
}

func deleteTooMany(b *bench) {
	b.single()
	b.commit("w1", record("a", nil, at(1, 1), "x"))
	b.kill("a", "dead")
	var tasks []*runtimev1.Task
	for n := range limit.MaxDeleted {
		tasks = append(tasks, after(job("a", fmt.Sprint(n)), time.Hour))
		if len(tasks) == limit.MaxChanges || n == limit.MaxDeleted-1 {
			b.set(tasks...)
			tasks = nil
		}
	}
	want(b, "one too many", b.commit("w1", changing(deletion("a", at(1, 1), at(1, 2)), remove(job("a", "0")))), []runtimev1.Verdict{tooManyTasks})
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "x")
	b.change(remove(job("a", "0")))
	want(b, "the most", b.commit("w1", deletion("a", at(1, 1), at(1, 2))), []runtimev1.Verdict{applied})
	want(b, "tasks", b.all("a"), nil)
}

func deleteNeighbours(b *bench) {
	b.furnish("a", "b", "c")
	verdicts := b.commit("w1",
		changing(record("c", at(1, 1), at(1, 2), "c2"), set(task(job("a", "before"), ""))),
		deletion("a", at(1, 1), at(1, 2)),
		deletion("b", at(1, 1), at(1, 2)),
		changing(record("d", nil, at(1, 1), "d"), set(task(job("b", "after"), ""))),
	)
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied, applied, applied, applied})
	want(b, "a", b.all("a"), nil)
	want(b, "b", b.all("b"), []string{"b#after"})
	want(b, "c", string(b.load("w1", "c", 1).GetState().GetData()), "c2")
	want(b, "keys of c", sortedCopy(b.numbers("c")), []int{1, 2})
}

func deleteMalformed(b *bench) {
	b.furnish("a")
	state, forgets := record("a", at(1, 1), at(1, 2), "x"), deletion("a", at(1, 1), at(1, 2))
	state.Deletes = true
	forgets.Forgotten = [][]byte{digest(1)}
	for what, bad := range map[string]*runtimev1.Record{"a state": state, "a forgotten key": forgets} {
		_, _, err := b.Commit(b.Context(), "w1", []*runtimev1.Record{bad})
		wantError(b, what, err, store.ErrInvalid)
	}
	want(b, "state", string(b.load("w1", "a", 1).GetState().GetData()), "x")
}
