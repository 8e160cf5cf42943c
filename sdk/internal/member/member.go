// Package member makes a host a worker or a client of a cluster: it joins, keeps the lease,
// follows the table of shards, reaches the other workers, and hands shards over. It
// implements [host.Cluster]; what a worker may do, when, and where an actor lives is
// decided by the pure packages internal/core/lease and internal/core/placement,
// which it feeds.
//
// A worker is a member for as long as its lease is renewed. When the runtime has
// declared it dead it drops everything it holds and joins again, under a new id:
// each such time is a [session].
//
// A client hosts nothing. It follows the table and reaches the workers, and has no lease:
// so its session goes on while no runtime answers.
package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/boottime"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// Config are the settings of a member.
type Config struct {
	// Join makes this process a member of the cluster, with a new id.
	Join func(ctx context.Context) (*Membership, error)
	// Client makes it a client: it neither announces, receives nor owns anything. It renews
	// its certificate by joining again.
	Client bool
	// Announce says what the worker serves, and where. A client needs none.
	Announce func() *runtimev1.AnnounceRequest
	Logger   *slog.Logger
	// Clock counts the lease. Default: boottime.SinceBoot, which goes on while the
	// machine is suspended.
	Clock boottime.Clock
}

// Membership is what joining gives.
type Membership struct {
	// Worker is the id, also of a client.
	Worker string
	// Holder has the certificate; nil in one process with the runtime.
	Holder *pki.Holder
	// Lease is how long the first lease is, counted from before it was asked for. It means
	// nothing to a client.
	Lease time.Duration
	// Runtime is the runtime, as this worker sees it. A client watches, changes and lists.
	Runtime runtimev1connect.WorkerServiceClient
	// Leave gives a runtime up that does not renew the lease, where there is another one;
	// nil where there is none.
	Leave func()
	// Close ends the connections to the runtime.
	Close func()
}

// Member is the membership of one host.
type Member struct {
	cfg   Config
	log   *slog.Logger
	host  *host.Host
	peers peers
	// watch shows the time by which the lease counts to calls of other workers.
	watch *boottime.Watch

	// session is the present one; nil before the first join.
	session atomic.Pointer[session]
	// table is what is known of the cluster.
	table atomic.Pointer[placement.Table]
	// contracts are those that were read already, by the name of their actor type.
	contracts sync.Map

	mu sync.Mutex
	// changed is closed, and replaced, whenever the table or the lease has changed.
	changed chan struct{}
	// handing are the shards that are being handed over.
	handing map[shardKey]bool
	// given are the epochs at which this worker has asked for the release of shards, until
	// a later one is known.
	given map[shardKey]uint64
	// highest is the highest mark that was seen; never changed in place.
	highest []byte
	// leaving is set once the worker hands its shards over for good.
	leaving bool

	// handovers are the goroutines that hand a shard over.
	handovers sync.WaitGroup

	ready     chan struct{}
	readyOnce sync.Once
	// over is closed when Run has returned.
	over chan struct{}
}

type shardKey struct {
	typ   string
	shard uint32
}

func keyOf(entry *runtimev1.Shard) shardKey { return shardKey{entry.GetType(), entry.GetShard()} }

// New returns a member; Serve gives it its host, and Run starts it.
func New(cfg Config) *Member {
	m := &Member{
		cfg: cfg, log: cfg.Logger,
		changed: make(chan struct{}), handing: map[shardKey]bool{}, given: map[shardKey]uint64{},
		ready: make(chan struct{}), over: make(chan struct{}),
	}
	if m.cfg.Clock == nil {
		m.cfg.Clock = boottime.SinceBoot
	}
	m.watch = boottime.NewWatch(m.cfg.Clock)
	m.table.Store(&placement.Table{})
	m.peers.member = m
	return m
}

// Serve names the host whose membership this is. It is called once, before Run.
func (m *Member) Serve(h *host.Host) { m.host = h }

// now is the time by which the lease counts.
func (m *Member) now() time.Duration { return m.cfg.Clock() }

// Ready is closed once the worker has joined and knows the cluster's table.
func (m *Member) Ready() <-chan struct{} { return m.ready }

// Serving reports whether the worker is ready and does not drain.
func (m *Member) Serving() bool {
	select {
	case <-m.ready:
		return !m.draining()
	default:
		return false
	}
}

// Holder is the certificate holder of the present session; nil before the first.
func (m *Member) Holder() *pki.Holder {
	if s := m.session.Load(); s != nil {
		return s.membership.Holder
	}
	return nil
}

// Table is what is known of the cluster.
func (m *Member) Table() *placement.Table { return m.table.Load() }

// Run joins and stays a member until ctx ends, and leaves then; it joins again
// whenever the worker was declared dead, unless it drains. It fails when a join is
// refused for a reason that does not pass. It is called once.
func (m *Member) Run(ctx context.Context) error {
	defer m.peers.close()
	defer m.handovers.Wait()
	defer close(m.over)
	for ctx.Err() == nil && !m.draining() {
		s, err := m.join(ctx)
		if s == nil || err != nil {
			return err
		}
		s.run(ctx)
		s.end() // before it leaves: others get the shards while the request is on its way
		if ctx.Err() != nil {
			s.leave()
		}
		m.end(s)
	}
	return nil
}

// join joins, and tries again while the fault may pass. It returns nil when ctx
// ended.
func (m *Member) join(ctx context.Context) (*session, error) {
	for again := (pauses{}); ctx.Err() == nil; {
		asked := m.now()
		membership, err := m.cfg.Join(ctx)
		switch {
		case err == nil:
			return m.begin(membership, asked), nil
		case Permanent(err):
			return nil, fmt.Errorf("join the cluster: %w", err)
		case ctx.Err() == nil:
			m.log.Warn("could not join the cluster; trying again", "error", err)
			again.wait(ctx)
		}
	}
	return nil, nil //nolint:nilnil // no session and no fault: the worker stops
}

// begin makes a membership, which was asked for at that time, the present session.
func (m *Member) begin(membership *Membership, asked time.Duration) *session {
	s := newSession(m, membership, asked)
	m.session.Store(s)
	if m.cfg.Client {
		m.log.Info("joined the cluster as a client", "client", membership.Worker)
	} else {
		m.log.Info("joined the cluster", "worker", membership.Worker, "lease", membership.Lease)
	}
	m.wake()
	return s
}

// end drops what belongs to a session that is over.
func (m *Member) end(s *session) {
	for _, key := range m.owned(s.membership.Worker) {
		m.host.Revoke(key.typ, key.shard)
	}
	s.stop()
	s.membership.Close()
}

// owned lists the shards that the table gives to a worker.
func (m *Member) owned(worker string) []shardKey {
	var keys []shardKey
	table := m.table.Load()
	for _, typ := range table.Types() {
		for _, entry := range table.Shards(typ) {
			if entry.GetWorker() == worker {
				keys = append(keys, shardKey{typ, entry.GetShard()})
			}
		}
	}
	return keys
}

// wake lets all who wait for the table or the lease look again.
func (m *Member) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

// change is closed at the next change.
func (m *Member) change() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// until waits until done says so. It fails when ctx ends, or with Run.
func (m *Member) until(ctx context.Context, done func() bool) error {
	for {
		changed := m.change()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-m.over:
			return m.ended()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended is what is told to calls once Run has returned. A worker's may succeed on another
// one.
func (m *Member) ended() error {
	if m.cfg.Client {
		return fault.Closed()
	}
	return fault.ShuttingDown()
}

// errNoSession is the failure of what needs the runtime while there is no session.
var errNoSession = errors.New("this process is no member of the cluster at present")
