package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	coregate "github.com/francis-actors/francis/internal/core/gate"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/internal/fault"
)

// activation is one stay of an actor in memory.
type activation struct {
	slot *seat
	// epoch and number are those of its records, era that of the store when it was loaded.
	epoch, number uint64
	era           int
	loaded        bool
	// state is that in memory, base and version those of the last durable record.
	state   state
	base    *runtimev1.Identity
	version uint64
	// life is how long the state lives, by the clock of the host.
	life life
	// place is where the history of the actor was when it was loaded or committed last.
	place int
	// sequence counts the records that were sent.
	sequence uint64
	keys     keys.Index
	replies  map[keys.Digest]reply
	// outputs is the gate and what passes it. The second one is only used to send two
	// records at a time, which is wrong.
	outputs [2]output
}

// output is a gate, what accumulates behind it, and what is on its way.
type output struct {
	gate   coregate.Gate[waitingFor]
	next   []*run
	flight *batch
}

// waitingFor is told what became of what it waits for.
type waitingFor interface{ told(what coregate.Outcome) }

// batch is a record on its way, and the turns that it carries.
type batch struct {
	activation *activation
	output     *output
	record     *runtimev1.Record
	version    uint64
	turns      []*run
	// attempts counts how often it was sent; doubted is true when nobody knows what an
	// earlier attempt did, and travels while one is on its way.
	attempts         int
	doubted, travels bool
	answered         bool
}

// open is the output that takes the next turn.
func (a *activation) open() *output {
	if a.slot.host.world.off.twoInFlight && a.outputs[0].flight != nil {
		return &a.outputs[1]
	}
	return &a.outputs[0]
}

func (a *activation) pending() bool {
	return a.outputs[0].gate.Pending() || a.outputs[1].gate.Pending()
}

func (a *activation) crowded() bool {
	const most = 8 // of 1,024: a full gate is no rare thing here
	return a.outputs[0].gate.Full() || len(a.outputs[0].next) >= most
}

// stage lets a turn wait for the next record.
func (a *activation) stage(r *run) coregate.Verdict {
	o := a.open()
	verdict := o.gate.Stage(r, 0)
	if verdict == coregate.Broken {
		return verdict
	}
	o.next = append(o.next, r)
	if !r.errand.attempt.deletes {
		a.life = a.slot.host.lived(a.slot.at.ttl(a.slot.host.world))
	} else if !a.slot.host.world.off.noSpoil {
		a.slot.queue.Spoil()
	}
	if r.key != nil {
		a.keep(r)
	}
	if a.slot.host.world.off.noGate {
		r.finish(r.outcome())
	}
	return verdict
}

// life is how long a state lives that is in memory, by the clock of its host, which was at
// from when it was the time since. The zero value never ends.
type life struct{ from, since, ttl time.Duration }

// lived is a life that begins now.
func (p *process) lived(ttl time.Duration) life {
	if ttl == 0 {
		return life{}
	}
	return life{p.clock(), p.world.now, ttl}
}

// ends is when it is over at the latest: no clock is slower.
func (l life) ends() time.Duration { return l.since + l.ttl*10/9 + 1 }

// expire lets nobody else run on a state that has expired.
func (s *seat) expire() {
	a := s.activation
	if a == nil || a.life.ttl == 0 || !s.queue.Open() || s.host.world.off.noLife {
		return
	}
	if s.host.clock()-a.life.from >= a.life.ttl {
		s.queue.Spoil()
	}
}

// follow lets somebody wait for all that is pending.
func (a *activation) follow(w waitingFor) coregate.Verdict {
	switch {
	case a.slot.host.world.off.noGate && !a.outputs[0].gate.Broken():
		return coregate.Open
	case a.outputs[1].gate.Pending():
		return a.outputs[1].gate.Follow(w)
	default:
		return a.outputs[0].gate.Follow(w)
	}
}

// passage waits for what is pending, for a run that goes on then.
type passage struct {
	host *process
	what *coregate.Outcome
}

func (p *passage) told(what coregate.Outcome) {
	p.what = &what
	p.host.wake()
}

// settled goes on when everything that happened in the activation before now is durable.
// It ends the run when that will never be.
func (a *activation) settled(r *run, then func()) {
	p := &passage{host: a.slot.host}
	end := func() { r.giveUp(nothing) }
	switch a.follow(p) {
	case coregate.Open:
		then()
	case coregate.Broken:
		end()
	default:
		a.slot.host.await(waiter{
			ready: func() bool { return p.what != nil },
			over:  func() bool { return r.ended },
			then: func() {
				if *p.what == coregate.Durable {
					then()
				} else {
					end()
				}
			},
			failed: end,
		})
	}
}

// dispatch sends the next record if that is to be sent now.
func (a *activation) dispatch() {
	for i := range a.outputs {
		o := &a.outputs[i]
		if !o.gate.Send() {
			continue
		}
		a.sequence++
		b := &batch{activation: a, output: o, turns: o.next, version: a.version + 1}
		at := a.slot.at
		b.record = &runtimev1.Record{
			Actor: at.actor(), Fence: &runtimev1.Fence{Shard: at.number(), Epoch: a.epoch},
			Base: a.base, Identity: &runtimev1.Identity{Activation: a.number, Sequence: a.sequence},
		}
		last := b.turns[len(b.turns)-1]
		switch {
		case last.errand.attempt.deletes:
			b.record.Deletes = true
		case at.stateful():
			b.record.Message, b.record.Data = "cart", dataOf(last.reply)
			if ttl := at.ttl(a.slot.host.world); ttl > 0 {
				b.record.StateTtl = durationpb.New(ttl)
			}
		}
		for _, r := range b.turns {
			if r.key != nil {
				b.record.Keys = append(b.record.Keys, r.key)
			}
			if r.errand.attempt.enqueues {
				b.record.Changes = append(b.record.Changes, r.job())
			}
		}
		o.next, o.flight = nil, b
		a.slot.host.commit(b)
	}
}

// commit sends a record until it is answered or the session is over.
func (p *process) commit(b *batch) {
	s := p.session
	if s == nil || s.over {
		b.answer(0, errUnsent)
		return
	}
	s.unanswered = append(s.unanswered, b)
	s.send(b)
}

var (
	errUnsent = errors.New("it was not sent")
	errOver   = errors.New("the session is over")
)

// send sends a record once, and again when it is not answered.
func (s *session) send(b *batch) {
	p := s.process
	w, mark, seen := p.world, p.shown(), p.mark
	b.attempts++
	b.travels = true
	attempt := b.attempts
	askOnce(p, s, "commit", func(e *Engine) (*runtimev1.CommitResponse, error) {
		w.store.writing = b
		answer, err := e.Worker(s.id).Commit(context.Background(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{b.record}, Mark: mark})
		if err == nil {
			w.checkBelief(p, seen)
			b.activation.place = w.history.actors[b.activation.slot.at].length()
		}
		return answer, err
	}, func(answer *runtimev1.CommitResponse, err error) {
		if b.answered || attempt != b.attempts {
			return
		}
		p.saw(answer.GetMark())
		b.travels = false
		b.doubted = b.doubted || err != nil && fault.Detail(err).GetOutcome() != francisv1.Outcome_OUTCOME_NOTHING_HAPPENED
		switch {
		case err == nil:
			s.answered(b, answer.GetResults()[0].GetVerdict(), nil)
		case fault.Detail(err).GetReason() == francisv1.Reason_REASON_WORKER_DEAD:
			s.die()
		case fault.Detail(err).GetReason() == francisv1.Reason_REASON_STORE_FULL:
			s.answered(b, 0, err)
		default:
			w.afterOf(s, w.lease/20, "commits again", func() { s.repeat(b, attempt) })
		}
	})
	w.afterOf(s, w.lease/4, "misses an answer", func() { s.repeat(b, attempt) })
}

func (s *session) repeat(b *batch, attempt int) {
	if b.answered || attempt != b.attempts {
		return
	}
	b.doubted = b.doubted || b.travels
	s.send(b)
}

// lost ends the wait for an answer, because the session is over.
func (s *session) lost(b *batch) {
	b.doubted = b.doubted || b.travels
	s.answered(b, 0, errOver)
}

// answered takes the answer to a record. One that is refused only when it is sent again
// may have been applied before: nobody knows.
func (s *session) answered(b *batch, verdict runtimev1.Verdict, err error) {
	s.unanswered = slices.DeleteFunc(s.unanswered, func(other *batch) bool { return other == b })
	refused := verdict == runtimev1.Verdict_VERDICT_STALE_EPOCH || verdict == runtimev1.Verdict_VERDICT_STALE_BASE
	switch {
	case b.doubted && refused && !s.process.world.off.noDoubt:
		verdict = runtimev1.Verdict_VERDICT_UNSPECIFIED
	case err != nil && !b.doubted:
		err = errUnsent
	}
	b.answer(verdict, err)
}

// answer lets those go that waited for the record, and sends the next one.
func (b *batch) answer(verdict runtimev1.Verdict, err error) {
	b.answered = true
	a, o := b.activation, b.output
	if o.gate.Broken() {
		return
	}
	o.flight = nil
	var told []coregate.Told[waitingFor]
	switch {
	case errors.Is(err, errUnsent),
		err == nil && (verdict == runtimev1.Verdict_VERDICT_STALE_EPOCH || verdict == runtimev1.Verdict_VERDICT_STALE_BASE):
		told = o.gate.Refused()
	case err == nil && (verdict == runtimev1.Verdict_VERDICT_APPLIED || verdict == runtimev1.Verdict_VERDICT_ALREADY_APPLIED):
		a.base, a.version = b.record.GetIdentity(), b.version
		for _, key := range b.record.GetKeys() {
			delete(a.replies, keys.Digest(key.GetDigest()))
		}
		told = o.gate.Applied()
	default:
		told = o.gate.Lost()
	}
	a.dispatch()
	if o.gate.Broken() {
		o.next = nil
		a.slot.doom()
	}
	for _, t := range told {
		t.Waiter.told(t.Outcome)
	}
	a.slot.host.wake()
}

// doom ends an activation of which a record was refused or lost.
func (s *seat) doom() {
	if s.queue.Cold() {
		return
	}
	idle := s.queue.Idle()
	running := s.queue.Running()
	s.queue.Spoil()
	if idle {
		s.end()
	}
	for _, h := range running {
		h.doom()
	}
}

// load reads the actor, until there is an answer. A session that is over is followed by
// the next one.
func (a *activation) load(r *run, then func()) {
	p := a.slot.host
	asked := p.lived(1)
	read := &runtimev1.LoadRequest_Read{Actor: a.slot.at.actor(), Fence: a.fence()}
	a.read(r, read, func(result finding) {
		a.loaded = true
		a.state, a.base, a.version = stateOf(result.GetState().GetData()), result.GetState().GetIdentity(), result.GetState().GetVersion()
		if left := result.GetState().GetExpiresIn(); left != nil {
			a.life = life{asked.from, asked.since, left.AsDuration()}
		}
		if a.place = result.place; p.world.known[a.slot.at].GetEpoch() == a.epoch {
			p.world.history.opened(a)
		}
		now := p.clock()
		for _, key := range result.GetKeys() {
			a.keys.Add(keys.Digest(key.GetDigest()), keys.Digest(key.GetRequest()), now-key.GetAge().AsDuration())
		}
		then()
	})
}

func (a *activation) fence() *runtimev1.Fence {
	return &runtimev1.Fence{Shard: a.slot.at.number(), Epoch: a.epoch}
}

// finding is what was read, and where the history of the actor was then.
type finding struct {
	*runtimev1.LoadResponse_Result

	place int
}

// read asks the runtime for a part of the actor. Where the shard has moved, the run goes
// to its next owner.
func (a *activation) read(r *run, read *runtimev1.LoadRequest_Read, then func(finding)) {
	p := a.slot.host
	w, s := p.world, p.session
	var result *finding
	var send func()
	send = func() {
		if result != nil || r.ended || s.over {
			return
		}
		mark, seen := p.shown(), p.mark
		ask(p, s, "load", func(e *Engine) (finding, error) {
			answer, err := e.Worker(s.id).Load(context.Background(), &runtimev1.LoadRequest{Reads: []*runtimev1.LoadRequest_Read{read}, Mark: mark})
			if err != nil {
				return finding{}, err
			}
			w.checkBelief(p, seen)
			found := answer.GetResults()[0]
			if found.GetVerdict() == runtimev1.Verdict_VERDICT_APPLIED && len(read.GetRecall()) == 0 {
				w.history.loaded(a.slot.at, found.GetState())
			}
			return finding{found, w.history.actors[a.slot.at].length()}, nil
		}, func(found finding, err error) {
			s.mind(err)
			if err == nil && result == nil {
				result = &found
				p.wake()
			}
		})
		w.afterOf(s, w.lease/8, "loads again", send)
	}
	send()
	r.await(func() bool { return result != nil || p.session != s }, func() {
		switch {
		case result == nil:
			a.read(r, read, then)
		case result.GetVerdict() == runtimev1.Verdict_VERDICT_STALE_EPOCH:
			r.await(func() bool { return p.entry(a.slot.at).GetEpoch() > a.epoch }, func() { r.giveUp(r.elsewhere()) })
		default:
			then(*result)
		}
	})
}

// elsewhere is what becomes of a run whose actor has moved: one that has not begun goes on
// there.
func (r *run) elsewhere() outcome {
	if r.activation == nil {
		return moved
	}
	return nothing
}

// recognise looks at the key of a call. A call that was made before gets the reply of the
// first one, any other goes on.
func (r *run) recognise(fresh func()) {
	a := r.activation
	if !a.loaded {
		a.load(r, func() { r.recognise(fresh) })
		return
	}
	key := r.errand.attempt.key()
	switch a.keys.Check(key, key, r.slot.host.clock()) {
	case keys.Fresh:
		fresh()
	case keys.Repeated:
		r.repeats = true
		if reply, pending := a.replies[key]; pending {
			r.reply = reply
			r.depart()
			return
		}
		r.recall(key, fresh)
	default:
		r.giveUp(failed)
	}
}

// recall reads the reply that was stored for a key.
func (r *run) recall(key keys.Digest, fresh func()) {
	a := r.activation
	read := &runtimev1.LoadRequest_Read{Actor: a.slot.at.actor(), Fence: a.fence(), Recall: key[:]}
	a.read(r, read, func(result finding) {
		if len(result.GetKeys()) == 0 {
			a.keys.Forget(key)
			r.repeats = false
			fresh()
			return
		}
		r.reply = replyOf(result.GetKeys()[0].GetReply())
		r.depart()
	})
}

// key stands for the key of an op, and for its request.
func (o *op) key() (d keys.Digest) {
	binary.BigEndian.PutUint64(d[:], o.number)
	return d
}

// remember makes the reply of a new call with a key a part of what the turn changed.
func (r *run) remember() {
	if o := r.errand.attempt.op; o.keyed {
		key := o.key()
		r.key = &runtimev1.Key{Digest: key[:], Request: key[:], Reply: dataOf(r.reply)}
		r.changed = true
	}
}

// keep adds the key of a turn to the next record.
func (a *activation) keep(r *run) {
	key := r.errand.attempt.key()
	a.keys.Add(key, key, a.slot.host.clock())
	if a.replies == nil {
		a.replies = map[keys.Digest]reply{}
	}
	a.replies[key] = r.reply
}

// job is one that the turn enqueues for its actor. It is due when the world is long over.
func (r *run) job() *runtimev1.TaskChange {
	name := number(r.reply.born) + "." + number(r.reply.turns)
	due := &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(epoch.AddDate(100, 0, 0))}}
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: job(r.slot.at.actor().GetId(), name, due)}}
}
