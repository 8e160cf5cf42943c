package engine

import (
	"testing"
	"testing/synctest"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store/memory"
)

// through is the worker of an inbox, which asks another engine from now on.
func (b *inbox) through(h *harness) *inbox {
	return &inbox{member: &member{Worker: h.Worker(b.id), h: h, table: b.table, quiet: b.quiet}, session: b.session}
}

// A worker that fails over with deliveries out gets them from the other engine, and what it
// has ended there neither comes again nor stays out when it is back.
func TestDeliveriesFailOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := commons{memory.New()}
		one, two := start(t, Config{Store: kept}), start(t, Config{Store: kept})
		w := &inbox{member: one.join("cart")}
		w.look()
		w.set(job("a", "1", nil), job("b", "1", nil))
		time.Sleep(2 * time.Second) // the other engine has read both as well
		out := w.expect(10, "a/1 b/1 ")
		w.complete(out[0])

		other := w.through(two)
		again := other.expect(10, "b/1 ")
		if verdict := other.complete(again[0]); verdict != runtimev1.Verdict_VERDICT_APPLIED {
			t.Errorf("what came again ended as %v", verdict)
		}
		other.set(job("b", "2", nil))
		time.Sleep(2 * time.Second)
		back := other.through(one)
		back.complete(back.expect(10, "b/2 ")[0])
		back.expect(10, "")
	})
}

// What an engine has out ends also for it when it is ended through another one, although the
// worker goes on receiving from it.
func TestDeliveryEndsElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := commons{memory.New()}
		one, two := start(t, Config{Store: kept}), start(t, Config{Store: kept})
		w := &inbox{member: one.join("cart")}
		w.look()
		w.set(job("a", "1", nil), job("a", "2", nil))
		first := w.expect(1, "a/1 ")
		w.through(two).complete(first[0])
		w.complete(w.expect(1, "a/2 ")[0])
	})
}

// What another engine has deleted is not delivered.
func TestDeletedElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := commons{memory.New()}
		one, two := start(t, Config{Store: kept}), start(t, Config{Store: kept})
		w := &inbox{member: one.join("cart")}
		w.look()
		w.set(job("a", "1", after(10*time.Second)))
		key := job("a", "1", nil).GetKey()
		_, err := two.Worker(w.id).Change(t.Context(), &runtimev1.ChangeRequest{Changes: []*runtimev1.TaskChange{{Change: &runtimev1.TaskChange_Delete{Delete: key}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.expect(1, "")
	})
}

// What one engine has out when another one decrees the death of the worker, or the same,
// comes alone, through whichever engine the next owner asks; a death while it is alone
// counts.
func TestDeathByAnotherEnginesDecree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := commons{memory.New()}
		engines := []*harness{start(t, Config{Store: kept}), start(t, Config{Store: kept})}
		w := &inbox{member: engines[0].join("cart")}
		w.look()
		w.set(job("a", "1", nil))
		w.expect(10, "a/1 ")
		for death := range 3 { // the job has three attempts
			next := &inbox{member: engines[(death+1)%2].join("cart")}
			w.quiet()
			time.Sleep(8 * time.Second)
			w = next
			w.expect(10, "a/1 alone ")
		}
		w.quiet()
		last := engines[0].join("cart")
		time.Sleep(8 * time.Second)
		(&inbox{member: last}).expect(10, "")
		answer, err := last.List(t.Context(), &runtimev1.ListRequest{Type: "cart", Dead: true})
		if err != nil || len(answer.GetTasks()) != 1 {
			t.Errorf("dead letters: %v, %v", answer, err)
		}
	})
}
