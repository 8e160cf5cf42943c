package member

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/host"
)

func TestLeaseIsKept(t *testing.T) {
	run(t, func(b *bed) {
		for range 100 {
			time.Sleep(time.Second)
			if !b.passes() {
				t.Fatal("the lease lapsed")
			}
		}
		if err := <-b.add(&behaviourv1.AddRequest{In: 1}); err != nil {
			t.Error(err)
		}
	})
}

func TestLapseBlocksAndHeals(t *testing.T) {
	run(t, func(b *bed) {
		b.setAway(true)
		time.Sleep(lease.Span(testLease))
		if b.passes() {
			t.Error("the worker goes on behind a lapse")
		}
		done := b.add(&behaviourv1.AddRequest{})
		b.setAway(false)
		began := time.Now()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > lease.Interval(testLease) {
			t.Errorf("the call went on %v after the runtime was back", took)
		}
	})
}

// A runtime that does not renew the lease is given up, and so is the next one; one that does
// is not.
func TestRuntimeThatDoesNotRenewIsGivenUp(t *testing.T) {
	run(t, func(b *bed) {
		left := func() int {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.left
		}
		time.Sleep(testLease)
		if n := left(); n != 0 {
			t.Errorf("a runtime was given up %d times that renews", n)
		}
		b.setAway(true)
		time.Sleep(2 * lease.Interval(testLease))
		if n := left(); n == 0 {
			t.Error("the worker stays with a runtime that does not renew its lease")
		}
		b.setAway(false)
	})
}

// The answer to a renewal that comes after the worker's death revives nothing.
func TestLateRenewalDoesNotRevive(t *testing.T) {
	run(t, func(b *bed) {
		s := b.member.session.Load()
		renewal, _ := s.send()
		s.die()
		s.renewed(renewal, nil)
		if s.active() {
			t.Error("a dead session is active again")
		}
		b.kill()
	})
}

func TestDeadWorkerJoinsAgain(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Wait: "gate"}})
		b.kill()
		time.Sleep(2 * time.Second)
		b.set(func() {
			b.onCommit = func(_ int, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
				return verdicts(len(records), runtimev1.Verdict_VERDICT_STALE_EPOCH), nil
			}
		})
		b.probes.Open("gate")
		if err := <-running; sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the turn of the dead worker ended with %v", err)
		}
		synctest.Wait()
		if worker := b.member.Worker(); worker != "w2" {
			t.Errorf("the worker is %s, want a new id", worker)
		}
		if b.probes.Ended("id1") != 1 {
			t.Error("an activation outlived its worker")
		}
		if err := <-b.add(&behaviourv1.AddRequest{}); err != nil {
			t.Error(err)
		}
		b.wantLog(t, "announce w1", "announce w2")
		if cursors := b.watched(); len(cursors) < 2 || !slices.Contains(cursors[1:], "") {
			t.Errorf("the table was watched from %q, want anew after the second join", cursors)
		}
	})
}

// A worker whose certificate has ended, because no runtime could renew it in time, joins
// again: none listens to it any more, not even to say that it is dead. While the certificate
// is good it keeps what it has.
func TestWorkerOutlivesItsCertificate(t *testing.T) {
	run(t, func(b *bed) {
		authority := authority(t)
		b.set(func() {
			b.certify = func(worker string) *pki.Holder {
				return pki.NewHolder(certificate(b.t, authority, worker), authority.Bundle())
			}
		})
		b.kill()
		time.Sleep(2 * time.Second)
		b.setAway(true)
		time.Sleep(50 * time.Minute)
		if worker := b.member.Worker(); worker != "w2" || b.member.session.Load().ctx.Err() != nil {
			t.Errorf("the session of %s is over, although its certificate is good", worker)
		}
		time.Sleep(70 * time.Minute)
		b.setAway(false)
		time.Sleep(2 * retryPauseMost)
		if worker := b.member.Worker(); worker != "w3" || !b.member.Active() {
			t.Errorf("the worker is %s, active %v, want a new one that is", worker, b.member.Active())
			return // a call would wait for ever
		}
		if err := <-b.add(&behaviourv1.AddRequest{}); err != nil {
			t.Error(err)
		}
	})
}

func TestAnnounceIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.refuse = 10
		ctx, leave := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.member.Run(ctx) }()
		began := time.Now()
		<-b.member.Ready()
		if took := time.Since(began); took < 10*time.Second || took > time.Minute {
			t.Errorf("10 refusals took %v; want growing pauses", took)
		}
		leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWatchGoesOnFromTheCursor(t *testing.T) {
	run(t, func(b *bed) {
		b.give("other", "")
		synctest.Wait()
		b.setAway(true)
		time.Sleep(time.Second)
		b.setAway(false)
		time.Sleep(time.Second)
		cursors := b.watched()
		for i, cursor := range cursors {
			if (cursor == "") != (i == 0) {
				t.Errorf("the cursors were %q; want the whole table only once", cursors)
			}
		}
		if owner := b.member.Entry("probe", theShard).GetWorker(); owner != "other" {
			t.Errorf("the owner is %q", owner)
		}
	})
}

func TestJoinRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.member.cfg.Join = func(context.Context) (*Membership, error) {
			return nil, connect.NewError(connect.CodeUnauthenticated, "the proof is wrong")
		}
		waiting := b.add(&behaviourv1.AddRequest{})
		if err := b.member.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "join the cluster: ") {
			t.Errorf("Run ended with %v", err)
		}
		if err := <-waiting; connect.CodeOf(err) != connect.CodeUnavailable || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("a call that waited for the cluster ended with %v", err)
		}
	})
}

func TestCommitIsSentAgain(t *testing.T) {
	const stale, applied = runtimev1.Verdict_VERDICT_STALE_EPOCH, runtimev1.Verdict_VERDICT_APPLIED
	lost, refused := errors.New("reset"), error(&dialError{errors.New("refused")})
	for name, test := range map[string]struct {
		first  error
		second runtimev1.Verdict
		want   sdk.Outcome // 0 is success
	}{
		"lost, then applied":   {lost, runtimev1.Verdict_VERDICT_ALREADY_APPLIED, 0},
		"lost, then stale":     {lost, stale, sdk.OutcomeUnknown},
		"unsent, then applied": {refused, applied, 0},
		"unsent, then stale":   {refused, stale, sdk.OutcomeNothingHappened},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.onCommit = func(attempt int, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
					if attempt == 1 {
						return nil, test.first
					}
					return verdicts(len(records), test.second), nil
				}
				err := <-b.add(&behaviourv1.AddRequest{In: 1})
				if (err == nil) != (test.want == 0) || err != nil && sdk.OutcomeOf(err) != test.want {
					t.Errorf("the call ended with %v, want %v", err, test.want)
				}
			})
		})
	}
}

// A store without room is told to the caller by name, and the actor goes on as it was.
// After a lost answer nobody knows whether the record had been applied before.
func TestCommitToAFullStore(t *testing.T) {
	for name, test := range map[string]struct {
		first error
		code  connect.Code
		want  sdk.Outcome
	}{
		"at once":             {fault.StoreFull("no room"), connect.CodeResourceExhausted, sdk.OutcomeNothingHappened},
		"after a lost answer": {errors.New("reset"), connect.CodeUnavailable, sdk.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bed) {
				b.onCommit = func(attempt int, records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
					switch attempt {
					case 1:
						return nil, test.first
					case 2:
						if test.want == sdk.OutcomeUnknown {
							return nil, fault.StoreFull("no room")
						}
					}
					return verdicts(len(records), runtimev1.Verdict_VERDICT_APPLIED), nil
				}
				err := <-b.add(&behaviourv1.AddRequest{In: 1})
				if connect.CodeOf(err) != test.code || sdk.OutcomeOf(err) != test.want {
					t.Errorf("the call ended with %v (%v), want %v, %v", err, sdk.OutcomeOf(err), test.code, test.want)
				}
				if err := <-b.add(&behaviourv1.AddRequest{In: 1}); err != nil {
					t.Errorf("with room again the call ended with %v", err)
				}
			})
		})
	}
}

// So is one that is damaged: to wait for it would keep everything that is in the request.
func TestCommitToADamagedStore(t *testing.T) {
	run(t, func(b *bed) {
		b.onCommit = func(int, []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
			return nil, fault.StoreDamaged("it is damaged")
		}
		done := b.add(&behaviourv1.AddRequest{In: 1})
		time.Sleep(time.Minute)
		if len(done) == 0 {
			t.Error("the call is told nothing")
		}
		b.set(func() { b.onCommit = nil })
		if err := <-done; connect.CodeOf(err) != connect.CodeDataLoss || sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the call ended with %v (%v)", err, sdk.OutcomeOf(err))
		}
	})
}

func TestAnswersOfTheWrongNumber(t *testing.T) {
	run(t, func(b *bed) {
		b.onCommit = func(int, []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) { return nil, nil }
		if err := <-b.add(&behaviourv1.AddRequest{In: 1}); sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
			t.Errorf("an unanswered commit ended with %v", err)
		}
		b.onLoad = func(int) ([]*runtimev1.LoadResponse_Result, error) { return nil, nil }
		if err := <-b.add(&behaviourv1.AddRequest{In: 1}); sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("an unanswered load ended with %v", err)
		}
	})
}

// A commit that is on its way when the worker dies is in doubt; the worker joins again.
func TestCommitOfADeadWorker(t *testing.T) {
	run(t, func(b *bed) {
		b.onCommit = func(int, []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
			b.kill()
			return nil, errors.New("reset")
		}
		if err := <-b.add(&behaviourv1.AddRequest{In: 1}); sdk.OutcomeOf(err) != sdk.OutcomeUnknown {
			t.Errorf("the call ended with %v", err)
		}
	})
}

func TestHandOver(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Wait: "gate"}})
		b.give("w1", "other")
		synctest.Wait()
		parked := b.add(&behaviourv1.AddRequest{In: 1})
		b.wantLog(t, "announce w1") // not before the turn has ended
		b.probes.Open("gate")
		if err := <-running; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		b.wantLog(t, "announce w1", "release")
		if b.probes.Ended("id1") != 1 || len(parked) > 0 {
			t.Error("the shard was released with an activation in it, or its calls did not follow")
		}
		b.give("w1", "") // it comes back: the call that waits is served
		if err := <-parked; err != nil {
			t.Error(err)
		}
	})
}

// Nobody knows who has a shard whose release is not answered, so nothing of it starts
// here, however long that lasts.
func TestHandOverThatIsNotAnswered(t *testing.T) {
	run(t, func(b *bed) {
		b.set(func() { b.lost = true })
		b.give("w1", "other")
		synctest.Wait()
		parked := b.add(&behaviourv1.AddRequest{In: 1})
		time.Sleep(limit.ShutdownGrace - time.Second)
		later := b.add(&behaviourv1.AddRequest{In: 1})
		time.Sleep(2 * time.Second)
		if err := <-parked; sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the call that had waited for as long as it could ended with %v", err)
		}
		if len(later) > 0 || b.probes.Ended("id1") > 0 {
			t.Error("a call was served while the shard may have been another worker's")
		}
		b.set(func() { b.lost = false })
		time.Sleep(time.Second)
		if entry := b.member.Entry("probe", theShard); entry.GetWorker() != "other" {
			t.Errorf("the shard was not handed over: %v", entry)
		}
		b.give("w1", "")
		if err := <-later; err != nil {
			t.Error(err)
		}
	})
}

// Who waits behind a turn that outlives the grace of a handover does not run either.
func TestHandOverOverTimeThatIsNotAnswered(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Wait: "gate"}})
		waiting := b.add(&behaviourv1.AddRequest{In: 1})
		b.set(func() { b.lost = true })
		b.give("w1", "other")
		time.Sleep(limit.ShutdownGrace + time.Second)
		b.probes.Open("gate")
		if err := <-running; sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the turn that lost its shard ended with %v", err)
		}
		time.Sleep(time.Second)
		if b.probes.Constructed("id1") != 1 || len(waiting) > 0 {
			t.Error("the actor was opened again while the shard may have been another worker's")
		}
		b.give("other", "")
		b.give("w1", "")
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	})
}

// A shard that comes back while its handover still runs, and shall go on elsewhere, is
// handed over a second time.
func TestHandOverOfAShardThatComesBack(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Wait: "gate"}})
		b.give("w1", "other")
		synctest.Wait()
		b.give("other", "")
		b.give("w1", "other")
		synctest.Wait()
		b.probes.Open("gate")
		if err := <-running; sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the turn that lost its shard ended with %v", err)
		}
		time.Sleep(time.Second)
		if entry := b.member.Entry("probe", theShard); entry.GetWorker() != "other" {
			t.Errorf("the shard stayed: %v", entry)
		}
	})
}

// The answer to a release may be older than what the worker has learned meanwhile: that
// the shard, which it got back, shall go on.
func TestHandOverWhoseAnswerIsLate(t *testing.T) {
	run(t, func(b *bed) {
		late := make(chan struct{})
		b.set(func() {
			b.onRelease = func() *runtimev1.Shard {
				b.give("other", "")
				b.give("w1", "")
				answer := b.entry
				<-late
				return answer
			}
		})
		b.give("w1", "other")
		synctest.Wait()
		b.give("w1", "other")
		synctest.Wait()
		close(late)
		time.Sleep(time.Second)
		if entry := b.member.Entry("probe", theShard); entry.GetWorker() != "other" {
			t.Errorf("the shard stayed: %v", entry)
		}
	})
}

// A shard that has moved between the decision to release it and the release is another
// worker's: its calls go there.
func TestReleaseOfAShardThatHasMoved(t *testing.T) {
	run(t, func(b *bed) {
		b.give("other", "")
		synctest.Wait()
		if !b.member.release(b.member.session.Load(), []shardKey{{"probe", theShard}}, time.Second) {
			t.Error("a release of nothing was not taken")
		}
		b.wantLog(t, "announce w1")
		if entry := b.member.Entry("probe", theShard); entry.GetWorker() != "other" {
			t.Errorf("to this worker the shard is %q's", entry.GetWorker())
		}
	})
}

func TestDrain(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(&behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Wait: "gate"}})
		drained := make(chan struct{})
		go func() {
			b.member.Drain(10 * time.Second)
			close(drained)
		}()
		synctest.Wait()
		b.wantLog(t, "announce w1", "leaving") // no new shards while turns end
		b.probes.Open("gate")
		<-drained
		if err := <-running; err != nil {
			t.Error(err)
		}
		b.leave()
		time.Sleep(time.Second)
		b.wantLog(t, "announce w1", "leaving", "release", "leave w1")
		if b.passes() {
			t.Error("the worker may still run after it has left")
		}
	})
}

func TestDrainWithoutRuntime(t *testing.T) {
	run(t, func(b *bed) {
		const grace = 10 * time.Second
		b.setAway(true)
		began := time.Now()
		b.member.Drain(grace)
		if took := time.Since(began); took > grace+2*leaveTimeout {
			t.Errorf("the drain took %v", took)
		}
	})
}

// A grace that ends lets the shard go all the same.
func TestDrainOverTime(t *testing.T) {
	run(t, func(b *bed) {
		running := b.add(&behaviourv1.AddRequest{Script: &behaviourv1.Script{Wait: "gate"}})
		b.member.Drain(time.Second)
		b.wantLog(t, "announce w1", "leaving", "release")
		b.probes.Open("gate")
		if err := <-running; sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened || !sdk.Retryable(err) {
			t.Errorf("the turn that was left behind ended with %v", err)
		}
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	record := func(bytes int) *runtimev1.Record { return &runtimev1.Record{Data: make([]byte, bytes)} }
	for name, test := range map[string]struct {
		count, bytes int
		want         []int // sizes of the batches after the first, which is alone
	}{
		"one":      {1, 1, []int{1}},
		"few":      {10, 1, []int{10}},
		"full":     {1024, 1, []int{1024}},
		"more":     {1025, 1, []int{1024, 1}},
		"large":    {9, 1 << 20, []int{3, 3, 3}},
		"too much": {2, 5 << 20, []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				open := make(chan struct{})
				var sizes []int
				b := &batcher[*runtimev1.Record, int]{width: 1, send: func(items []*runtimev1.Record) ([]int, error) {
					<-open
					sizes = append(sizes, len(items))
					return make([]int, len(items)), nil
				}}
				var calls sync.WaitGroup
				for n := range test.count + 1 {
					calls.Go(func() {
						if _, err := b.do(t.Context(), record(test.bytes)); err != nil {
							t.Error(err)
						}
					})
					if n == 0 {
						synctest.Wait()
					}
				}
				synctest.Wait()
				close(open)
				calls.Wait()
				if !slices.Equal(sizes[1:], test.want) {
					t.Errorf("batches of %v, want %v", sizes[1:], test.want)
				}
			})
		})
	}
}

// late is a sender that decides late what it sends.
type late struct {
	seal     func() *runtimev1.Record
	answered func()
}

func (l *late) Seal() *runtimev1.Record { return l.seal() }

func (l *late) Answered(int, error) { l.answered() }

// An item is sealed when it leaves, and left out when there is nothing to ask any more.
func TestItemsAreSealedWhenTheyLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		var sent [][]byte
		b := &batcher[*runtimev1.Record, int]{width: 1, send: func(items []*runtimev1.Record) ([]int, error) {
			<-open
			for _, i := range items {
				sent = append(sent, i.GetData())
			}
			return make([]int, len(items)), nil
		}}
		data, answers := []byte{1}, 0
		add := func(seal func() *runtimev1.Record) {
			b.add(&late{seal: seal, answered: func() { answers++ }})
			synctest.Wait()
		}
		latest := func() *runtimev1.Record { return &runtimev1.Record{Data: data} }
		add(latest)
		add(func() *runtimev1.Record { return nil })
		add(latest)
		data = []byte{2}
		close(open)
		synctest.Wait()
		if !slices.EqualFunc(sent, [][]byte{{1}, {2}}, bytes.Equal) || answers != 2 {
			t.Errorf("%v were sent, with %d answers", sent, answers)
		}
	})
}

func TestBatchGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open, failure := make(chan struct{}), errors.New("failed")
		sent := 0
		b := &batcher[*runtimev1.Record, int]{width: 1, send: func(items []*runtimev1.Record) ([]int, error) {
			sent += len(items)
			<-open
			return nil, failure
		}}
		ctx, cancel := context.WithCancel(t.Context())
		errs := make([]error, 3)
		var calls sync.WaitGroup
		for n, ctx := range []context.Context{ctx, ctx, t.Context()} {
			calls.Go(func() { _, errs[n] = b.do(ctx, &runtimev1.Record{}) })
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(open)
		calls.Wait()
		if !errors.Is(errs[0], context.Canceled) || errors.Is(errs[0], host.ErrUnsent) {
			t.Errorf("an item on its way was given up with %v", errs[0])
		}
		if !errors.Is(errs[1], host.ErrUnsent) || !errors.Is(errs[2], failure) || sent != 2 {
			t.Errorf("an item that waited was given up with %v, one that stayed got %v; %d were sent", errs[1], errs[2], sent)
		}
	})
}
