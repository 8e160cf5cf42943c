package member

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/host"
)

const testLease = 5 * time.Second

var errAway = errors.New("the runtime is away")

// theShard is the shard of the actor "id1", the only one that the fake places.
var theShard = placement.ShardOf("id1", placement.Shards)

// fake is a small runtime: it gives its one shard to the worker that joined last.
type fake struct {
	mu sync.Mutex
	// away makes every request fail; dead are workers that were declared dead.
	away bool
	dead map[string]bool
	// certify, when set, gives workers that join a certificate: holders has those.
	certify func(worker string) *pki.Holder
	holders map[string]*pki.Holder
	// left counts how often a runtime was given up.
	left int
	// worker is who joined last, entry the present entry of the shard.
	worker   string
	joins    int
	entry    *runtimev1.Shard
	revision int
	changed  chan struct{}
	// log are the requests that change something, in order.
	log []string
	// refuse fails the next announcements.
	refuse int
	// lost loses the answers to releases.
	lost bool
	// onRelease, when set, takes the shard and answers instead, once.
	onRelease func() *runtimev1.Shard
	// onLoad and onCommit, when set, answer instead.
	onLoad   func(n int) ([]*runtimev1.LoadResponse_Result, error)
	onCommit func(attempt int, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error)
	commits  int
	cursors  []string
	inbox    inbox
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.revision++
	close(f.changed)
	f.changed = make(chan struct{})
}

// give moves the shard, and says who shall have it next.
func (f *fake) give(worker, next string) {
	f.set(func() {
		epoch := f.entry.GetEpoch()
		if worker != f.entry.GetWorker() {
			epoch++
		}
		f.entry = &runtimev1.Shard{Type: "probe", Shard: theShard, Epoch: epoch, Worker: worker, Next: next}
	})
}

// kill declares the present worker dead.
func (f *fake) kill() {
	f.set(func() {
		f.dead[f.worker] = true
		f.entry = &runtimev1.Shard{Type: "probe", Shard: theShard, Epoch: f.entry.GetEpoch() + 1}
	})
}

func (f *fake) setAway(away bool) { f.set(func() { f.away = away }) } //nolint:revive // the new value

func (f *fake) join(context.Context) (*Membership, error) {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if away {
		return nil, errAway
	}
	f.set(func() {
		f.joins++
		f.worker = "w" + strconv.Itoa(f.joins)
		f.entry = &runtimev1.Shard{Type: "probe", Shard: theShard, Epoch: f.entry.GetEpoch() + 1, Worker: f.worker}
		if f.certify != nil {
			f.holders = map[string]*pki.Holder{f.worker: f.certify(f.worker)}
		}
	})
	return &Membership{
		Worker: f.worker, Holder: f.holders[f.worker], Lease: testLease,
		Runtime: &seen{f, f.worker}, Leave: f.leave, Close: func() {},
	}, nil
}

func (f *fake) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left++
}

// seen is the fake as one worker sees it.
type seen struct {
	*fake

	id string
}

var _ runtimev1connect.WorkerServiceClient = (*seen)(nil)

func (s *seen) enter(ctx context.Context, what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.away || s.ended():
		return errAway
	case s.dead[s.id]:
		return fault.WorkerDead(s.id)
	}
	if what != "" {
		s.log = append(s.log, what)
	}
	return nil
}

// ended reports whether the worker shows a certificate that nobody accepts any more.
func (s *seen) ended() bool {
	holder := s.holders[s.id]
	return holder != nil && time.Now().After(holder.Certificate().NotAfter())
}

func (s *seen) Announce(ctx context.Context, _ *runtimev1.AnnounceRequest) (*runtimev1.AnnounceResponse, error) {
	s.mu.Lock()
	refused := s.refuse > 0
	s.refuse--
	s.mu.Unlock()
	if refused {
		return nil, fault.AddressTaken("a:1", "other")
	}
	return &runtimev1.AnnounceResponse{}, s.enter(ctx, "announce "+s.id)
}

func (s *seen) Renew(ctx context.Context, _ *runtimev1.RenewRequest) (*runtimev1.RenewResponse, error) {
	err := s.enter(ctx, "")
	if dead(err) {
		return &runtimev1.RenewResponse{Dead: true}, nil
	}
	return &runtimev1.RenewResponse{}, err
}

func (s *seen) Watch(ctx context.Context, req *runtimev1.WatchRequest) (*runtimev1.WatchResponse, error) {
	for {
		if err := s.enter(ctx, ""); err != nil {
			return nil, err
		}
		s.mu.Lock()
		changed, cursor := s.changed, strconv.Itoa(s.revision)
		answer := &runtimev1.WatchResponse{
			Cursor: cursor, Complete: req.GetCursor() == "", Shards: []*runtimev1.Shard{s.entry},
			Types: []*runtimev1.ActorType{{Name: "probe"}}, Workers: []*runtimev1.Worker{{Id: s.id}},
		}
		if cursor != req.GetCursor() {
			s.cursors = append(s.cursors, req.GetCursor())
		}
		s.mu.Unlock()
		if cursor != req.GetCursor() {
			return answer, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (s *seen) Release(ctx context.Context, req *runtimev1.ReleaseRequest) (*runtimev1.ReleaseResponse, error) {
	what := "release"
	if len(req.GetReleases()) == 0 {
		what = "leaving"
	}
	if err := s.enter(ctx, what); err != nil || len(req.GetReleases()) == 0 {
		return &runtimev1.ReleaseResponse{}, err
	}
	s.mu.Lock()
	lost, onRelease := s.lost, s.onRelease
	s.onRelease = nil
	s.mu.Unlock()
	if lost {
		return nil, errAway
	}
	if onRelease != nil {
		return &runtimev1.ReleaseResponse{Shards: []*runtimev1.Shard{onRelease()}}, nil
	}
	s.give("other", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return &runtimev1.ReleaseResponse{Shards: []*runtimev1.Shard{s.entry}}, nil
}

func (s *seen) Leave(ctx context.Context, _ *runtimev1.LeaveRequest) (*runtimev1.LeaveResponse, error) {
	return &runtimev1.LeaveResponse{}, s.enter(ctx, "leave "+s.id)
}

func (s *seen) Load(ctx context.Context, req *runtimev1.LoadRequest) (*runtimev1.LoadResponse, error) {
	if err := s.enter(ctx, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	onLoad := s.onLoad
	s.mu.Unlock()
	if onLoad != nil {
		results, err := onLoad(len(req.GetReads()))
		return &runtimev1.LoadResponse{Results: results}, err
	}
	results := make([]*runtimev1.LoadResponse_Result, len(req.GetReads()))
	for i := range results {
		results[i] = &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}
	}
	return &runtimev1.LoadResponse{Results: results}, nil
}

func (s *seen) Commit(ctx context.Context, req *runtimev1.CommitRequest) (*runtimev1.CommitResponse, error) {
	if err := s.enter(ctx, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.commits++
	attempt, onCommit := s.commits, s.onCommit
	s.mu.Unlock()
	if onCommit != nil {
		results, err := onCommit(attempt, req.GetRecords())
		return &runtimev1.CommitResponse{Results: results}, err
	}
	return &runtimev1.CommitResponse{Results: verdicts(len(req.GetRecords()), runtimev1.Verdict_VERDICT_APPLIED)}, nil
}

func (*seen) Certify(context.Context, *runtimev1.CertifyRequest) (*runtimev1.CertifyResponse, error) {
	return nil, fault.NotOffered("sign")
}

func verdicts(n int, v runtimev1.Verdict) []*runtimev1.CommitResponse_Result {
	results := make([]*runtimev1.CommitResponse_Result, n)
	for i := range results {
		results[i] = &runtimev1.CommitResponse_Result{Verdict: v, Version: 1}
	}
	return results
}

// watched are the cursors from which the table was asked for.
func (f *fake) watched() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.cursors)
}

// wantLog checks what was asked of the runtime.
func (f *fake) wantLog(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.log, want) {
		t.Errorf("the runtime was asked %q, want %q", f.log, want)
	}
}

// bed is a member with a host of probes, on a fake runtime.
type bed struct {
	// suspended is for how long the machine was suspended.
	suspended atomic.Int64
	// began is when the bubble did.
	began time.Time
	*fake

	t      *testing.T
	member *Member
	host   *host.Host
	probes *behaviour.Probes
	leave  func()
}

// run runs a test in a bubble with a member that is ready.
func run(t *testing.T, test func(b *bed)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		ctx, leave := context.WithCancel(context.Background())
		b.leave = leave
		ended := make(chan error, 1)
		go func() { ended <- b.member.Run(ctx) }()
		<-b.member.Ready()
		test(b)
		b.setAway(false)
		leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := b.host.Drain(time.Second); err != nil {
			t.Error(err)
		}
	})
}

func newBed(t *testing.T) *bed {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	b := &bed{began: time.Now(), t: t, fake: &fake{dead: map[string]bool{}, changed: make(chan struct{}), inbox: inbox{next: make(chan received)}}, probes: &behaviour.Probes{}}
	b.member = New(Config{Join: b.join, Announce: func() *runtimev1.AnnounceRequest { return &runtimev1.AnnounceRequest{} }, Logger: quiet, Clock: b.now})
	var err error
	if b.host, err = host.New(host.Config{Cluster: b.member, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	b.member.Serve(b.host)
	b.probes.Service = b.host.Service()
	if err := behaviourv1francis.RegisterProbeActor(b.host, b.probes.New); err != nil {
		t.Fatal(err)
	}
	return b
}

// now is the clock of the worker: what passes in the bubble, and suspends.
func (b *bed) now() time.Duration {
	return time.Since(b.began) + time.Duration(b.suspended.Load())
}

// add calls the actor "id1". The bubble is at rest when it returns.
func (b *bed) add(req *behaviourv1.AddRequest) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := behaviourv1francis.NewProbeActorProxy(b.host.Service(), "id1").Add(context.Background(), req, sdk.WithoutRetries())
		done <- err
	}()
	synctest.Wait()
	return done
}

func (b *bed) passes() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	return b.member.Pass(ctx) == nil
}
