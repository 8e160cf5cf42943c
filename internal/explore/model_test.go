package explore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	workers = 2
	// maxTurns is how many turns change the actor, maxEpochs how many owners it has, and
	// maxActivations how often it is loaded.
	maxTurns       = 3
	maxEpochs      = 3
	maxActivations = 3
	// maxMessages is how many records, and how many replies, are under way at a time.
	maxMessages = 4
)

// world is one state of everything. It is a value: equal worlds are one state.
type world struct {
	// owners has the actor's owner at each epoch, the last of which is epoch.
	owners [maxEpochs + 1]uint8
	epoch  uint8
	// last, turns and value are what is stored.
	last         identity
	turns, value uint8

	workers [workers]worker
	records [maxMessages]record
	replies [maxMessages]reply
	// released are the epochs whose release is under way, as bits: it may arrive at any
	// time, also after its sender has crashed.
	released uint8

	activations, made, faults uint8
	// acknowledged are the turns whose callers were told that they are durable, denied
	// those whose callers were told that nothing happened, and seen is the highest state
	// that a view has shown.
	acknowledged, denied, seen uint8
	// lie is what a view showed that may not be.
	lie string
}

// worker is one of the two, or what it was until it crashed.
type worker struct {
	// table is the highest epoch that it knows, and owns whether that is its own. given is
	// the epoch at which it gave the actor away.
	table, given uint8
	owns         bool
	// lapsed is true while it must not run, dead once it was declared dead, and gone while
	// the process that owns the actor by the table is no more.
	lapsed, dead, gone bool

	// here is true while the actor is in memory, at an epoch; own is the activation, base
	// the last record that was answered, value the state in memory.
	here   bool
	at     uint8
	own    uint8
	base   identity
	sent   uint8
	value  uint8
	staged uint8
	// flight are the records that are unanswered. doubted is true when one was sent again.
	flight  [2]record
	doubted bool
}

// identity is (activation, sequence); zero for none.
type identity struct{ activation, sequence uint8 }

// record is a record on its way. Its turns are a set of bits; value is the state that it
// leaves, the number of turns that it has seen.
type record struct {
	worker, epoch  uint8
	base, identity identity
	turns, value   uint8
}

// reply is the answer to a record, on its way.
type reply struct {
	worker   uint8
	identity identity
	verdict  uint8
}

// begin is the world in which worker 0 owns the actor, and both know it.
func begin() world {
	w := world{epoch: 1}
	w.workers[0].table, w.workers[0].owns = 1, true
	w.workers[1].table = 1
	return w
}

// sort puts messages into one order: in which they were sent makes no difference.
func (w *world) sort() {
	slices.SortFunc(w.records[:], func(a, b record) int {
		return cmp.Or(cmp.Compare(b.identity.activation, a.identity.activation), cmp.Compare(b.identity.sequence, a.identity.sequence))
	})
	slices.SortFunc(w.replies[:], func(a, b reply) int {
		return cmp.Or(cmp.Compare(b.identity.activation, a.identity.activation), cmp.Compare(b.identity.sequence, a.identity.sequence), cmp.Compare(a.verdict, b.verdict))
	})
}

// act is something that happens: what, at which worker, and a number that goes with it.
type act struct{ what, worker, number uint8 }

func by(what uint8, worker int) act { return act{what, uint8(worker), 0} }

const (
	none uint8 = iota
	loads
	runsTurn
	sends
	sendsAgain
	givesUp
	views
	drops
	lapses
	renews
	declaredDead
	joinsAgain
	crashes
	releases
	releaseTaken
	learns
	taken
	recordLost
	replied
	replyLost
)

var words = [...]string{
	none: "begin", loads: "%d loads", runsTurn: "%d runs a turn", sends: "%d sends", sendsAgain: "%d sends again",
	givesUp: "%d waits no longer for an answer", views: "view of %d sees %d", drops: "%d drops the actor", lapses: "%d lapses", renews: "%d renews",
	declaredDead: "%d is declared dead", joinsAgain: "%d hears that it is dead, and joins again", crashes: "%d crashes",
	releases: "%d asks for the release", releaseTaken: "the release of %d is taken", learns: "%d learns of epoch %d",
	taken: "the store takes a record", recordLost: "a record is lost", replied: "a reply arrives", replyLost: "a reply is lost",
}

func (a act) String() string {
	numbers := []any{a.worker, a.number}
	return fmt.Sprintf(words[a.what], numbers[:strings.Count(words[a.what], "%d")]...)
}

// steps are all that can happen next.
func (e *explorer) steps(w *world) {
	for i := range w.workers {
		e.turns(w, i)
		e.membership(w, i)
		e.handover(w, i)
	}
	// A network repeats nothing by itself: records travel over TLS. Workers do.
	for i, r := range w.records {
		if r != (record{}) {
			e.step(w, act{taken, 0, 0}, func(w *world) { e.commit(w, i) })
			e.fault(w, act{recordLost, 0, 0}, func(w *world) { w.records[i] = record{} })
		}
	}
	for i, r := range w.replies {
		if r != (reply{}) {
			e.step(w, act{replied, 0, 0}, func(w *world) { e.answered(w, i) })
			e.fault(w, act{replyLost, 0, 0}, func(w *world) { w.replies[i] = reply{} })
		}
	}
}

// may reports whether a worker may run the actor, as far as it knows.
func (e *explorer) may(me *worker) bool {
	return me.owns && (me.given != me.table || e.rules.noGive) && !me.gone && (!me.lapsed || e.rules.noLapse)
}

func (me *worker) inFlight() (n int) {
	for _, r := range me.flight {
		if r != (record{}) {
			n++
		}
	}
	return n
}

// turns are the steps of the actor at a worker.
func (e *explorer) turns(w *world, i int) {
	me := &w.workers[i]
	unanswered := me.inFlight()
	open := me.here && me.at == me.table && e.may(me)
	if !me.here && e.may(me) && (unanswered == 0 || e.rules.noRetire) && w.activations < maxActivations && w.fenced(uint8(i), me.table) {
		e.step(w, by(loads, i), func(w *world) {
			w.activations++
			me := &w.workers[i]
			me.here, me.at, me.own, me.base, me.value, me.sent = true, me.table, w.activations, w.last, w.value, 0
		})
	}
	if open && w.made < maxTurns {
		e.step(w, by(runsTurn, i), func(w *world) {
			me := &w.workers[i]
			me.staged |= 1 << w.made
			me.value++
			w.made++
		})
	}
	if me.here && me.staged != 0 && (unanswered == 0 || e.rules.twoInFlight && unanswered < 2) {
		e.step(w, by(sends, i), func(w *world) { w.send(i) })
	}
	if unanswered > 0 {
		e.fault(w, by(sendsAgain, i), func(w *world) {
			w.workers[i].doubted = true
			w.post(w.workers[i].flight[0])
		})
	}
	if unanswered > 0 { // its callers are told that nobody knows
		e.fault(w, by(givesUp, i), func(w *world) {
			me := &w.workers[i]
			w.denied |= me.staged
			me.here, me.staged, me.doubted, me.flight = false, 0, false, [2]record{}
		})
	}
	if open && me.staged == 0 && unanswered == 0 {
		e.step(w, act{views, uint8(i), me.value}, func(w *world) { w.view(w.workers[i].value) })
	}
	if me.here && me.staged == 0 && (unanswered == 0 || e.rules.noRetire) {
		e.step(w, by(drops, i), func(w *world) { w.workers[i].here = false })
	}
}

// send sends what has accumulated.
func (w *world) send(i int) {
	me := &w.workers[i]
	me.sent++
	r := record{
		worker: uint8(i), epoch: me.at, base: me.base, identity: identity{me.own, me.sent}, turns: me.staged, value: me.value,
	}
	me.flight[me.inFlight()], me.staged = r, 0
	w.post(r)
}

// post puts a record on its way, if there is room for one more.
func (w *world) post(r record) {
	if i := slices.Index(w.records[:], record{}); i >= 0 {
		w.records[i] = r
	}
}

// view shows a state to somebody.
func (w *world) view(value uint8) {
	switch {
	case value < count(w.acknowledged):
		w.lie = fmt.Sprintf("%d turns were acknowledged, and then a view saw %d", count(w.acknowledged), value)
	case value < w.seen:
		w.lie = fmt.Sprintf("a view saw %d, and then one saw %d", w.seen, value)
	case value > w.value:
		w.lie = fmt.Sprintf("a view saw %d, and %d is stored", value, w.value)
	}
	w.seen = value
}

// membership are the steps of a worker's lease and process.
func (e *explorer) membership(w *world, i int) {
	me := &w.workers[i]
	owner := w.owners[w.epoch] == uint8(i)
	if !me.lapsed {
		e.fault(w, by(lapses, i), func(w *world) { w.workers[i].lapsed = true })
	} else if !me.dead {
		e.step(w, by(renews, i), func(w *world) { w.workers[i].lapsed = false })
	}
	if owner && (me.lapsed || me.gone) && w.epoch < maxEpochs {
		e.step(w, by(declaredDead, i), func(w *world) {
			w.workers[i].dead = !w.workers[i].gone
			w.move()
		})
	}
	if me.dead {
		e.step(w, by(joinsAgain, i), func(w *world) {
			me := &w.workers[i]
			w.denied |= me.staged
			*me = worker{table: me.table}
		})
	}
	if me.here || me.inFlight() > 0 {
		e.fault(w, by(crashes, i), func(w *world) {
			me := &w.workers[i]
			*me = worker{table: me.table, owns: me.owns, gone: me.owns}
		})
	}
}

// handover are the steps by which an actor moves and workers learn of it. A push of the
// table may be late, come twice and out of order: any epoch may be pushed at any time.
func (e *explorer) handover(w *world, i int) {
	me := &w.workers[i]
	if me.owns && !me.gone && me.given != me.table && me.inFlight() == 0 && me.staged == 0 && w.epoch < maxEpochs {
		e.fault(w, by(releases, i), func(w *world) {
			me := &w.workers[i]
			me.given = me.table
			if !e.rules.noGive {
				me.here = false
			}
			w.released |= 1 << me.table
		})
	}
	if w.released&(1<<w.epoch) != 0 && w.owners[w.epoch] == uint8(i) && w.epoch < maxEpochs {
		e.step(w, by(releaseTaken, i), func(w *world) { w.move() })
	}
	for epoch := uint8(1); epoch <= w.epoch; epoch++ {
		if epoch > me.table {
			e.step(w, act{learns, uint8(i), epoch}, func(w *world) { w.learn(i, epoch) })
		}
	}
}

// move gives the actor to the other worker.
func (w *world) move() {
	owner := w.owners[w.epoch]
	w.epoch++
	w.owners[w.epoch] = 1 - owner
}

// learn takes over an entry of the table. An activation of another epoch ends: what was
// never sent has not happened.
func (w *world) learn(i int, epoch uint8) {
	me := &w.workers[i]
	me.table, me.owns, me.gone = epoch, w.owners[epoch] == uint8(i), false
	if me.here && me.at != epoch {
		w.denied |= me.staged
		me.here, me.staged = false, 0
	}
}

// fenced reports whether a worker owns the actor at an epoch.
func (w *world) fenced(worker, epoch uint8) bool {
	return epoch == w.epoch && w.owners[w.epoch] == worker
}

// commit lets the store decide on a record.
func (e *explorer) commit(w *world, i int) {
	r := w.records[i]
	w.records[i] = record{}
	verdict := e.judge(w, r)
	if verdict == runtimev1.Verdict_VERDICT_APPLIED {
		w.last, w.value = r.identity, r.value
		w.turns |= r.turns
	}
	if i := slices.Index(w.replies[:], reply{}); i >= 0 {
		w.replies[i] = reply{r.worker, r.identity, uint8(verdict)}
	}
}

func (e *explorer) judge(w *world, r record) runtimev1.Verdict {
	if !e.rules.noFence && !w.fenced(r.worker, r.epoch) {
		return runtimev1.Verdict_VERDICT_STALE_EPOCH
	}
	if e.rules.byVersion {
		switch {
		case w.value == r.value-count(r.turns):
			return runtimev1.Verdict_VERDICT_APPLIED
		case w.value >= r.value:
			return runtimev1.Verdict_VERDICT_ALREADY_APPLIED
		}
		return runtimev1.Verdict_VERDICT_STALE_BASE
	}
	return store.Judge(stored(w.last), &runtimev1.Record{Base: stored(r.base), Identity: stored(r.identity)})
}

func stored(i identity) *runtimev1.Identity {
	return &runtimev1.Identity{Activation: uint64(i.activation), Sequence: uint64(i.sequence)}
}

// answered tells the callers what an answer means.
func (e *explorer) answered(w *world, i int) {
	a := w.replies[i]
	w.replies[i] = reply{}
	me := &w.workers[a.worker]
	at := slices.IndexFunc(me.flight[:], func(r record) bool { return r != (record{}) && r.identity == a.identity })
	if at < 0 {
		return // an answer to what nobody waits for
	}
	r := me.flight[at]
	copy(me.flight[at:], me.flight[at+1:])
	me.flight[len(me.flight)-1] = record{}
	switch runtimev1.Verdict(a.verdict) {
	case runtimev1.Verdict_VERDICT_APPLIED, runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
		w.acknowledged |= r.turns
		if me.own == r.identity.activation {
			me.base = r.identity
		}
		me.doubted = false
	default:
		if !me.doubted || e.rules.noDoubt { // one that was sent before may have been applied before
			w.denied |= r.turns
		}
		w.denied |= me.staged
		me.here, me.staged, me.doubted = false, 0, false
	}
}
