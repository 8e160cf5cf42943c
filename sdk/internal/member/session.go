package member

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/internal/release"
)

// errSessionOver says that the worker was declared dead, or stops.
var errSessionOver = errors.New("the session of the worker is over")

// session is one membership, from joining to death or departure.
type session struct {
	member     *Member
	membership *Membership

	// ctx ends with the session.
	ctx  context.Context
	stop context.CancelFunc

	// lapses is when the lease lapses, by the clock of the member; before all times
	// once the session is over.
	lapses atomic.Int64

	mu    sync.Mutex
	lease *lease.Holder

	loads   batcher[*runtimev1.LoadRequest_Read, *runtimev1.LoadResponse_Result]
	commits batcher[*runtimev1.Record, *runtimev1.CommitResponse_Result]

	changes     batcher[*runtimev1.TaskChange, runtimev1.ChangeResponse_Result]
	settlements batcher[*runtimev1.Settlement, runtimev1.Verdict]
	// again is set when deliveries were dropped without a word to the runtime: everything
	// that is out comes again then.
	again atomic.Bool
}

func newSession(m *Member, membership *Membership, asked time.Duration) *session {
	s := &session{member: m, membership: membership}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.lease = lease.NewHolder(asked, membership.Lease)
	s.lapses.Store(int64(s.lease.Lapses()))
	if m.cfg.Client {
		s.lapses.Store(math.MaxInt64)
	}
	s.loads.send, s.commits.send = s.load, s.commit
	s.loads.width, s.commits.width = inFlight, inFlight
	s.changes.send, s.settlements.send = s.change, s.settle
	s.changes.width, s.settlements.width = inFlight, inFlight
	return s
}

// run keeps the session until the worker is declared dead or ctx ends.
func (s *session) run(ctx context.Context) {
	defer context.AfterFunc(ctx, s.stop)()
	var running sync.WaitGroup
	for _, loop := range s.loops() {
		running.Go(loop)
	}
	running.Wait()
}

// loops are what keeps a session.
func (s *session) loops() []func() {
	if s.member.cfg.Client {
		return []func(){s.watch, s.certify}
	}
	return []func(){s.renew, s.appear, s.receive, s.certify}
}

// appear makes the worker known, and follows the table from then on.
func (s *session) appear() {
	if s.announce() {
		s.watch()
	}
}

// active reports whether the worker may start something.
func (s *session) active() bool { return int64(s.member.now()) < s.lapses.Load() }

// end keeps the worker from starting anything more in this session. Whatever answer
// to a renewal comes later, it stays so.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease.Die()
	s.lapses.Store(math.MinInt64)
}

// die ends the session because the runtime has declared the worker dead.
func (s *session) die() {
	s.end()
	if s.ctx.Err() == nil {
		s.member.log.Warn("declared dead by the runtime; joining again", "worker", s.membership.Worker)
	}
	s.stop()
}

// renew renews the lease, again and again.
func (s *session) renew() {
	for s.pause() {
		renewal, patience := s.send()
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		res, err := s.membership.Runtime.Renew(ctx, s.renewal())
		cancel()
		if res.GetDead() || dead(err) {
			s.die()
			return
		}
		if err != nil && s.membership.Leave != nil {
			s.membership.Leave() // it may be cut off from its store
		}
		s.renewed(renewal, err)
	}
}

// renewal is the request to renew the lease.
func (s *session) renewal() *runtimev1.RenewRequest {
	req := &runtimev1.RenewRequest{Release: release.Number, Mark: s.member.mark()}
	req.ProtoReflect().SetUnknown(protoreflect.RawFields(release.Extra))
	return req
}

// pause waits until the next renewal is due, and reports whether the session goes
// on.
func (s *session) pause() bool {
	s.mu.Lock()
	wait := s.lease.Renews() - s.member.now()
	s.mu.Unlock()
	return deadline.Sleep(s.ctx, max(wait, 0))
}

func (s *session) send() (lease.Renewal, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease.Send(s.member.now()), s.lease.Patience()
}

// renewed takes over the answer to a renewal.
func (s *session) renewed(renewal lease.Renewal, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.lease.Failed(renewal)
		s.member.log.Debug("the lease was not renewed", "error", err)
		return
	}
	if s.lease.State(s.member.now()) == lease.Dead {
		return
	}
	s.lease.Accepted(renewal, s.membership.Lease)
	before := s.lapses.Swap(int64(s.lease.Lapses()))
	if int64(s.member.now()) >= before { // read after the swap: nobody lapses unseen in between
		s.member.log.Info("the lease is renewed after a lapse", "worker", s.membership.Worker)
		s.member.wake()
	}
}

const (
	// retryPause is how long to wait before a request is repeated that failed.
	retryPause = 200 * time.Millisecond
	// retryPauseMost is the longest of growing pauses.
	retryPauseMost = 5 * time.Second
)

// announce says what the worker serves, and reports whether it did. A refusal may
// pass: the worker that serves a type by another contract, or has the address, stops.
func (s *session) announce() bool {
	for again := (pauses{}); ; {
		_, err := s.membership.Runtime.Announce(s.ctx, s.member.cfg.Announce())
		if err == nil {
			return true
		}
		if dead(err) {
			s.die()
		}
		if s.ctx.Err() != nil {
			return false
		}
		s.member.log.Warn("could not announce what this worker serves; trying again", "error", err)
		if !again.wait(s.ctx) {
			return false
		}
	}
}

// watch follows the table.
func (s *session) watch() {
	var cursor string
	for s.ctx.Err() == nil {
		change, err := s.membership.Runtime.Watch(s.ctx, &runtimev1.WatchRequest{Cursor: cursor, Mark: s.member.mark()})
		if dead(err) {
			s.die()
		}
		if err != nil {
			s.unheard()
			continue
		}
		cursor = change.GetCursor()
		s.member.merge(change)
		s.member.readyOnce.Do(func() { close(s.member.ready) })
	}
}

// unheard waits before the table is asked for again. A client turns to another runtime; a
// worker does that when its lease is not renewed.
func (s *session) unheard() {
	if s.member.cfg.Client && s.membership.Leave != nil && s.ctx.Err() == nil {
		s.membership.Leave()
	}
	deadline.Sleep(s.ctx, jitteredRetry())
}

// certify renews the certificate at about half its life. A worker that has none any more
// joins again.
func (s *session) certify() {
	holder := s.membership.Holder
	if holder == nil {
		return
	}
	again := pauses{}
	for deadline.SleepUntil(s.ctx, holder.Certificate().RenewAt(rand.Float64())) {
		err := s.certified(holder)
		switch {
		case err == nil:
			again = pauses{}
		case s.ctx.Err() != nil:
		case s.stranded(holder):
			s.member.log.Warn("the certificate has ended, and could not be renewed; joining again", "worker", s.membership.Worker, "error", err)
			s.end()
			s.stop()
		default:
			s.member.log.Warn("the certificate could not be renewed; trying again", "error", err)
			again.wait(s.ctx)
		}
	}
}

// stranded reports whether the certificate has ended and the lease has lapsed: no runtime
// listens to this worker any more, not even to say that it is dead.
func (s *session) stranded(holder *pki.Holder) bool {
	return !s.active() && time.Now().After(holder.Certificate().NotAfter())
}

// certified gives the holder a new certificate. A client joins for it: whoever has no more
// than its certificate cannot renew that.
func (s *session) certified(holder *pki.Holder) error {
	if !s.member.cfg.Client {
		return s.certifyWorker(holder)
	}
	again, err := s.member.cfg.Join(s.ctx)
	if err != nil {
		return err
	}
	again.Close()
	holder.SetBundle(again.Holder.Bundle())
	holder.SetCertificate(again.Holder.Certificate())
	return nil
}

func (s *session) certifyWorker(holder *pki.Holder) error {
	request, err := pki.NewRequest()
	if err != nil {
		return err
	}
	res, err := s.membership.Runtime.Certify(s.ctx, &runtimev1.CertifyRequest{Csr: request.CSR()})
	if err != nil {
		return err
	}
	bundle, err := pki.NewBundle(res.GetAuthorities())
	if err != nil {
		return err
	}
	certificate, err := request.Certificate(res.GetCertificate())
	if err != nil {
		return err
	}
	holder.SetBundle(bundle)
	holder.SetCertificate(certificate)
	return nil
}

// dead reports whether an error says that this worker is no member any more.
func dead(err error) bool {
	return fault.Detail(err).GetReason() == francisv1.Reason_REASON_WORKER_DEAD
}

// Permanent reports whether it is no use to repeat what failed with err.
func Permanent(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated, connect.CodeInvalidArgument, connect.CodeFailedPrecondition,
		connect.CodePermissionDenied, connect.CodeAlreadyExists, connect.CodeUnimplemented:
		return true
	default:
		return false
	}
}

// jitteredRetry is the pause before a repetition, or up to half as much again, so that
// many do not come together.
func jitteredRetry() time.Duration { return retryPause + rand.N(retryPause/2) }

// pauses are the waits of a loop that repeats what people should hear of: each is
// twice as long as the one before, up to the longest.
type pauses struct{ last time.Duration }

func (p *pauses) wait(ctx context.Context) bool {
	p.last = min(max(2*p.last, retryPause), retryPauseMost)
	return deadline.Sleep(ctx, p.last+rand.N(p.last/2))
}
