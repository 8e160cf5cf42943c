package member

import (
	"context"
	"errors"
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// Change changes a task, together with others that are changed at the same time. It waits
// for a membership, and for a runtime that can be reached; once the change may have left
// it is not sent again.
func (m *Member) Change(ctx context.Context, change *runtimev1.TaskChange) (runtimev1.ChangeResponse_Result, error) {
	for {
		s, err := m.joined(ctx)
		if err != nil {
			return 0, unsent(err)
		}
		result, err := s.changes.do(ctx, change)
		if !errors.Is(err, errSessionOver) || !errors.Is(err, host.ErrUnsent) {
			return result, err
		}
		if err := m.until(ctx, func() bool { return m.session.Load() != s }); err != nil {
			return 0, unsent(err)
		}
	}
}

// joined waits for a session. Once Run has returned there is none.
func (m *Member) joined(ctx context.Context) (*session, error) {
	select {
	case <-m.over:
		return nil, m.ended()
	default:
	}
	err := m.until(ctx, func() bool { return m.session.Load() != nil })
	return m.session.Load(), err
}

// List lists tasks.
func (m *Member) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return read(ctx, m, req, runtimev1connect.WorkerServiceClient.List)
}

// ListActors lists actors.
func (m *Member) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return read(ctx, m, req, runtimev1connect.WorkerServiceClient.ListActors)
}

// read asks the runtime for something. It is repeated until ctx ends: a read has no effect.
func read[Request, Answer any](ctx context.Context, m *Member, req *Request,
	ask func(runtimev1connect.WorkerServiceClient, context.Context, *Request) (*Answer, error),
) (*Answer, error) {
	for {
		s, err := m.joined(ctx)
		if err != nil {
			return nil, err
		}
		within, cancel := deadline.Within(ctx, s.ctx)
		res, err := ask(s.membership.Runtime, within, req)
		cancel()
		if err == nil || Permanent(err) && !dead(err) || !deadline.Sleep(ctx, jitteredRetry()) {
			return res, err
		}
	}
}

// Settle ends a delivery, together with others. What can no longer be said when the session
// is over needs no saying: the delivery ends with it.
func (m *Member) Settle(settlement *runtimev1.Settlement, settled func()) {
	s := m.session.Load()
	if s == nil {
		settled()
		return
	}
	s.settlements.add(&settling{settlement, settled})
}

// settling is a settlement on its way.
type settling struct {
	settlement *runtimev1.Settlement
	settled    func()
}

func (s *settling) Seal() *runtimev1.Settlement { return s.settlement }

func (s *settling) Answered(runtimev1.Verdict, error) { s.settled() }

func unsent(err error) error { return fmt.Errorf("%w: %w", host.ErrUnsent, err) }

// change changes a batch of tasks.
func (s *session) change(changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, error) {
	if s.ctx.Err() != nil {
		return nil, unsent(errSessionOver)
	}
	for {
		res, err := s.membership.Runtime.Change(s.ctx, &runtimev1.ChangeRequest{Changes: changes, Mark: s.member.mark()})
		s.member.saw(res.GetMark())
		switch {
		case err == nil && len(res.GetResults()) == len(changes):
			return res.GetResults(), nil
		case err == nil:
			return nil, fmt.Errorf("the runtime answered %d of %d changes; upgrade the older of runtime and worker", len(res.GetResults()), len(changes))
		case dead(err):
			s.die()
			return nil, unsent(fmt.Errorf("%w: %w", errSessionOver, err))
		case Permanent(err) || fault.StoreUnfit(err) || !withoutEffect(err):
			return nil, err
		case !deadline.Sleep(s.ctx, jitteredRetry()):
			return nil, unsent(errSessionOver)
		}
	}
}

// settle ends a batch of deliveries. While the lease has lapsed it waits: others may own
// them.
func (s *session) settle(settlements []*runtimev1.Settlement) ([]runtimev1.Verdict, error) {
	if err := s.member.Pass(s.ctx); err != nil {
		return nil, errSessionOver
	}
	verdicts, err := answered(s, len(settlements), func() ([]runtimev1.Verdict, error) {
		res, err := s.membership.Runtime.Settle(s.ctx, &runtimev1.SettleRequest{Settlements: settlements})
		return res.GetVerdicts(), err
	})
	if err != nil && s.ctx.Err() == nil {
		s.member.log.Error("deliveries could not be settled; they will come again", "deliveries", len(settlements), "error", err)
		s.again.Store(true)
	}
	return verdicts, err
}

// receive takes what comes due, until the worker leaves or the session is over.
func (s *session) receive() {
	inbox, again := "", pauses{}
	for {
		room, err := s.room()
		if err != nil {
			return
		}
		if s.again.Swap(false) {
			inbox = ""
		}
		res, err := s.membership.Runtime.Receive(s.ctx, &runtimev1.ReceiveRequest{Session: inbox, Capacity: room})
		inbox = res.GetSession() // after a failure everything comes again that is out
		switch {
		case err == nil:
			again = pauses{}
			s.member.deliver(res.GetDeliveries())
		case dead(err):
			s.die()
		case Permanent(err):
			s.member.log.Warn("alarms and jobs cannot be received; trying again", "error", err)
			again.wait(s.ctx)
		default:
			deadline.Sleep(s.ctx, jitteredRetry())
		}
	}
}

// maxReceived is how many deliveries the worker asks for in one request: each is many small
// messages, of which an answer may have so many only (see package wire).
const maxReceived = 256

// room is how many deliveries the worker takes now. It waits while that is none, or the
// lease has lapsed, and fails when the worker takes no more.
func (s *session) room() (uint32, error) {
	if err := s.member.Pass(s.ctx); err != nil {
		return 0, err
	}
	room, err := s.member.host.Room(s.ctx)
	if err == nil && (s.ctx.Err() != nil || s.member.draining()) {
		err = errSessionOver
	}
	return uint32(min(room, maxReceived)), err //nolint:gosec // it is never negative
}

// deliver gives deliveries to the host.
func (m *Member) deliver(deliveries []*runtimev1.Delivery) {
	m.Arrived()
	for _, due := range deliveries {
		m.host.Deliver(due)
	}
}
