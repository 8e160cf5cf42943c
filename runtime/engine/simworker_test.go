package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
)

// process is a worker: it joins, announces, renews, watches, gives shards back when
// it is asked to, counts in its actors, and leaves.
type process struct {
	world *world
	name  string
	// rate and offset are its clock.
	rate   float64
	offset time.Duration
	// ended, paused, deaf and mute are its troubles: for good, or until a time.
	ended              bool
	paused, deaf, mute time.Duration
	leaving            bool

	*membership
}

// membership is what a process knows under one worker id.
type membership struct {
	id     string
	holder *lease.Holder
	table  *placement.Table
	cursor string
	// asked counts the questions of Watch: only the last answer counts.
	asked     int
	announced bool
	// left is true once it has said that it leaves: what it is given then, it never
	// runs.
	left bool
	// released is the highest epoch of each shard that it gave back.
	released [allShards]uint64
	// owned are the shards that it may run, as far as it knows.
	owned []*runtimev1.Shard
	// counters are the actors in memory, one for each shard and epoch.
	counters map[place]*counter
}

// counter is an actor whose state is how often it was told to count.
type counter struct {
	epoch    uint64
	loaded   bool
	waiting  bool
	identity *runtimev1.Identity
	next     *runtimev1.Identity
	value    uint64
}

// spawn starts a process.
func (w *world) spawn() {
	p := &process{world: w, name: fmt.Sprintf("p%d", len(w.workers)+1), rate: w.rate(), offset: w.upTo(time.Hour)}
	w.workers = append(w.workers, p)
	p.join()
}

func (p *process) clock() time.Duration {
	return p.offset + time.Duration(float64(p.world.now)*p.rate)
}

// wait is how long until its clock shows a time.
func (p *process) wait(local time.Duration) time.Duration {
	return time.Duration(float64(max(0, local-p.clock()))/p.rate) + 1
}

// after makes an event of this process under its present membership.
func (p *process) after(d time.Duration, what string, happen func()) {
	w, m := p.world, p.membership
	w.after(d, p.name+" "+what, func() {
		switch {
		case p.ended || p.membership != m:
		case w.now < p.paused:
			p.after(p.paused-w.now, what, happen)
		default:
			happen()
		}
	})
}

// ask sends a request to the runtime, perhaps twice, and brings the answers back.
func ask[Answer any](p *process, what string, request func(*Engine) (Answer, error), answered func(Answer, error)) {
	w, m := p.world, p.membership
	reply := func(answer Answer, err error) {
		if w.now < p.deaf || w.lost() || p.membership != m {
			return
		}
		p.after(w.delay(), "is answered: "+what, func() {
			if w.now >= p.deaf {
				answered(answer, err)
			}
		})
	}
	if w.now < p.mute || w.lost() {
		return
	}
	for range w.copies() {
		w.after(w.delay(), p.name+" is heard: "+what, func() { p.reach(what, func(e *Engine) { reply(request(e)) }) })
	}
}

// reach is a request that arrives where the runtime should be.
func (p *process) reach(what string, request func(*Engine)) {
	w := p.world
	if w.control == nil || w.now < p.mute {
		return
	}
	control := w.control
	control.after(0, p.name+" is served: "+what, func() { request(control.engine) })
}

func (w *world) lost() bool { return !w.calm && w.chance(2) }

func (w *world) copies() int {
	if !w.calm && w.chance(5) {
		return 2
	}
	return 1
}

// join asks for a membership until there is one.
func (p *process) join() {
	p.membership = nil
	p.tryToJoin()
}

func (p *process) tryToJoin() {
	sent := p.clock()
	ask(p, "join", func(e *Engine) (Membership, error) { return e.Admit(context.Background()) }, func(member Membership, err error) {
		if err == nil {
			p.become(member, sent)
		}
	})
	p.after(p.world.lease/2, "joins again", p.tryToJoin)
}

func (p *process) become(member Membership, sent time.Duration) {
	p.membership = &membership{
		id: member.WorkerID, holder: lease.NewHolder(sent, member.Lease), table: new(placement.Table),
		counters: map[place]*counter{},
	}
	p.world.notef("%s is %s", p.name, p.id)
	p.announce()
	p.renew()
	p.watch()
	p.count()
	if p.leaving {
		p.giveUp()
	}
}

func (p *process) announce() {
	req := &runtimev1.AnnounceRequest{Address: p.name + ":1"}
	for _, typ := range types {
		req.Types = append(req.Types, actorType(typ))
	}
	ask(p, "announce", func(e *Engine) (any, error) { return e.Worker(p.worker()).Announce(context.Background(), req) }, func(_ any, err error) {
		p.announced = p.announced || err == nil
		p.mind(err)
	})
	p.after(p.world.lease/4, "announces again", func() {
		if !p.announced {
			p.announce()
		}
	})
}

// worker is the id under which a request is made: the membership may have changed
// when it arrives, but then its answer is not looked at.
func (p *process) worker() string {
	if p.membership == nil {
		return "nobody"
	}
	return p.id
}

// mind joins again when an error says that the worker is dead.
func (p *process) mind(err error) {
	if fault.Detail(err).GetReason() == francisv1.Reason_REASON_WORKER_DEAD {
		p.die()
	}
}

func (p *process) die() {
	if p.leaving {
		p.ended = true
		return
	}
	p.join()
}

func (p *process) renew() {
	renewal, id := p.holder.Send(p.clock()), p.id
	ask(p, "renew", func(e *Engine) (*runtimev1.RenewResponse, error) {
		return e.Worker(id).Renew(context.Background(), nil)
	}, func(answer *runtimev1.RenewResponse, err error) {
		switch {
		case err != nil:
			p.holder.Failed(renewal)
		case answer.GetDead():
			p.holder.Die()
			p.die()
		default:
			if p.world.rules.noSend {
				renewal.Sent = p.clock()
			}
			p.holder.Accepted(renewal, p.world.lease)
			p.world.learned = true
		}
	})
	p.after(p.wait(p.holder.Renews()), "renews", p.renew)
}

// watch asks for the table, several times in a lease.
func (p *process) watch() {
	p.asked++
	number, cursor := p.asked, p.cursor
	ask(p, "watch", func(e *Engine) (*runtimev1.WatchResponse, error) {
		answer, _ := e.board.since(cursor)
		return answer, nil
	}, func(answer *runtimev1.WatchResponse, _ error) {
		if number == p.asked && answer != nil {
			p.cursor = answer.GetCursor()
			p.learn(answer)
		}
	})
	p.after(p.world.lease/20+p.world.upTo(p.world.lease/10), "watches", p.watch)
}

// learn merges a change and gives back what others shall have.
func (p *process) learn(change *runtimev1.WatchResponse) {
	p.table = p.table.Merge(change)
	p.claim()
	var moving []*runtimev1.Shard
	for _, shard := range p.owned {
		if next := shard.GetNext(); next != "" && next != p.id {
			moving = append(moving, shard)
		}
	}
	if len(moving) > 0 && !p.leaving {
		p.after(p.world.upTo(p.world.lease/10), "releases", func() { p.release(moving) })
	}
}

// claim finds out what it owns.
func (p *process) claim() {
	p.world.learned = true
	p.owned = nil
	for _, typ := range types {
		for _, shard := range p.table.Shards(typ) {
			if shard.GetWorker() == p.id && p.released[placeOf(shard)] < shard.GetEpoch() {
				p.owned = append(p.owned, shard)
			}
		}
	}
}

// runs reports whether it may run its shards now.
func (p *process) runs() bool {
	if p.ended || p.membership == nil || p.left {
		return false
	}
	state := p.holder.State(p.clock())
	return state == lease.Active || p.world.rules.noLapse && state == lease.Lapsed
}

// release gives shards back until it is answered.
func (p *process) release(shards []*runtimev1.Shard) {
	req := &runtimev1.ReleaseRequest{Leaving: p.leaving}
	for _, shard := range shards {
		p.released[placeOf(shard)] = max(p.released[placeOf(shard)], shard.GetEpoch())
		req.Releases = append(req.Releases, &runtimev1.ReleaseRequest_Release{
			Type: shard.GetType(), Fence: &runtimev1.Fence{Shard: shard.GetShard(), Epoch: shard.GetEpoch()},
		})
	}
	p.claim()
	p.sendRelease(req, new(bool))
}

func (p *process) sendRelease(req *runtimev1.ReleaseRequest, done *bool) {
	id := p.id
	ask(p, "release", func(e *Engine) (*runtimev1.ReleaseResponse, error) {
		return e.Worker(id).Release(context.Background(), req)
	}, func(answer *runtimev1.ReleaseResponse, err error) {
		*done = *done || err == nil
		p.learn(&runtimev1.WatchResponse{Shards: answer.GetShards()})
		p.mind(err)
	})
	p.after(p.world.lease/4, "releases again", func() {
		if !*done {
			p.sendRelease(req, done)
		}
	})
}

// shutDown makes the process leave in order.
func (p *process) shutDown() {
	if p.leaving {
		return
	}
	p.world.notef("shut %s down", p.name)
	p.leaving = true
	if p.membership != nil {
		p.giveUp()
	}
}

// giveUp releases whatever it owns, until that is nothing, and then leaves.
func (p *process) giveUp() {
	p.release(p.owned)
	p.after(p.world.lease/2, "goes on leaving", func() {
		if len(p.owned) > 0 {
			p.giveUp()
			return
		}
		id := p.id
		p.left = true
		ask(p, "leave", func(e *Engine) (any, error) { return e.Worker(id).Leave(context.Background(), nil) }, func(_ any, err error) {
			if err == nil {
				p.ended = true
				p.world.after(p.world.upTo(p.world.lease), "spawn", p.world.spawn)
			}
		})
		p.giveUp()
	})
}

// count lets one of its actors count, now and then.
func (p *process) count() {
	p.after(p.world.upTo(p.world.lease/4), "counts", p.count)
	if !p.runs() {
		return
	}
	for _, shard := range p.owned {
		if shard.GetShard() < countedShards {
			p.countIn(shard)
		}
	}
}

func (p *process) countIn(shard *runtimev1.Shard) {
	key := placeOf(shard)
	c := p.counters[key]
	if c == nil || c.epoch != shard.GetEpoch() {
		c = &counter{epoch: shard.GetEpoch()}
		p.counters[key] = c
	}
	switch {
	case !c.loaded:
		p.load(key, c)
	case !c.waiting:
		c.waiting = true
		c.next = &runtimev1.Identity{Activation: c.next.GetActivation(), Sequence: c.next.GetSequence() + 1}
		p.commit(key, c)
	default:
		p.commit(key, c) // the same record again, until it is answered
	}
}

func (p *process) load(key place, c *counter) {
	id := p.id
	read := &runtimev1.LoadRequest_Read{Actor: actorOf(key), Fence: &runtimev1.Fence{Shard: key.number(), Epoch: c.epoch}}
	ask(p, "load", func(e *Engine) (*runtimev1.LoadResponse, error) {
		return e.Worker(id).Load(context.Background(), &runtimev1.LoadRequest{Reads: []*runtimev1.LoadRequest_Read{read}})
	}, func(answer *runtimev1.LoadResponse, err error) {
		result := answer.GetResults()
		if err != nil || c.loaded || result[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
			return
		}
		c.loaded, c.identity, c.value = true, result[0].GetState().GetIdentity(), valueOf(result[0].GetState().GetData())
		c.next = &runtimev1.Identity{Activation: p.world.random.Uint64() | 1}
	})
}

func (p *process) commit(key place, c *counter) {
	id, next := p.id, c.next
	record := &runtimev1.Record{
		Actor: actorOf(key), Fence: &runtimev1.Fence{Shard: key.number(), Epoch: c.epoch},
		Base: c.identity, Identity: next, Message: "counter", Data: dataOf(c.value + 1),
	}
	ask(p, "commit", func(e *Engine) (*runtimev1.CommitResponse, error) {
		return e.Worker(id).Commit(context.Background(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{record}})
	}, func(answer *runtimev1.CommitResponse, err error) {
		if err != nil || c.next != next || !c.waiting {
			return
		}
		switch answer.GetResults()[0].GetVerdict() {
		case runtimev1.Verdict_VERDICT_APPLIED, runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
			c.waiting, c.identity = false, next
			c.value++
			p.world.store.acknowledge(key, c.value)
		default:
			delete(p.counters, key)
		}
	})
}

func dataOf(value uint64) []byte { return binary.BigEndian.AppendUint64(nil, value) }

func valueOf(data []byte) uint64 {
	if len(data) == 0 {
		return 0
	}
	return binary.BigEndian.Uint64(data)
}
