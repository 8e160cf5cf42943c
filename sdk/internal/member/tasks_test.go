package member

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// inbox is what the fake runtime delivers, and what it hears of it.
type inbox struct {
	// sessions are those that the worker named, and capacities what it took.
	sessions   []string
	capacities []uint32
	// next are the answers to come; a request without one waits.
	next chan received
	// settled are the settlements that have come, changes the changes.
	settled []*runtimev1.Settlement
	changes []*runtimev1.TaskChange
	// onSettle and onChange, when set, fail requests.
	onSettle func(attempt int) error
	onChange func(attempt int) error
	attempts int
	// onRequest, when set, sees what each request changes.
	onRequest func(changes []*runtimev1.TaskChange)
}

type received struct {
	session    string
	deliveries []*runtimev1.Delivery
	err        error
}

func (s *seen) Receive(ctx context.Context, req *runtimev1.ReceiveRequest) (*runtimev1.ReceiveResponse, error) {
	s.mu.Lock()
	s.inbox.sessions = append(s.inbox.sessions, req.GetSession())
	s.inbox.capacities = append(s.inbox.capacities, req.GetCapacity())
	s.mu.Unlock()
	if err := s.enter(ctx, ""); err != nil {
		return nil, err
	}
	select {
	case r := <-s.inbox.next:
		return &runtimev1.ReceiveResponse{Session: r.session, Deliveries: r.deliveries}, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *seen) ListActors(ctx context.Context, _ *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	return &runtimev1.ListActorsResponse{}, s.enter(ctx, "list actors")
}

func (s *seen) Settle(ctx context.Context, req *runtimev1.SettleRequest) (*runtimev1.SettleResponse, error) {
	if err := s.enter(ctx, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inbox.attempts++; s.inbox.onSettle != nil {
		if err := s.inbox.onSettle(s.inbox.attempts); err != nil {
			return nil, err
		}
	}
	s.inbox.settled = append(s.inbox.settled, req.GetSettlements()...)
	return &runtimev1.SettleResponse{Verdicts: make([]runtimev1.Verdict, len(req.GetSettlements()))}, nil
}

func (s *seen) Change(ctx context.Context, req *runtimev1.ChangeRequest) (*runtimev1.ChangeResponse, error) {
	if err := s.enter(ctx, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inbox.attempts++; s.inbox.onChange != nil {
		if err := s.inbox.onChange(s.inbox.attempts); err != nil {
			return nil, err
		}
	}
	if s.inbox.onRequest != nil {
		s.inbox.onRequest(req.GetChanges())
	}
	s.inbox.changes = append(s.inbox.changes, req.GetChanges()...)
	results := make([]runtimev1.ChangeResponse_Result, len(req.GetChanges()))
	for i := range results {
		results[i] = runtimev1.ChangeResponse_RESULT_DONE
	}
	return &runtimev1.ChangeResponse{Results: results, Mark: []byte("later")}, nil
}

func (s *seen) List(ctx context.Context, _ *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return &runtimev1.ListResponse{More: true}, s.enter(ctx, "")
}

// job is a delivery of Add to id1, at the present epoch.
func (b *bed) job(id string, script *behaviourv1.Script) *runtimev1.Delivery {
	request, _ := proto.Marshal(&behaviourv1.AddRequest{In: 1, Script: script})
	return &runtimev1.Delivery{
		Task: &runtimev1.ScheduledTask{Revision: 7, Task: &runtimev1.Task{
			Key:       &runtimev1.TaskKey{Type: "probe", Id: "id1", Name: &runtimev1.TaskKey_Job{Job: id}},
			Procedure: "/behaviour.v1.ProbeActor/Add", Request: request,
		}},
		Fence: &runtimev1.Fence{Shard: placement.ShardOf("id1", placement.Shards), Epoch: b.entry.GetEpoch()},
	}
}

// send lets the worker receive something. The bubble is at rest when it returns.
func (b *bed) send(r received) {
	b.inbox.next <- r
	synctest.Wait()
}

func (b *bed) wantSessions(want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if fmt.Sprintf("%q", b.inbox.sessions) != fmt.Sprintf("%q", want) {
		b.t.Errorf("the worker named the sessions %q, want %q", b.inbox.sessions, want)
	}
}

// asked is how often the worker has asked for deliveries.
func (b *bed) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.inbox.sessions)
}

func (b *bed) wantSettled(want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	got := []string{}
	for _, s := range b.inbox.settled {
		got = append(got, s.GetKey().GetJob())
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		b.t.Errorf("the settled jobs are %q, want %q", got, want)
	}
}

// What is received runs, what fails is settled, and a session goes on until a request
// fails.
func TestReceive(t *testing.T) {
	run(t, func(b *bed) {
		b.wantSessions("")
		b.send(received{session: "s1", deliveries: []*runtimev1.Delivery{b.job("fails", &behaviourv1.Script{Fail: "no"}), b.job("runs", nil)}})
		b.wantSettled("fails")
		if err := <-b.add(&behaviourv1.AddRequest{}); err != nil {
			t.Error(err)
		}
		if b.commits != 1 {
			t.Errorf("%d records were committed, want that of the job that runs", b.commits)
		}
		b.wantSessions("", "s1")
		b.send(received{session: "s1"})
		b.wantSessions("", "s1", "s1")
		b.send(received{err: errors.New("reset")})
		time.Sleep(time.Second)
		b.wantSessions("", "s1", "s1", "")
	})
}

// The worker takes as many as it has room for, and as many as fit into an answer.
func TestReceiveWithinRoom(t *testing.T) {
	run(t, func(b *bed) {
		var many []*runtimev1.Delivery
		for n := 0; len(many) < 1024-100; n++ {
			if id := fmt.Sprint(n); placement.ShardOf(id, placement.Shards) == theShard {
				due := b.job("j", nil)
				due.Task.Task.Key.Id = id
				many = append(many, due)
			}
		}
		loads := make(chan struct{})
		b.onLoad = func(int) ([]*runtimev1.LoadResponse_Result, error) {
			<-loads
			return nil, fault.NotOffered("load")
		}
		b.send(received{session: "s1", deliveries: many[:500]})
		b.send(received{session: "s1", deliveries: many[500:]})
		close(loads)
		synctest.Wait()
		b.send(received{session: "s1"})
		if got, want := fmt.Sprint(b.inbox.capacities), "[256 256 100 256]"; got != want {
			t.Errorf("the worker took %v, want %v", got, want)
		}
	})
}

// While the lease has lapsed nothing is asked for, and nothing settled.
func TestLapsedWorkerSettlesNothing(t *testing.T) {
	run(t, func(b *bed) {
		b.send(received{session: "s1", deliveries: []*runtimev1.Delivery{b.job("j1", &behaviourv1.Script{Wait: "gate", Fail: "no"})}})
		b.probes.Arrived("gate")
		b.setAway(true)
		b.send(received{session: "s1"})
		time.Sleep(testLease)
		asked := b.asked()
		b.probes.Open("gate")
		time.Sleep(testLease)
		b.wantSettled()
		if more := b.asked() - asked; more > 0 {
			t.Errorf("the worker asked %d times while its lease had lapsed", more)
		}
		b.setAway(false)
		time.Sleep(2 * time.Second)
		b.wantSettled("j1")
		b.send(received{session: "s2"})
	})
}

// A settlement is repeated until it is answered; meanwhile the delivery is ignored when it
// comes again.
func TestSettlementIsRepeated(t *testing.T) {
	run(t, func(b *bed) {
		b.inbox.onSettle = func(attempt int) error {
			if attempt == 1 {
				return errors.New("reset")
			}
			return nil
		}
		fails := b.job("j1", &behaviourv1.Script{Fail: "no"})
		b.send(received{session: "s1", deliveries: []*runtimev1.Delivery{fails}})
		b.send(received{session: "s1", deliveries: []*runtimev1.Delivery{fails}})
		time.Sleep(time.Second)
		b.wantSettled("j1")
		b.send(received{session: "s1", deliveries: []*runtimev1.Delivery{fails}})
		b.wantSettled("j1", "j1")
	})
}

// What the runtime refuses to settle comes again.
func TestRefusedSettlement(t *testing.T) {
	run(t, func(b *bed) {
		b.inbox.onSettle = func(int) error { return fault.NotOffered("settle") }
		b.send(received{session: "s1", deliveries: []*runtimev1.Delivery{b.job("j1", &behaviourv1.Script{Fail: "no"})}})
		b.send(received{session: "s1"})
		b.wantSessions("", "s1", "")
	})
}

// A worker that leaves takes no more deliveries.
func TestDrainEndsReceiving(t *testing.T) {
	run(t, func(b *bed) {
		b.wantSessions("")
		b.member.Drain(time.Second)
		b.send(received{session: "s1"})
		time.Sleep(time.Minute)
		b.wantSessions("")
	})
}

// A worker that was declared dead begins anew.
func TestDeadWorkerReceivesAnew(t *testing.T) {
	run(t, func(b *bed) {
		b.send(received{session: "s1"})
		b.kill()
		time.Sleep(time.Minute)
		b.send(received{session: "s2"})
		b.wantSessions("", "s1", "", "s2")
	})
}

func deletion(alarm string) *runtimev1.TaskChange {
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: &runtimev1.TaskKey{Type: "probe", Id: "id1", Name: &runtimev1.TaskKey_Alarm{Alarm: alarm}}}}
}

// A change is sent again only where it has certainly not been made.
func TestChange(t *testing.T) {
	for name, test := range map[string]struct {
		first  error
		want   error
		unsent bool
		sent   int
	}{
		"done":                  {sent: 1},
		"not dialled":           {first: &dialError{errors.New("refused")}, sent: 2},
		"lost":                  {first: errReset, want: errReset, sent: 1},
		"refused":               {first: errMalformed, want: errMalformed, sent: 1},
		"the store is full":     {first: errFull, want: errFull, sent: 1},
		"the worker is no more": {first: fault.WorkerDead("w1"), sent: 2},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.inbox.onChange = func(attempt int) error {
					if attempt == 1 {
						return test.first
					}
					return nil
				}
				result, err := b.member.Change(context.Background(), deletion("a"))
				if !errors.Is(err, test.want) || (err == nil) != (result == runtimev1.ChangeResponse_RESULT_DONE) {
					t.Errorf("the change ended with %v, %v, want %v", result, err, test.want)
				}
				if b.inbox.attempts != test.sent {
					t.Errorf("the change was sent %d times, want %d", b.inbox.attempts, test.sent)
				}
				if err == nil && string(b.member.mark()) != "later" {
					t.Error("the worker did not see the mark")
				}
			})
		})
	}
}

// Changes of many callers travel together, and each request is one that the runtime takes:
// more dead letters than limit.MaxRevived it revives for nobody.
func TestRevivalsTravelInTurn(t *testing.T) {
	run(t, func(b *bed) {
		most := 0
		b.inbox.onRequest = func(changes []*runtimev1.TaskChange) {
			revived := 0
			for _, change := range changes {
				if change.GetRevive() != nil {
					revived++
				}
			}
			most = max(most, revived)
		}
		const callers = 5 * limit.MaxRevived
		var changed sync.WaitGroup
		for n := range callers {
			changed.Go(func() {
				change := &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Revive{Revive: deletion(fmt.Sprint(n)).GetDelete()}}
				if n%2 == 0 {
					change = deletion("a")
				}
				if result, err := b.member.Change(context.Background(), change); err != nil || result != runtimev1.ChangeResponse_RESULT_DONE {
					t.Errorf("a change ended with %v, %v", result, err)
				}
			})
		}
		changed.Wait()
		if most < 2 || most > limit.MaxRevived {
			t.Errorf("a request revived %d dead letters; want some, and at most %d", most, limit.MaxRevived)
		}
	})
}

var (
	errReset     = errors.New("reset")
	errMalformed = fault.InvalidTask("no")
	errFull      = fault.StoreFull("no room")
)

// A change that has not left when its caller leaves is not made.
func TestChangeThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t) // which does not join
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := b.member.Change(ctx, deletion("a")); !errors.Is(err, host.ErrUnsent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the change ended with %v", err)
		}
		if _, err := b.member.List(ctx, &runtimev1.ListRequest{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the list ended with %v", err)
		}
	})
}

// A list is read again while that may help.
func TestList(t *testing.T) {
	run(t, func(b *bed) {
		b.setAway(true)
		go func() {
			time.Sleep(time.Second)
			b.setAway(false)
		}()
		if res, err := b.member.List(context.Background(), &runtimev1.ListRequest{}); err != nil || !res.GetMore() {
			t.Errorf("the list ended with %v, %v", res, err)
		}
	})
}
