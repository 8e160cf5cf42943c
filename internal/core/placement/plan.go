package placement

import (
	"cmp"
	"slices"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Member is a worker that serves the type which is planned.
type Member struct {
	// ID is the worker's id.
	ID string
	// Leaving is true for a worker that receives no shards any more.
	Leaving bool
	// Load is how many shards of any type it owns. Of members that hold equally many
	// shards of the type, the one with less load receives the next one.
	Load int
}

// Assignment says who shall own a shard. A shard without an owner moves at once, to
// the next epoch. One with an owner stays until its owner releases it, and is said
// to have a next owner meanwhile.
type Assignment struct {
	// Shard is the entry as the planner saw it: the assignment is only good while it
	// is still at that epoch.
	Shard *runtimev1.Shard
	// Worker shall own it. Empty withdraws a next owner.
	Worker string
}

// MakePlan decides who shall own the shards of one type, given in order of their
// numbers. It is a function of its arguments alone, so engines that see the same
// plan the same.
//
// Three rules, in this order:
//
//   - A shard without an owner goes to the member that holds the fewest, at once.
//   - A shard whose owner leaves gets a next owner, at once: the owner is draining
//     in any case. A next owner that is gone is replaced, or forgotten when the
//     owner stays.
//   - While two members differ by more than one shard, one shard of the fullest is
//     to move to the emptiest; at most inFlight shards are on such a move at a time,
//     so a worker that joins receives its share gradually.
//
// Who holds a shard is who will own it when every move has ended. Moves in flight
// count as done, so no plan undoes or repeats an earlier one, and as few shards
// move as balance needs.
func MakePlan(members []Member, shards []*runtimev1.Shard, inFlight int) []Assignment {
	p := newPlanner(members, shards)
	p.house()
	p.balance(inFlight)
	return p.plan
}

// seat is a member and what it holds.
type seat struct {
	Member
	holds int
	// movable are the shards that it owns and keeps, in reverse order.
	movable []*runtimev1.Shard
}

// planner makes one plan.
type planner struct {
	plan  []Assignment
	seats map[string]*seat
	// ready are the seats that may receive shards.
	ready []*seat
	// homeless are the shards that nobody holds, in reverse order.
	homeless []*runtimev1.Shard
	// moving is how many shards move for balance.
	moving int
}

func newPlanner(members []Member, shards []*runtimev1.Shard) *planner {
	p := &planner{seats: make(map[string]*seat, len(members))}
	for _, member := range members {
		if member.Leaving {
			continue
		}
		s := &seat{Member: member}
		p.seats[member.ID] = s
		p.ready = append(p.ready, s)
	}
	for _, shard := range slices.Backward(shards) {
		p.seat(shard)
	}
	return p
}

// seat finds out who holds a shard.
func (p *planner) seat(shard *runtimev1.Shard) {
	owner, next := p.seats[shard.GetWorker()], p.seats[shard.GetNext()]
	switch {
	case shard.GetWorker() == "":
		p.homeless = append(p.homeless, shard)
	case next != nil && next != owner:
		next.holds++
		if owner != nil {
			p.moving++
		}
	case owner == nil:
		p.homeless = append(p.homeless, shard)
	case shard.GetNext() != "":
		owner.holds++
		p.withdraw(shard)
	default:
		owner.holds++
		owner.movable = append(owner.movable, shard)
	}
}

// house gives each homeless shard a home.
func (p *planner) house() {
	for _, shard := range slices.Backward(p.homeless) {
		home := p.emptiest()
		switch {
		case shard.GetWorker() != "":
			p.retarget(shard, home)
		case home != nil:
			p.assign(shard, home)
		}
	}
}

// retarget names who shall follow an owner that leaves.
func (p *planner) retarget(shard *runtimev1.Shard, home *seat) {
	switch {
	case home != nil:
		p.assign(shard, home)
	case shard.GetNext() != "":
		p.withdraw(shard)
	}
}

// balance moves shards from the fullest to the emptiest. When the fullest owns
// nothing yet of what it holds, its turn comes after the moves to it.
func (p *planner) balance(inFlight int) {
	for p.moving < inFlight {
		from, to := p.fullest(), p.emptiest()
		if from == nil || from.holds-to.holds <= 1 || len(from.movable) == 0 {
			return
		}
		last := len(from.movable) - 1
		p.assign(from.movable[last], to)
		from.movable = from.movable[:last]
		from.holds--
		from.Load--
		p.moving++
	}
}

func (p *planner) assign(shard *runtimev1.Shard, to *seat) {
	to.holds++
	to.Load++
	p.plan = append(p.plan, Assignment{Shard: shard, Worker: to.ID})
}

func (p *planner) withdraw(shard *runtimev1.Shard) {
	p.plan = append(p.plan, Assignment{Shard: shard})
}

// emptiest is the seat that receives the next shard, nil when there is none.
func (p *planner) emptiest() *seat {
	var best *seat
	for _, s := range p.ready {
		if best == nil || s.compare(best) < 0 {
			best = s
		}
	}
	return best
}

// fullest is the seat that gives the next shard away, nil when there is none. Of
// seats that hold equally many, one that can give comes first.
func (p *planner) fullest() *seat {
	var best *seat
	for _, s := range p.ready {
		if best == nil || cmp.Or(cmp.Compare(s.holds, best.holds), cmp.Compare(s.givable(), best.givable()), s.compare(best)) > 0 {
			best = s
		}
	}
	return best
}

// givable is how many shards the seat could give away now, 1 for any number.
func (s *seat) givable() int { return min(1, len(s.movable)) }

// compare orders seats by what they hold; ids, which are random, break ties.
func (s *seat) compare(other *seat) int {
	return cmp.Or(
		cmp.Compare(s.holds, other.holds),
		cmp.Compare(s.Load, other.Load),
		cmp.Compare(s.ID, other.ID),
	)
}
