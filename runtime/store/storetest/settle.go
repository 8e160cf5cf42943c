package storetest

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var settleTests = []test{
	{"a delivery that fails is tried again", settleRetries},
	{"a delivery that fails for good dies", settleDies},
	{"a repeating task goes on when an occurrence dies", settleRepeats},
	{"its actor is told of a death", settleTells},
	{"a delivery that was not run comes again", settleReturns},
	{"only the owner settles", settleFences},
	{"a refused settlement never fails its neighbours", settleNeighbours},
	{"who died alone was to blame", strandAlone},
	{"a task that went on is not stranded", strandLate},
	{"dead letters are revived and buried", deadLetters},
	{"a dead letter whose key lives is not revived", deadLetterTaken},
	{"many large deliveries end at once", settleLarge},
	{"malformed settlements are refused", settleMalformed},
}

// failed, permanent and returned are settlements of the owner of the only shard.
func failed(s *runtimev1.ScheduledTask, epoch uint64, text string) *runtimev1.Settlement {
	return &runtimev1.Settlement{
		Key: s.GetTask().GetKey(), Revision: s.GetRevision(), Fence: &runtimev1.Fence{Epoch: epoch},
		End: &runtimev1.Settlement_Failed{Failed: &runtimev1.Failure{Error: text}},
	}
}

func permanent(s *runtimev1.ScheduledTask, text string) *runtimev1.Settlement {
	settlement := failed(s, 1, text)
	settlement.GetFailed().Permanent = true
	return settlement
}

func returned(s *runtimev1.ScheduledTask, after time.Duration) *runtimev1.Settlement {
	settlement := failed(s, 1, "")
	settlement.End = &runtimev1.Settlement_Returned{Returned: durationpb.New(after)}
	return settlement
}

// settle ends deliveries of a worker.
func (b *bench) settle(worker string, settlements ...*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved) {
	b.Helper()
	verdicts, moved, err := b.Settle(b.Context(), worker, settlements)
	b.ok(err)
	return verdicts, moved
}

// strand marks tasks as out with a worker that died.
func (b *bench) strand(tasks ...*runtimev1.ScheduledTask) store.Moved {
	b.Helper()
	var out []*runtimev1.Completion
	for _, s := range tasks {
		out = append(out, &runtimev1.Completion{Key: s.GetTask().GetKey(), Revision: s.GetRevision()})
	}
	moved, err := b.Strand(b.Context(), out)
	b.ok(err)
	return moved
}

// fail fails the present stage of a task.
func (b *bench) fail(key *runtimev1.TaskKey, text string) {
	b.Helper()
	verdicts, _ := b.settle("w1", failed(b.stored(key), 1, text))
	want(b, "fail "+name(key), verdicts, []runtimev1.Verdict{applied})
}

func settleRetries(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"))
	first := b.stored(job("a", "1"))
	verdicts, moved := b.settle("w1", failed(first, 1, "no luck"))
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied})
	b.moved("fail", moved, job("a", "1"))
	second := b.stored(job("a", "1"))
	want(b, "failures", second.GetFailures(), 1)
	want(b, "error", second.GetError(), "no luck")
	if second.GetRevision() == first.GetRevision() {
		b.Errorf("a failure leaves the revision %d", first.GetRevision())
	}
	want(b, "due", names(b.due()), []string{})
	b.clock.pass(10 * time.Second)
	want(b, "due after the backoff", names(b.due()), []string{"a#1"})
	verdicts, moved = b.settle("w1", failed(first, 1, "again"))
	want(b, "the same again", verdicts, []runtimev1.Verdict{superseded})
	want(b, "moves", len(moved.Moves), 0)
	b.commit("w1", completing(record("a", nil, at(1, 1), "1"), second))
	want(b, "due", names(b.due()), []string{})
}

func settleDies(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"), task(job("a", "2"), "x"))
	for i := range 2 {
		b.fail(job("a", "1"), fmt.Sprint("no ", i))
	}
	want(b, "dead letters", len(b.list(&runtimev1.ListRequest{Type: "cart", Dead: true}).GetTasks()), 0)
	_, moved := b.settle("w1", failed(b.stored(job("a", "1")), 1, "no more"), permanent(b.stored(job("a", "2")), "never"))
	b.moved("die", moved, job("a", "1"), job("a", "2"))
	for _, letter := range []struct {
		key      *runtimev1.TaskKey
		failures uint32
		text     string
	}{{job("a", "1"), 3, "no more"}, {job("a", "2"), 1, "never"}} {
		dead := b.dead(letter.key)
		want(b, "failures", dead.GetFailures(), letter.failures)
		want(b, "error", dead.GetError(), letter.text)
		want(b, "request", string(dead.GetTask().GetRequest()), "x")
		if dead.GetDied() == nil || b.stored(letter.key) != nil {
			b.Errorf("dead letter %v, and %v is stored", dead, b.stored(letter.key))
		}
	}
	b.clock.pass(time.Hour)
	want(b, "due", names(b.due()), []string{})
}

func settleRepeats(b *bench) {
	b.single()
	b.set(every(alarm("a", "tick"), time.Hour))
	b.settle("w1", permanent(b.stored(alarm("a", "tick")), "first"))
	want(b, "error", b.dead(alarm("a", "tick")).GetError(), "first")
	next := b.stored(alarm("a", "tick"))
	want(b, "failures", next.GetFailures(), 0)
	b.clock.pass(time.Hour)
	want(b, "due", names(b.due()), []string{"a!tick"})
	b.settle("w1", permanent(next, "second"))
	want(b, "dead letters", len(b.list(&runtimev1.ListRequest{Type: "cart", Dead: true}).GetTasks()), 1)
	want(b, "error", b.dead(alarm("a", "tick")).GetError(), "second")
}

func settleTells(b *bench) {
	b.single()
	told := task(job("a", "1"), "x")
	told.OnDeath = "/shop.v1.Cart/Mourn"
	b.set(told)
	_, moved := b.settle("w1", permanent(b.stored(job("a", "1")), "never"))
	want(b, "moves", len(moved.Moves), 2)
	due := b.due()
	if len(due) != 1 || due[0].GetTask().GetProcedure() != "/shop.v1.Cart/Mourn" || due[0].GetTask().GetKey().GetId() != "a" {
		b.Fatalf("due after a death: %v", due)
	}
	// The notice is a job as others are, and nobody is told of its own death.
	b.settle("w1", permanent(due[0], "nor this"))
	want(b, "due", names(b.due()), []string{})
	want(b, "dead letters", len(b.list(&runtimev1.ListRequest{Type: "cart", Dead: true}).GetTasks()), 2)
}

func settleReturns(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"))
	_, moved := b.settle("w1", returned(b.stored(job("a", "1")), 5*time.Second))
	b.moved("return", moved, job("a", "1"))
	want(b, "failures", b.stored(job("a", "1")).GetFailures(), 0)
	want(b, "due", names(b.due()), []string{})
	b.clock.pass(5 * time.Second)
	want(b, "due after the delay", names(b.due()), []string{"a#1"})
}

func settleFences(b *bench) {
	b.single()
	b.worker("w2")
	b.set(task(job("a", "1"), "x"))
	s := b.stored(job("a", "1"))
	for _, try := range []struct {
		worker string
		epoch  uint64
		want   runtimev1.Verdict
	}{{"w1", 0, staleEpoch}, {"w1", 2, staleEpoch}, {"w2", 1, staleEpoch}, {"", 1, staleEpoch}, {"w1", 1, applied}} {
		verdicts, _ := b.settle(try.worker, failed(s, try.epoch, "no"))
		want(b, fmt.Sprintf("%q at %d", try.worker, try.epoch), verdicts, []runtimev1.Verdict{try.want})
	}
	want(b, "failures", b.stored(job("a", "1")).GetFailures(), 1)
}

func settleNeighbours(b *bench) {
	b.single()
	b.set(task(job("a", "1"), ""), task(job("b", "1"), ""), task(job("c", "1"), ""))
	first, second, third := b.stored(job("a", "1")), b.stored(job("b", "1")), b.stored(job("c", "1"))
	gone := proto.CloneOf(third)
	gone.Task.Key = job("d", "1")
	verdicts, moved := b.settle("w1", failed(first, 1, "x"), failed(second, 3, "x"), returned(gone, 0), returned(third, time.Hour), returned(third, 0))
	want(b, "verdicts", verdicts, []runtimev1.Verdict{applied, staleEpoch, superseded, applied, superseded})
	b.moved("settle", moved, job("a", "1"), job("c", "1"))
	if now := b.stored(job("b", "1")); !proto.Equal(now, second) {
		b.Errorf("a refused settlement leaves %v of %v", now, second)
	}
}

func strandAlone(b *bench) {
	b.single()
	poison, neighbour := job("a", "poison"), job("b", "neighbour")
	b.set(task(poison, ""), task(neighbour, ""))
	moved := b.strand(b.stored(poison), b.stored(neighbour))
	b.moved("strand", moved, poison, neighbour)
	want(b, "due", names(b.due()), []string{"a#poison", "b#neighbour"})
	for _, key := range []*runtimev1.TaskKey{poison, neighbour} {
		s := b.stored(key)
		want(b, name(key), fmt.Sprint(s.GetAlone(), s.GetFailures()), "true 0")
	}
	for range 3 {
		b.clock.pass(time.Hour)
		b.strand(b.stored(poison))
	}
	if s := b.stored(poison); s != nil {
		b.Errorf("it died alone three times, and is %v", s)
	}
	want(b, "failures", b.dead(poison).GetFailures(), 3)
	want(b, "the neighbour", b.stored(neighbour).GetFailures(), 0)
}

func strandLate(b *bench) {
	b.single()
	b.set(task(job("a", "1"), ""), every(alarm("a", "tick"), time.Hour))
	once, tick := b.stored(job("a", "1")), b.stored(alarm("a", "tick"))
	b.commitTasks(completing(record("a", nil, at(1, 1), ""), once))
	b.commitTasks(completing(record("a", at(1, 1), at(1, 2), ""), tick))
	want(b, "moves", len(b.strand(once, tick).Moves), 0)
	want(b, "alone", b.stored(alarm("a", "tick")).GetAlone(), false)
}

func deadLetters(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"), task(job("a", "2"), "x"))
	b.settle("w1", permanent(b.stored(job("a", "1")), "x"), permanent(b.stored(job("a", "2")), "x"))
	results, moved := b.change(revive(job("a", "1")), bury(job("a", "2")), revive(job("a", "2")), bury(job("a", "1")), revive(job("a", "3")))
	want(b, "results", results, []runtimev1.ChangeResponse_Result{done, done, notFound, notFound, notFound})
	b.moved("decide", moved, job("a", "1"))
	want(b, "dead letters", len(b.list(&runtimev1.ListRequest{Type: "cart", Dead: true}).GetTasks()), 0)
	want(b, "due", names(b.due()), []string{"a#1"})
	revived := b.stored(job("a", "1"))
	want(b, "revived", fmt.Sprintf("%d %q %v", revived.GetFailures(), revived.GetError(), revived.GetDied()), "0 \"\" <nil>")
}

func deadLetterTaken(b *bench) {
	b.single()
	b.set(every(alarm("a", "tick"), time.Hour))
	b.settle("w1", permanent(b.stored(alarm("a", "tick")), "x"))
	results, moved := b.change(revive(alarm("a", "tick")))
	want(b, "results", results, []runtimev1.ChangeResponse_Result{conflict})
	want(b, "moves", len(moved.Moves), 0)
	results, _ = b.change(remove(alarm("a", "tick")), revive(alarm("a", "tick")))
	want(b, "results", results, []runtimev1.ChangeResponse_Result{done, done})
	want(b, "due", names(b.due()), []string{"a!tick"})
}

// What ends a delivery is small, and its task may be large: stores may spread them over
// several transactions, which nobody sees.
func settleLarge(b *bench) {
	b.single()
	const count = 40
	var tasks []*runtimev1.ScheduledTask
	for i := range count {
		key := alarm(fmt.Sprint("a", i), "tick")
		t := every(key, time.Hour)
		t.Request = make([]byte, 1<<20)
		b.set(t)
		tasks = append(tasks, b.stored(key))
	}
	var settlements []*runtimev1.Settlement
	for i, s := range tasks {
		if i%2 == 0 {
			settlements = append(settlements, failed(s, 1, "x"))
		}
	}
	verdicts, moved := b.settle("w1", settlements...)
	want(b, "verdicts of settlements", verdicts, slices.Repeat([]runtimev1.Verdict{applied}, count/2))
	want(b, "moves", len(moved.Moves), count/2)
	want(b, "counter", moved.Counter, b.counter())
	var records []*runtimev1.Record
	for i, s := range tasks {
		records = append(records, completing(record(fmt.Sprint("a", i), nil, at(1, 1), "x"), s), record(fmt.Sprint("plain", i), nil, at(1, 1), "x"))
	}
	verdicts, moved = b.commitTasks(records...)
	want(b, "moves", len(moved.Moves), count/2)
	for i, verdict := range verdicts {
		want(b, fmt.Sprint("verdict ", i), verdict, map[bool]runtimev1.Verdict{true: superseded, false: applied}[i%4 == 0])
	}
	for _, m := range moved.Moves {
		want(b, "revision of "+name(m.Key.Message()), m.Task.GetRevision(), uint64(m.Counter))
	}
	tasks = nil
	for i := range count {
		tasks = append(tasks, b.stored(alarm(fmt.Sprint("a", i), "tick")))
	}
	want(b, "stranded", len(b.strand(tasks...).Moves), count)
}

func settleMalformed(b *bench) {
	b.single()
	b.set(task(job("a", "1"), "x"))
	s := b.stored(job("a", "1"))
	endless, nameless, stageless := failed(s, 1, ""), failed(s, 1, ""), failed(s, 1, "")
	endless.End, nameless.Key, stageless.Revision = nil, &runtimev1.TaskKey{Type: "cart"}, 0
	for what, bad := range map[string]*runtimev1.Settlement{"no end": endless, "no name": nameless, "no revision": stageless} {
		_, _, err := b.Settle(b.Context(), "w1", []*runtimev1.Settlement{failed(s, 1, ""), bad})
		wantError(b, what, err, store.ErrInvalid)
	}
	_, err := b.Strand(b.Context(), []*runtimev1.Completion{{Key: job("a", "1")}})
	wantError(b, "strand without a revision", err, store.ErrInvalid)
	want(b, "failures", b.stored(job("a", "1")).GetFailures(), 0)
}
