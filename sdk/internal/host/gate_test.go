package host_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// store answers records when the test says so.
type store struct {
	*bed

	answers chan answer
}

type answer struct {
	res *runtimev1.CommitResponse_Result
	err error
}

// withStore runs a test whose records wait for it.
func withStore(t *testing.T, test func(s *store)) {
	t.Helper()
	run(t, func(b *bed) {
		s := &store{bed: b, answers: make(chan answer, 100)}
		b.commit = func() (*runtimev1.CommitResponse_Result, error) {
			a := <-s.answers
			return a.res, a.err
		}
		test(s)
	})
}

func (s *store) answer(v runtimev1.Verdict) {
	s.answers <- answer{res: &runtimev1.CommitResponse_Result{Verdict: v, Version: 1}}
	synctest.Wait()
}

func (s *store) fail(err error) {
	s.answers <- answer{err: err}
	synctest.Wait()
}

func (s *store) apply() { s.answer(runtimev1.Verdict_VERDICT_APPLIED) }

// wantSent checks how many records were sent.
func (s *store) wantSent(n int) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) != n {
		s.t.Errorf("%d records were sent, want %d", len(s.records), n)
	}
}

func (s *store) wantWaiting(calls ...<-chan outcome) {
	s.t.Helper()
	synctest.Wait()
	for i, call := range calls {
		if len(call) > 0 {
			got := <-call
			s.t.Fatalf("call %d was answered with %d, %v before its commit was", i+1, got.sum, got.err)
		}
	}
}

func (s *store) inc() <-chan outcome { return s.add(&behaviourv1.AddRequest{In: 1}) }

// TestReplyWaitsForCommit is what fails without the output gate (G6).
func TestReplyWaitsForCommit(t *testing.T) {
	withStore(t, func(s *store) {
		first := s.inc()
		view, unchanged, failing := s.read(nil), s.add(&behaviourv1.AddRequest{}), s.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Fail: "no"}})
		s.wantWaiting(first, view, unchanged, failing)
		s.apply()
		wantSum(t, first, 1)
		wantSum(t, view, 1)
		wantSum(t, unchanged, 1)
		if got := <-failing; connect.CodeOf(got.err) != connect.CodeUnknown {
			t.Errorf("the failing turn ended with %v", got.err)
		}
	})
}

// While a record travels, turns go on and accumulate into one next record.
func TestTurnsAccumulate(t *testing.T) {
	withStore(t, func(s *store) {
		first := s.inc()
		second, third, view := s.inc(), s.inc(), s.read(nil)
		s.wantSent(1)
		s.apply()
		wantSum(t, first, 1)
		s.wantSent(2)
		fourth := s.inc()
		s.wantWaiting(second, third, view, fourth)
		s.wantSent(2)
		s.apply()
		wantSum(t, second, 2)
		wantSum(t, third, 3)
		wantSum(t, view, 3)
		s.wantSent(3)
		s.apply()
		wantSum(t, fourth, 4)
		for i, record := range s.records {
			if record.GetIdentity().GetSequence() != uint64(i+1) || i > 0 && record.GetBase().GetSequence() != uint64(i) {
				t.Errorf("record %d has identity %v on %v", i+1, record.GetIdentity(), record.GetBase())
			}
		}
	})
}

// A record waits for the turns of those who wait for the actor, but not for ever, and not
// when one of them waits for it.
func TestRecordWaitsForTurns(t *testing.T) {
	t.Run("short ones", func(t *testing.T) {
		withStore(t, func(s *store) {
			first, second, third := s.add(gated(1)), s.inc(), s.inc()
			s.wantSent(0)
			s.probes.Open("gate")
			s.wantSent(1)
			s.apply()
			wantSum(t, first, 1)
			wantSum(t, second, 2)
			s.apply()
			wantSum(t, third, 3) // for which the record did not wait: nobody was behind it
		})
	})
	t.Run("a long one", func(t *testing.T) {
		withStore(t, func(s *store) {
			long := &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Wait: "long"}}
			first, second, third := s.add(gated(1)), s.add(long), s.inc()
			s.probes.Open("gate")
			s.wantSent(0)
			time.Sleep(time.Millisecond)
			s.wantSent(1)
			s.apply()
			wantSum(t, first, 1)
			s.probes.Open("long")
			s.apply()
			wantSum(t, second, 2)
			s.apply()
			wantSum(t, third, 3)
		})
	})
	t.Run("one that calls", func(t *testing.T) {
		withStore(t, func(s *store) {
			calls := &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Call: []string{"id2"}}}
			began := time.Now()
			first, second, third := s.add(gated(1)), s.add(calls), s.inc()
			s.probes.Open("gate")
			s.wantSent(1)
			s.apply()
			wantSum(t, first, 1)
			for range 3 { // the called turn, the calling one, the last one
				s.apply()
			}
			wantSum(t, second, 2)
			wantSum(t, third, 3)
			if took := time.Since(began); took > 0 {
				t.Errorf("the record waited for %v", took)
			}
		})
	})
}

// A turn that ends its goroutine does not take those with it who wait.
func TestTurnEndsItsGoroutine(t *testing.T) {
	run(t, func(b *bed) {
		held := b.add(gated(1))
		gone := b.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Goexit: true}})
		next, last := b.add(&behaviourv1.AddRequest{}), b.read(nil)
		b.probes.Open("gate")
		wantSum(t, held, 1)
		wantError(t, gone, connect.CodeInternal, sdk.OutcomeNothingHappened, false)
		for _, call := range []<-chan outcome{next, last} {
			if got := <-call; got.err != nil {
				t.Errorf("who waited was told %v", got.err)
			}
		}
	})
}

// What callers are told when a record is refused, or never answered: R4.
func TestOutcomesOfALostRecord(t *testing.T) {
	refused := func(s *store) { s.answer(runtimev1.Verdict_VERDICT_STALE_BASE) }
	for name, test := range map[string]struct {
		lose func(s *store)
		sent sdk.Outcome
	}{
		"refused":    {refused, sdk.OutcomeNothingHappened},
		"unsent":     {func(s *store) { s.fail(host.ErrUnsent) }, sdk.OutcomeNothingHappened},
		"unanswered": {func(s *store) { s.fail(errors.New("reset")) }, sdk.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			withStore(t, func(s *store) {
				sent, onTop := s.inc(), s.read(nil)
				s.wantWaiting(sent, onTop)
				staged := s.inc()
				running := s.add(gated(1))
				queued := s.read(nil)
				s.wantWaiting(sent, onTop, staged, running, queued)
				test.lose(s)
				again := test.sent == sdk.OutcomeNothingHappened
				wantError(t, sent, connect.CodeUnavailable, test.sent, again)
				wantError(t, onTop, connect.CodeUnavailable, test.sent, again)
				wantError(t, staged, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
				s.wantWaiting(running, queued)
				if n := s.probes.Constructed("id1"); n != 1 {
					t.Errorf("the actor was constructed %d times while an old turn still ran", n)
				}
				s.probes.Open("gate")
				wantError(t, running, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
				wantSum(t, queued, 0) // as it was loaded
				s.wantSent(1)
			})
		})
	}
}

// An actor is not loaded again while a record of it is unanswered: a panic makes a new
// one, which must see what the turns before committed.
func TestReloadWaitsForTheRecord(t *testing.T) {
	withStore(t, func(s *store) {
		loads := 0
		s.load = func(context.Context) (*runtimev1.LoadResponse_Result, error) {
			loads++
			return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_APPLIED}, nil
		}
		first, second := s.inc(), s.inc()
		broken := s.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Panic: "no"}})
		next := s.inc()
		s.wantWaiting(first, second, broken, next)
		s.apply()
		s.wantWaiting(second, broken, next)
		if loads != 1 {
			t.Errorf("the actor was loaded %d times with a record in flight", loads)
		}
		s.apply()
		wantSum(t, first, 1)
		wantSum(t, second, 2)
		wantError(t, broken, connect.CodeInternal, sdk.OutcomeNothingHappened, false)
		s.apply()
		wantSum(t, next, 1) // on what was loaded
		if loads != 2 {
			t.Errorf("the actor was loaded %d times, want 2", loads)
		}
	})
}

// A call that a turn makes waits for the commits of earlier turns, and is not made when
// they fail.
func TestOutgoingCallWaitsForEarlierTurns(t *testing.T) {
	calls := &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Call: []string{"id2"}}}
	t.Run("applied", func(t *testing.T) {
		withStore(t, func(s *store) {
			first := s.inc()
			caller := s.add(calls)
			s.wantWaiting(first, caller)
			if s.probes.Constructed("id2") != 0 {
				t.Error("a call left before the commit that its turn has seen")
			}
			for range 3 { // the first turn, the called one, the calling one
				s.apply()
			}
			wantSum(t, first, 1)
			wantSum(t, caller, 2)
		})
	})
	t.Run("refused", func(t *testing.T) {
		withStore(t, func(s *store) {
			first := s.inc()
			caller := s.add(calls)
			s.wantWaiting(first, caller)
			s.answer(runtimev1.Verdict_VERDICT_STALE_EPOCH)
			wantError(t, first, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
			wantError(t, caller, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
			if s.probes.Constructed("id2") != 0 {
				t.Error("a doomed turn called somebody")
			}
		})
	})
}

// The owner of a turn may leave; the record goes on.
func TestCallerLeavesWhileTheRecordTravels(t *testing.T) {
	withStore(t, func(s *store) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		left := inBackground(func() (int64, error) {
			res, err := behaviourv1francis.NewProbeActorProxy(s.host.Service(), "id1").Add(ctx, &behaviourv1.AddRequest{In: 1})
			return res.GetSum(), err
		})
		wantError(t, left, connect.CodeDeadlineExceeded, sdk.OutcomeUnknown, false)
		next := s.inc()
		s.apply()
		s.apply()
		wantSum(t, next, 2)
	})
}

// The end of an activation waits for its records: who owns the shard next must see them.
func TestEmptyWaitsForRecords(t *testing.T) {
	withStore(t, func(s *store) {
		first, second := s.inc(), s.inc()
		s.wantWaiting(first, second)
		emptied := make(chan error, 1)
		shard := shardOf("id1")
		go func() { emptied <- s.host.Empty(context.Background(), "probe", shard) }()
		s.apply()
		if len(emptied) > 0 {
			t.Error("the shard was given away with a record in flight")
		}
		s.apply()
		wantSum(t, first, 1)
		wantSum(t, second, 2)
		if err := <-emptied; err != nil {
			t.Error(err)
		}
		s.host.Resume("probe", shard)
	})
}

// A host whose grace is over tells everybody what is known.
func TestStopWithRecordsInFlight(t *testing.T) {
	withStore(t, func(s *store) {
		sent, staged := s.inc(), s.inc()
		s.wantWaiting(sent, staged)
		s.ended = true
		if err := s.host.Drain(time.Second); err != nil {
			t.Error(err)
		}
		wantError(t, sent, connect.CodeUnavailable, sdk.OutcomeUnknown, false)
		wantError(t, staged, connect.CodeUnavailable, sdk.OutcomeNothingHappened, true)
		s.apply() // comes late
	})
}

// At most 1,024 turns accumulate; the next one waits before it runs.
func TestAccumulationIsBounded(t *testing.T) {
	withStore(t, func(s *store) {
		var all []<-chan outcome
		all = append(all, s.inc())
		for range 1024 {
			all = append(all, s.inc())
		}
		last := s.add(gated(1))
		s.wantSent(1)
		s.apply() // the 1,024 travel, and the last one begins
		s.wantSent(2)
		s.probes.Open("gate")
		s.apply()
		s.apply()
		for i, done := range all {
			wantSum(t, done, int64(i+1))
		}
		wantSum(t, last, 1026)
	})
}

// Forwarded calls are in the queue in the order in which they were handed over.
func TestServeKeepsTheOrder(t *testing.T) {
	run(t, func(b *bed) {
		const calls = 500
		var got [calls]chan int64 // the answers may overtake each other
		for i := range got {
			got[i] = make(chan int64, 1)
			b.host.Serve(forwardedCall{context.Background(), func(res *peerv1.InvokeResponse, err error) { got[i] <- sumOf(t, res, err) }}, forwarded(1))
		}
		for i := range got {
			if sum := <-got[i]; sum != int64(i+1) {
				t.Errorf("call %d saw the sum %d", i+1, sum)
			}
		}
	})
}

// Whoever forwarded a call and leaves ends it.
func TestServedCallEndsWithItsContext(t *testing.T) {
	run(t, func(b *bed) {
		ctx, cancel := context.WithCancel(context.Background())
		hold := b.add(gated(1))
		answered := make(chan error, 1)
		b.host.Serve(forwardedCall{ctx, func(_ *peerv1.InvokeResponse, err error) { answered <- err }}, forwarded(1))
		synctest.Wait()
		cancel()
		if err := <-answered; connect.CodeOf(err) != connect.CodeCanceled || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the call ended with %v", err)
		}
		b.probes.Open("gate")
		wantSum(t, hold, 1)
	})
}

// What cannot be written because the store is damaged did not happen, and no other try helps.
func TestDamagedCommit(t *testing.T) {
	onStage(t, func(s *stage) {
		done := s.call(1)
		s.answer(runtimev1.Verdict_VERDICT_DAMAGED)
		err := (<-done).err
		wantFault(t, err, connect.CodeDataLoss, francisv1.Reason_REASON_STATE_MISMATCH)
		if sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the outcome is %v", sdk.OutcomeOf(err))
		}
	})
}
