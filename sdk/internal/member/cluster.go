package member

import (
	"context"
	"errors"
	"fmt"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/sdk/internal/host"
)

var _ host.Cluster = (*Member)(nil)

// Worker is the id of the present session, "" before the first.
func (m *Member) Worker() string {
	if s := m.session.Load(); s != nil {
		return s.membership.Worker
	}
	return ""
}

// AwaitTable waits until the table has come for the first time.
func (m *Member) AwaitTable(ctx context.Context) error {
	select {
	case <-m.ready:
		return nil
	case <-m.over:
		return m.ended()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Types lists the actor types of the cluster.
func (m *Member) Types() []string { return m.table.Load().Types() }

// Serves reports whether the cluster has an actor type.
func (m *Member) Serves(typ string) bool { return m.table.Load().Type(typ) != nil }

// Entry is what the table says of a shard.
func (m *Member) Entry(typ string, shard uint32) *runtimev1.Shard {
	return m.table.Load().Shard(typ, shard)
}

// Await waits until a shard has an owner at the given epoch or later.
func (m *Member) Await(ctx context.Context, typ string, shard uint32, epoch uint64) error {
	return m.until(ctx, func() bool {
		entry := m.Entry(typ, shard)
		return entry.GetWorker() != "" && entry.GetEpoch() >= epoch
	})
}

// Pass waits while the lease has lapsed.
func (m *Member) Pass(ctx context.Context) error {
	if m.Active() {
		return nil
	}
	return m.until(ctx, m.Active)
}

// Active reports whether the worker may start something.
func (m *Member) Active() bool {
	s := m.session.Load()
	return s != nil && s.active()
}

// ActiveForForwarded reports the same to calls of other workers. What the machine slept
// before a call came, it knows; a call that came before is answered as of then, and
// what it changes is fenced.
func (m *Member) ActiveForForwarded() bool {
	s := m.session.Load()
	return s != nil && int64(m.watch.Now()) < s.lapses.Load()
}

// Arrived says that calls of another worker have come. It is called before they are
// served.
func (m *Member) Arrived() { m.watch.Look() }

// Forward sends a call to another worker.
func (m *Member) Forward(ctx context.Context, worker string, req *peerv1.InvokeRequest, res *peerv1.InvokeResponse) error {
	return m.peers.invoke(ctx, worker, req, res)
}

// Load reads an actor, together with others that are read at the same time. It is
// repeated until ctx ends: a read has no effect.
func (m *Member) Load(ctx context.Context, read *runtimev1.LoadRequest_Read) (*runtimev1.LoadResponse_Result, error) {
	for {
		s := m.session.Load()
		if s == nil {
			return nil, errNoSession
		}
		res, err := s.loads.do(ctx, read)
		if err == nil && res.GetVerdict() == runtimev1.Verdict_VERDICT_UNSPECIFIED {
			continue // the answer was full: it is asked for again
		}
		if err == nil || ctx.Err() != nil || !errors.Is(err, errSessionOver) {
			return res, err
		}
		if err := m.until(ctx, func() bool { return m.session.Load() != s }); err != nil {
			return nil, err
		}
	}
}

// Commit writes a record, together with others that are written at the same time.
// It belongs to the session in which it began: another one could not tell whether
// it was applied. It fails with [host.ErrUnsent] where it was certainly not.
func (m *Member) Commit(from host.Sender) {
	if s := m.session.Load(); s != nil {
		s.commits.add(from)
		return
	}
	if from.Seal() != nil {
		from.Answered(nil, fmt.Errorf("%w: %w", host.ErrUnsent, errNoSession))
	}
}

// merge takes over a change of the table, one after the other.
func (m *Member) merge(change *runtimev1.WatchResponse) {
	m.saw(change.GetMark())
	m.take(func(*placement.Table) *runtimev1.WatchResponse { return change })
}

// overtake takes over what the answer to a release says of shards. What this worker
// follows may have brought something newer meanwhile, a next owner for example, and does
// so only once.
func (m *Member) overtake(entries []*runtimev1.Shard) {
	m.take(func(now *placement.Table) *runtimev1.WatchResponse {
		return &runtimev1.WatchResponse{Shards: now.News(entries)}
	})
}

// take takes over a change of the table as it is now, and does what it means for this
// worker.
func (m *Member) take(changeOf func(now *placement.Table) *runtimev1.WatchResponse) {
	m.mu.Lock()
	worker := m.Worker()
	before := m.table.Load()
	change := changeOf(before)
	after := before.Merge(m.withoutGiven(change))
	m.table.Store(after)
	m.mu.Unlock()
	m.wake()
	if change.GetComplete() || len(change.GetGone()) > 0 {
		m.peers.keep(after)
	}
	for _, entry := range change.GetShards() {
		typ, shard := entry.GetType(), entry.GetShard()
		had, has := before.Shard(typ, shard), after.Shard(typ, shard)
		switch {
		case had.GetWorker() == worker && (has.GetWorker() != worker || has.GetEpoch() != had.GetEpoch()):
			m.host.Revoke(typ, shard)
		case has.GetWorker() == worker && has.GetNext() != "":
			m.handOver(shardKey{typ, shard})
		}
	}
}
