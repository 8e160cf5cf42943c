package member

import (
	"context"
	"sync"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
)

// maxReleases is how many shards one request releases.
const maxReleases = 4096

// handOver gives a shard to the worker that shall have it next: its calls wait, its
// activations end, it is released, and its calls follow it. Each shard once at a
// time.
func (m *Member) handOver(key shardKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.handing[key] || m.leaving {
		return
	}
	m.handing[key] = true
	go func() {
		m.release(context.Background(), []shardKey{key}, limit.ShutdownGrace, false)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.handing, key)
	}()
}

// Drain hands every shard over within the grace, and takes no new one. Calls that
// come later are forwarded, for as long as Run goes on.
func (m *Member) Drain(grace time.Duration) {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	if s := m.session.Load(); s != nil {
		m.release(context.Background(), m.owned(s.membership.Worker), grace, true)
	}
}

func (m *Member) draining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaving
}

// leaveTimeout is how long the farewell may take: without it the lease runs out.
const leaveTimeout = 2 * time.Second

// leave ends the membership.
func (s *session) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if _, err := s.membership.Runtime.Leave(ctx, &runtimev1.LeaveRequest{}); err != nil {
		s.member.log.Warn("could not leave the cluster; the lease runs out", "error", err)
	}
}

// release empties shards, gives them back, and lets the calls that wait for them
// follow. When the grace ends first it gives them back all the same: the next epoch
// refuses what comes late.
func (m *Member) release(ctx context.Context, keys []shardKey, grace time.Duration, leaving bool) {
	releases := m.releases(keys)
	m.empty(ctx, keys, grace)
	for len(releases) > 0 || leaving {
		n := min(len(releases), maxReleases)
		m.giveBack(ctx, &runtimev1.ReleaseRequest{Releases: releases[:n], Leaving: leaving})
		releases = releases[n:]
		if len(releases) == 0 {
			break
		}
	}
	for _, key := range keys {
		m.host.Resume(key.typ, key.shard)
	}
}

func (m *Member) releases(keys []shardKey) []*runtimev1.ReleaseRequest_Release {
	var releases []*runtimev1.ReleaseRequest_Release
	for _, key := range keys {
		releases = append(releases, &runtimev1.ReleaseRequest_Release{
			Type: key.typ, Fence: &runtimev1.Fence{Shard: key.shard, Epoch: m.Entry(key.typ, key.shard).GetEpoch()},
		})
	}
	return releases
}

// empty ends the activations of shards.
func (m *Member) empty(ctx context.Context, keys []shardKey, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	var emptying sync.WaitGroup
	for _, key := range keys {
		emptying.Go(func() {
			if err := m.host.Empty(ctx, key.typ, key.shard); err != nil {
				m.log.Warn("a shard is handed over while turns of it still run; they are not committed", "type", key.typ, "shard", key.shard)
				m.host.Revoke(key.typ, key.shard)
			}
		})
	}
	emptying.Wait()
}

// giveBack releases shards and learns who has them now. It is repeated until it is
// answered or the session is over.
func (m *Member) giveBack(ctx context.Context, req *runtimev1.ReleaseRequest) {
	s := m.session.Load()
	for s != nil && s.ctx.Err() == nil && ctx.Err() == nil {
		res, err := s.membership.Runtime.Release(s.ctx, req)
		if err == nil {
			m.merge(&runtimev1.WatchResponse{Shards: res.GetShards()})
			return
		}
		if permanent(err) || dead(err) {
			m.log.Warn("shards could not be released; the lease runs out", "error", err)
			return
		}
		sleep(ctx, jitteredRetry())
	}
}
