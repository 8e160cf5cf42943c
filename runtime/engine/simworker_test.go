package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
)

// process is a worker, from its start to its end: it joins, announces, renews, watches,
// gives shards back when it is asked to, and leaves. What sdk/internal/member does on
// goroutines, it does event by event.
type process struct {
	world *world
	name  string
	// rate and offset are its clock, and slept is how long it was suspended.
	rate          float64
	offset, slept time.Duration
	// ended and paused are its troubles: for good, or until a time.
	ended  bool
	paused time.Duration
	// leaving is set once it hands its shards over for good, closing when its host takes
	// no calls from outside any more.
	leaving, closing bool

	// session is the present membership; nil before the first.
	session *session
	table   *placement.Table
	// mark is the highest that it has seen of how far the store has come.
	mark []byte
	// witness is true when it has seen what the store has lost, and nobody knows that yet.
	witness bool
	// handing are the shards that are being handed over, parked those of them whose calls
	// from outside wait. given are the epochs at which shards were given away: nobody
	// owns them from then on, until a later one is known.
	handing, parked [allShards]bool
	given           [allShards]uint64

	slots   map[place]*seat
	waiting []waiter
}

// session is one membership, from joining to death or departure.
type session struct {
	process *process
	id      string
	holder  *lease.Holder
	// era is that of the store when it began.
	era    int
	cursor string
	// asked counts the questions of Watch: only the last answer counts.
	asked     int
	announced bool
	over      bool
	// unanswered are the records that were sent.
	unanswered []*batch
}

// spawn starts a process.
func (w *world) spawn() {
	w.spawned++
	p := &process{
		world: w, name: fmt.Sprintf("p%d", w.spawned), rate: w.rate(), offset: w.upTo(time.Hour),
		table: new(placement.Table), slots: map[place]*seat{},
	}
	w.workers = append(w.workers, p)
	p.join()
}

// end ends a process at once, and starts another one if few are left.
func (p *process) end() {
	w := p.world
	p.ended = true
	w.workers = slices.DeleteFunc(w.workers, func(other *process) bool { return other == p })
	w.network.forget(p.name)
	if len(w.workers) < 5 {
		w.after(w.upTo(2*w.lease), "spawn", w.spawn)
	}
}

// at implements subject.
func (p *process) at(time.Duration) (bool, time.Duration) { return !p.ended, p.paused }

func (s *session) at(time.Duration) (bool, time.Duration) {
	return !s.process.ended && !s.over, s.process.paused
}

func (p *process) attend() {}
func (s *session) attend() {}

func (p *process) String() string { return p.name }
func (s *session) String() string { return s.id }

// pause suspends the process, also longer than it is already.
func (p *process) pause(d time.Duration) {
	until := max(p.paused, p.world.now+d)
	p.slept += until - max(p.world.now, p.paused)
	p.paused = until
}

// clock is the time since boot, which goes on while the process is suspended.
func (p *process) clock() time.Duration {
	local := p.offset + time.Duration(float64(p.world.now)*p.rate)
	if p.world.off.noSleep {
		local -= p.slept
	}
	return local
}

// until is how long until the clock shows a time.
func (p *process) until(local time.Duration) time.Duration {
	return time.Duration(float64(max(0, local-p.clock()))/p.rate) + 1
}

// join asks for a membership until there is one.
func (p *process) join() {
	w, before, sent := p.world, p.session, p.clock()
	ask(p, p, "join", func(e *Engine) (Membership, error) { return e.Admit(context.Background()) }, func(member Membership, err error) {
		if err == nil && p.session == before {
			p.begin(member, sent)
		}
	})
	w.afterOf(p, w.lease/2, "joins again", func() {
		if p.session == before && !p.leaving {
			p.join()
		}
	})
}

// begin begins a membership, which was asked for at the time sent.
func (p *process) begin(member Membership, sent time.Duration) {
	p.session = &session{process: p, id: member.WorkerID, holder: lease.NewHolder(sent, member.Lease), era: p.world.history.era}
	p.world.notef("%s is %s", p.name, member.WorkerID)
	p.wake()
	p.session.announce()
	p.session.renew()
}

var announced = []*runtimev1.ActorType{actorType(types[0]), actorType(types[1])}

func (s *session) announce() {
	req := &runtimev1.AnnounceRequest{Address: s.process.name + ":1", Types: announced}
	ask(s.process, s, "announce", func(e *Engine) (any, error) {
		if !s.process.world.control.loaded() {
			return nil, fault.RuntimeStopping()
		}
		return e.Worker(s.id).Announce(context.Background(), req)
	}, func(_ any, err error) {
		s.mind(err)
		if err == nil && !s.announced {
			s.announced = true
			s.watch()
		}
	})
	s.process.world.afterOf(s, s.process.world.lease/4, "announces again", func() {
		if !s.announced {
			s.announce()
		}
	})
}

// mind ends the session when an error says that the worker is dead.
func (s *session) mind(err error) {
	if fault.Detail(err).GetReason() == francisv1.Reason_REASON_WORKER_DEAD {
		s.die()
	}
}

func (s *session) die() {
	if s.over {
		return
	}
	s.process.world.checkDead(s)
	s.end()
	if s.process.leaving {
		s.process.end()
		return
	}
	s.process.join()
}

// end drops what belongs to the session. Nothing starts in it any more.
func (s *session) end() {
	p := s.process
	s.over = true
	s.holder.Die()
	for at := range place(allShards) {
		if p.entry(at).GetWorker() == s.id {
			p.revoke(at)
		}
	}
	p.handing, p.parked = [allShards]bool{}, [allShards]bool{}
	for _, b := range slices.Clone(s.unanswered) {
		s.lost(b)
	}
	p.wake()
}

func (s *session) renew() {
	p := s.process
	w, renewal, mark, seen := p.world, s.holder.Send(p.clock()), p.shown(), p.mark
	ask(p, s, "renew", func(e *Engine) (*runtimev1.RenewResponse, error) {
		answer, err := e.Worker(s.id).Renew(context.Background(), &runtimev1.RenewRequest{Mark: mark})
		if err == nil && !answer.GetDead() {
			w.checkBelief(p, seen)
		}
		return answer, err
	}, func(answer *runtimev1.RenewResponse, err error) {
		switch {
		case answer.GetDead():
			s.die()
		case err != nil:
			s.holder.Failed(renewal)
			s.mind(err)
		default:
			s.renewed(renewal)
		}
	})
	w.afterOf(s, p.until(s.holder.Renews()), "renews", s.renew)
}

func (s *session) renewed(renewal lease.Renewal) {
	p := s.process
	lapsed := s.holder.State(p.clock()) != lease.Active
	if p.world.off.noSend {
		renewal.Sent = p.clock()
	}
	s.holder.Accepted(renewal, p.world.lease)
	if lapsed {
		p.checkEntitled()
		p.wake()
	}
}

// shown is the mark that the process shows with a request.
func (p *process) shown() []byte {
	if p.world.off.noMark {
		return nil
	}
	return p.mark
}

// saw takes a mark over if it is higher.
func (p *process) saw(mark []byte) {
	if bytes.Compare(mark, p.mark) > 0 {
		p.mark = mark
	}
	p.witness = p.witness || p.world.store.lost(mark)
}

// watch follows the table by a long poll.
func (s *session) watch() {
	p := s.process
	w := p.world
	s.asked++
	number, cursor, mark := s.asked, s.cursor, p.shown()
	learn := func(change *runtimev1.WatchResponse, err error) {
		if number != s.asked {
			return
		}
		s.mind(err)
		if err != nil || s.over {
			return
		}
		s.cursor = change.GetCursor()
		p.learn(change)
		s.watch()
	}
	if w.connected(p.name, theRuntime) && !w.lost() {
		w.after(w.delay(), "watch", func() {
			c := w.control
			if c == nil || !w.connected(p.name, theRuntime) {
				return
			}
			c.watch(s, cursor, mark, func(change *runtimev1.WatchResponse, err error) {
				if w.lost() || !w.connected(theRuntime, p.name) {
					return
				}
				w.afterOf(s, w.delay(), "is answered: watch", func() {
					if w.connected(theRuntime, p.name) {
						learn(change, err)
					}
				})
			})
		})
	}
	w.afterOf(s, w.lease/2, "watches again", func() {
		if number == s.asked {
			s.watch()
		}
	})
}

// entry is what the table says of a shard.
func (p *process) entry(at place) *runtimev1.Shard { return p.table.Shard(at.typ(), at.number()) }

// owner is who owns a shard, as far as the process knows; empty for nobody.
func (p *process) owner(at place) string {
	entry := p.entry(at)
	if p.given[at] >= entry.GetEpoch() && !p.world.off.noGive {
		return ""
	}
	return entry.GetWorker()
}

// owns reports whether the process owns a shard, as far as it knows.
func (p *process) owns(at place) bool { return p.session != nil && p.owner(at) == p.session.id }

// active reports whether the process may start something.
func (p *process) active() bool {
	if p.session == nil || p.session.over {
		return false
	}
	state := p.session.holder.State(p.clock())
	return state == lease.Active || p.world.off.noLapse && state == lease.Lapsed
}

// entitled reports whether the process may run the actors of a shard.
func (p *process) entitled(at place) bool { return p.active() && p.owns(at) }

func (p *process) checkEntitled() {
	for at := range place(allShards) {
		p.world.checkEntitled(p, at)
	}
}

// learn merges a change of the table, and does what it means for this worker.
func (p *process) learn(change *runtimev1.WatchResponse) {
	p.saw(change.GetMark())
	before := p.table
	p.table = before.Merge(change)
	p.wake()
	if p.session == nil {
		return
	}
	var moving []place
	for _, shard := range change.GetShards() {
		at := placeOf(shard)
		had, has := before.Shard(at.typ(), at.number()), p.entry(at)
		switch {
		case had.GetWorker() == p.session.id && (has.GetWorker() != p.session.id || has.GetEpoch() != had.GetEpoch()):
			p.revoke(at)
		case has.GetWorker() == p.session.id && has.GetNext() != "":
			moving = append(moving, at)
		}
		p.world.checkEntitled(p, at)
	}
	p.handOver(moving)
}

// handOver gives shards to the workers that shall have them next. Each once at a time;
// one that has come back meanwhile to go on elsewhere goes then.
func (p *process) handOver(moving []place) {
	moving = slices.DeleteFunc(moving, func(at place) bool { return p.handing[at] })
	s := p.session
	if len(moving) == 0 || p.leaving || s == nil || s.over {
		return
	}
	epochs := p.epochs(moving)
	p.release(moving, func() {
		again := slices.DeleteFunc(moving, func(at place) bool {
			now := p.entry(at)
			return now.GetEpoch() <= epochs[at] || !p.owns(at) || now.GetNext() == ""
		})
		p.handOver(again)
	})
}

func (p *process) epochs(of []place) map[place]uint64 {
	epochs := map[place]uint64{}
	for _, at := range of {
		epochs[at] = p.entry(at).GetEpoch()
	}
	return epochs
}

// release empties shards, gives them back, and lets the calls that wait for them follow.
// When the grace ends first it gives them back all the same.
func (p *process) release(shards []place, done func()) {
	req := &runtimev1.ReleaseRequest{Leaving: p.leaving}
	for _, at := range shards {
		p.handing[at], p.parked[at] = true, true
		req.Releases = append(req.Releases, &runtimev1.ReleaseRequest_Release{
			Type: at.typ(), Fence: &runtimev1.Fence{Shard: at.number(), Epoch: p.entry(at).GetEpoch()},
		})
	}
	p.empty(shards, func() {
		for i, at := range shards {
			p.given[at], p.parked[at] = max(p.given[at], req.GetReleases()[i].GetFence().GetEpoch()), false
		}
		p.wake()
		p.session.giveBack(req, func() {
			for _, at := range shards {
				p.handing[at] = false
			}
			done()
		})
	})
}

// empty ends the activations of shards, within a grace.
func (p *process) empty(shards []place, done func()) {
	ends := p.world.now + 2*p.world.lease
	left := func() bool {
		return slices.ContainsFunc(shards, func(at place) bool { return p.slots[at] != nil && !p.slots[at].empty() })
	}
	for _, at := range shards {
		p.deactivate(at)
	}
	s := p.session
	p.await(waiter{
		ready: func() bool { return !left() || p.world.now >= ends },
		over:  func() bool { return s.over },
		then: func() {
			for _, at := range shards {
				p.revoke(at)
			}
			done()
		},
	})
	if left() {
		p.world.afterOf(s, 2*p.world.lease, "has waited for its turns to end", p.wake)
	}
}

// giveBack sends a release until it is answered.
func (s *session) giveBack(req *runtimev1.ReleaseRequest, done func()) {
	p, answered := s.process, false
	var send func()
	send = func() {
		if answered {
			return
		}
		ask(p, s, "release", func(e *Engine) (*runtimev1.ReleaseResponse, error) {
			if !p.world.control.loaded() {
				return nil, fault.RuntimeStopping()
			}
			return e.Worker(s.id).Release(context.Background(), req)
		}, func(answer *runtimev1.ReleaseResponse, err error) {
			s.mind(err)
			if err != nil || answered || s.over {
				return
			}
			answered = true
			p.learn(&runtimev1.WatchResponse{Shards: p.table.News(answer.GetShards())})
			done()
		})
		p.world.afterOf(s, p.world.lease/4, "releases again", send)
	}
	send()
}

// shutDown makes the process hand over all that it has, and leave.
func (p *process) shutDown() {
	s := p.session
	if p.leaving || s == nil || s.over {
		return
	}
	p.world.notef("shut %s down", p.name)
	p.leaving = true
	s.giveBack(&runtimev1.ReleaseRequest{Leaving: true}, func() { p.drain(p.world.now + 8*p.world.lease) })
}

// drain releases whatever the process owns, until that is nothing or the grace ends.
func (p *process) drain(ends time.Duration) {
	var owned []place
	for at := range place(allShards) {
		if p.owns(at) {
			owned = append(owned, at)
		}
	}
	if len(owned) == 0 || p.world.now >= ends {
		p.leave()
		return
	}
	p.release(owned, func() { p.drain(ends) })
}

// leave ends the host and the membership.
func (p *process) leave() {
	s := p.session
	p.closing = true
	s.end() // before it leaves: others get the shards while the request is on its way
	ask(p, p, "leave", func(e *Engine) (any, error) {
		if !p.world.control.loaded() {
			return nil, fault.RuntimeStopping()
		}
		return e.Worker(s.id).Leave(context.Background(), nil)
	}, func(any, error) {})
	p.world.afterOf(p, p.world.lease/2, "ends", p.end)
}
