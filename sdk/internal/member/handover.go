package member

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/deadline"
)

// maxReleases is how many shards one request releases.
const maxReleases = 4096

// leaveTimeout is how long the farewell may take: without it the lease runs out.
const leaveTimeout = 2 * time.Second

// handOver gives a shard to the worker that shall have it next: its calls wait, its
// activations end, it is released, and its calls follow it. Each shard once at a
// time; one that has come back meanwhile to go on elsewhere goes then.
func (m *Member) handOver(key shardKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.session.Load()
	if m.handing[key] || m.leaving || s == nil || s.ctx.Err() != nil {
		return
	}
	m.handing[key] = true
	m.handovers.Go(func() {
		epoch := m.Entry(key.typ, key.shard).GetEpoch()
		m.release(s, []shardKey{key}, limit.ShutdownGrace)
		m.mu.Lock()
		delete(m.handing, key)
		m.mu.Unlock()
		now := m.Entry(key.typ, key.shard)
		if now.GetEpoch() > epoch && now.GetWorker() == m.Worker() && now.GetNext() != "" {
			m.handOver(key)
		}
	})
}

// Drain hands every shard over within the grace, and takes no new one. Calls that
// come later are forwarded, for as long as Run goes on.
func (m *Member) Drain(grace time.Duration) {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	s := m.session.Load()
	if s == nil || m.cfg.Client {
		return
	}
	ends := time.Now().Add(grace)
	// The runtime hears of it first: shards that it still gave to this worker while
	// the others are emptied would not be handed over.
	s.giveBack(0, &runtimev1.ReleaseRequest{Leaving: true})
	for again := true; again; again = again && time.Now().Before(ends) {
		keys := m.owned(s.membership.Worker)
		again = len(keys) > 0 && m.release(s, keys, time.Until(ends))
	}
}

func (m *Member) draining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaving
}

// leave ends the membership. Nobody waits for a client.
func (s *session) leave() {
	if s.member.cfg.Client {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if _, err := s.membership.Runtime.Leave(ctx, &runtimev1.LeaveRequest{}); err != nil {
		s.member.log.Warn("could not leave the cluster; the lease runs out", "error", err)
	}
}

// release empties shards, gives them back, and lets the calls that wait for them
// follow. When the grace ends first it gives them back all the same: the next epoch
// refuses what comes late. It reports whether the runtime has taken them.
func (m *Member) release(s *session, keys []shardKey, grace time.Duration) bool {
	ends := time.Now().Add(grace)
	entries := s.entries(keys)
	m.empty(s, keys, grace)
	m.disown(entries)
	for _, key := range keys {
		m.host.Resume(key.typ, key.shard)
	}
	fate := taken
	for rest := releases(entries); len(rest) > 0 && fate == taken; {
		n := min(len(rest), maxReleases)
		fate = s.giveBack(m.insistence(ends), &runtimev1.ReleaseRequest{Releases: rest[:n], Leaving: m.draining()})
		rest = rest[n:]
	}
	if fate == refused {
		m.own(entries)
	}
	return fate == taken
}

// entries are those of the shards that are still this worker's.
func (s *session) entries(keys []shardKey) []*runtimev1.Shard {
	entries := make([]*runtimev1.Shard, 0, len(keys))
	for _, key := range keys {
		if entry := s.member.Entry(key.typ, key.shard); entry.GetWorker() == s.membership.Worker {
			entries = append(entries, entry)
		}
	}
	return entries
}

func releases(entries []*runtimev1.Shard) []*runtimev1.ReleaseRequest_Release {
	releases := make([]*runtimev1.ReleaseRequest_Release, len(entries))
	for i, entry := range entries {
		releases[i] = &runtimev1.ReleaseRequest_Release{
			Type: entry.GetType(), Fence: &runtimev1.Fence{Shard: entry.GetShard(), Epoch: entry.GetEpoch()},
		}
	}
	return releases
}

// insistence is for how long a release is repeated that is not answered: one that leaves
// at some time gives up, any other goes on while the session does.
func (m *Member) insistence(ends time.Time) time.Duration {
	if m.draining() {
		return time.Until(ends)
	}
	return math.MaxInt64
}

// disown makes shards nobody's in the table of this worker: once their release is on its
// way, somebody else may own them at any time, and nothing of them starts here any more.
func (m *Member) disown(entries []*runtimev1.Shard) {
	m.mu.Lock()
	for _, entry := range entries {
		m.given[keyOf(entry)] = entry.GetEpoch()
	}
	m.table.Store(m.table.Load().Merge(m.withoutGiven(&runtimev1.WatchResponse{Shards: entries})))
	m.mu.Unlock()
	m.wake()
}

// own takes back shards whose release was refused.
func (m *Member) own(entries []*runtimev1.Shard) {
	m.mu.Lock()
	for _, entry := range entries {
		delete(m.given, keyOf(entry))
	}
	m.table.Store(m.table.Load().Merge(&runtimev1.WatchResponse{Shards: entries}))
	m.mu.Unlock()
	if s := m.session.Load(); s != nil {
		s.again.Store(true) // their deliveries were dropped
	}
	m.wake()
}

// withoutGiven is a change in which the shards that this worker has given away are
// nobody's. The member is locked.
func (m *Member) withoutGiven(change *runtimev1.WatchResponse) *runtimev1.WatchResponse {
	var shards []*runtimev1.Shard
	for i, entry := range change.GetShards() {
		switch given, ok := m.given[keyOf(entry)]; {
		case !ok || given > entry.GetEpoch():
		case given < entry.GetEpoch():
			delete(m.given, keyOf(entry))
		default:
			if shards == nil {
				shards = slices.Clone(change.GetShards())
			}
			shards[i] = &runtimev1.Shard{Type: entry.GetType(), Shard: entry.GetShard(), Epoch: entry.GetEpoch()}
		}
	}
	if shards == nil {
		return change
	}
	return &runtimev1.WatchResponse{
		Cursor: change.GetCursor(), Complete: change.GetComplete(), Shards: shards,
		Workers: change.GetWorkers(), Types: change.GetTypes(), Gone: change.GetGone(), Mark: change.GetMark(),
	}
}

// empty ends the activations of shards.
func (m *Member) empty(s *session, keys []shardKey, grace time.Duration) {
	ctx, cancel := context.WithTimeout(s.ctx, grace)
	defer cancel()
	var emptying sync.WaitGroup
	for _, key := range keys {
		emptying.Go(func() {
			if err := m.host.Empty(ctx, key.typ, key.shard); err == nil {
				return
			}
			if s.ctx.Err() == nil {
				m.log.Warn("a shard is handed over while turns of it still run; they are not committed", "type", key.typ, "shard", key.shard)
			}
			m.host.Revoke(key.typ, key.shard)
		})
	}
	emptying.Wait()
}

// fate is what became of a release.
type fate uint8

const (
	// taken means that the runtime has taken the shards.
	taken fate = iota
	// refused means that it has not, and will not.
	refused
	// unanswered means that nobody knows.
	unanswered
)

// giveBack releases shards and learns who has them now. It is repeated until it is
// answered, the patience has ended, or the session is over: the lease runs out then.
func (s *session) giveBack(patience time.Duration, req *runtimev1.ReleaseRequest) fate {
	ctx, cancel := context.WithTimeout(s.ctx, max(patience, leaveTimeout))
	defer cancel()
	doubted := false
	for {
		res, err := s.membership.Runtime.Release(ctx, req)
		switch {
		case err == nil:
			s.member.overtake(res.GetShards())
			return taken
		case dead(err):
			s.die()
			return unanswered
		case Permanent(err) && !doubted:
			s.member.log.Warn("shards could not be released", "error", err)
			return refused
		}
		doubted = doubted || !withoutEffect(err)
		if !deadline.Sleep(ctx, jitteredRetry()) {
			s.member.log.Warn("shards could not be released; the lease runs out", "error", err)
			return unanswered
		}
	}
}
