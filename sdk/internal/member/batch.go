package member

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/link"
	"github.com/francis-actors/francis/sdk/internal/host"
)

const (
	// maxBatch is how many items travel in one request, by their weight.
	maxBatch = 1024
	// maxBatchBytes is how large their messages may be together: the runtime takes
	// requests of 4 MiB and what frames them.
	maxBatchBytes = 4 << 20
)

// inFlight is how many batches of one kind are on their way at a time. Their items have
// nothing to do with each other: an actor has one record in flight.
const inFlight = 4

// batcher sends what is waiting in one request, and what arrives meanwhile in the
// next: batches form by themselves when there is much to do, and nothing waits for
// a timer when there is little.
type batcher[Q proto.Message, R any] struct {
	// send sends a batch and returns an answer for each item. Where it fails, somebody may
	// still look at the items; otherwise nobody does when it has returned.
	send func(items []Q) ([]R, error)
	// width is how many batches may be on their way.
	width int

	mu      sync.Mutex
	waiting []item[Q, R]
	sending int
	// idle are batches that are not on their way, for their memory.
	idle []*batch[Q, R]
}

// batch is what travels together.
type batch[Q proto.Message, R any] struct {
	items   []item[Q, R]
	queries []Q
}

// sender has something to ask in a batch. [host.Sender] is one. Its methods do not block.
type sender[Q proto.Message, R any] interface {
	// Seal makes the query, once, when it leaves; it may turn out that there is none any
	// more.
	Seal() Q
	// Answered is told the answer, once, where there was a query.
	Answered(res R, err error)
}

// item is a place in a batch.
type item[Q proto.Message, R any] struct {
	sender[Q, R]

	// query, size and weight are set once it is sealed.
	sealed       bool
	query        Q
	size, weight int
}

// question is a query whose sender waits for the answer.
type question[Q proto.Message, R any] struct {
	query Q
	res   R
	err   error
	// done is closed when res and err are set.
	done chan struct{}
}

func (q *question[Q, R]) Seal() Q { return q.query }

func (q *question[Q, R]) Answered(res R, err error) {
	q.res, q.err = res, err
	close(q.done)
}

// do sends one query and waits for its answer, or until ctx ends. It fails with
// [host.ErrUnsent] where the query has not left by then; else nobody knows.
func (b *batcher[Q, R]) do(ctx context.Context, query Q) (R, error) {
	q := &question[Q, R]{query: query, done: make(chan struct{})}
	b.add(q)
	select {
	case <-q.done:
		return q.res, q.err
	case <-ctx.Done():
		var none R
		return none, b.abandon(q, ctx.Err())
	}
}

// abandon gives up what a sender asks, because of cause. What waits for nobody must not
// pile up while the runtime is away.
func (b *batcher[Q, R]) abandon(from sender[Q, R], cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.waiting, func(i item[Q, R]) bool { return i.sender == from })
	if at < 0 {
		return cause
	}
	b.waiting = slices.Delete(b.waiting, at, at+1)
	return fmt.Errorf("%w: %w", host.ErrUnsent, cause)
}

// add lets a sender have a place in the next batch.
func (b *batcher[Q, R]) add(from sender[Q, R]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, item[Q, R]{sender: from})
	if b.sending < b.width {
		b.sending++
		go b.work()
	}
}

// work sends batches until nothing waits. It yields once: others who are about to add
// something come along.
func (b *batcher[Q, R]) work() {
	runtime.Gosched()
	batch := b.begin()
	for b.fill(batch) {
		results, err := b.send(batch.queries)
		batch.answer(results, err)
	}
}

// answer tells the senders of a batch what they were answered, and leaves it empty.
func (b *batch[Q, R]) answer(results []R, err error) {
	for n, i := range b.items {
		var res R
		if err == nil {
			res = results[n]
		}
		i.Answered(res, err)
	}
	if err != nil {
		b.queries = nil
	}
	clear(b.items)
	clear(b.queries)
	b.items, b.queries = b.items[:0], b.queries[:0]
}

// begin is an empty batch.
func (b *batcher[Q, R]) begin() *batch[Q, R] {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.idle) - 1
	if last < 0 {
		return &batch[Q, R]{}
	}
	batch := b.idle[last]
	b.idle = b.idle[:last]
	return batch
}

// fill moves who waits into an empty batch, as many as fit, and reports whether there were
// any. Without, who works for them ends.
func (b *batcher[Q, R]) fill(batch *batch[Q, R]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, bytes, weight := 0, 0, 0
	for ; n < len(b.waiting); n++ {
		i := &b.waiting[n]
		if !i.leave() {
			continue
		}
		bytes, weight = bytes+i.size, weight+i.weight
		if len(batch.items) > 0 && (bytes > maxBatchBytes || weight > maxBatch) {
			break
		}
		batch.items, batch.queries = append(batch.items, *i), append(batch.queries, i.query)
	}
	b.waiting = slices.Delete(b.waiting, 0, n)
	if len(batch.items) == 0 {
		b.sending--
		b.idle = append(b.idle, batch)
		return false
	}
	return true
}

// leave seals the item, and reports whether there is something to send.
func (i *item[Q, R]) leave() bool {
	if !i.sealed {
		i.sealed, i.query = true, i.Seal()
		i.size, i.weight = sizeOf(i.query), weightOf(i.query)
	}
	return i.query.ProtoReflect().IsValid()
}

// maxHead is how large what a record has beside its data is at most, in bytes, where it
// keeps no keys and does nothing to tasks: a batch of nothing but that is small enough.
const maxHead = 2 << 10

// sizeOf is how large a query is at most, in bytes. Most records are states and nothing
// else; to measure all the messages in one takes as long as to take it over.
func sizeOf(query proto.Message) int {
	if record, ok := query.(*runtimev1.Record); ok && onlyState(record) {
		return maxHead + len(record.GetData())
	}
	return proto.Size(query)
}

func onlyState(record *runtimev1.Record) bool {
	return len(record.GetKeys()) == 0 && len(record.GetForgotten()) == 0 && len(record.GetChanges()) == 0 && record.GetCompletes() == nil
}

// weightOf is how much of a request an item takes. A change of a task is many small
// messages, of which a request may have so many only (see package wire), and of revivals
// the runtime takes no more.
func weightOf(query proto.Message) int {
	const ofChange, ofRevival = 2, maxBatch / limit.MaxRevived
	switch query := query.(type) {
	case *runtimev1.Record:
		return 1 + ofChange*len(query.GetChanges())
	case *runtimev1.TaskChange:
		if query.GetRevive() != nil {
			return ofRevival
		}
		return ofChange
	default:
		return 1
	}
}

// load reads a batch of actors.
func (s *session) load(reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	return answered(s, len(reads), func() ([]*runtimev1.LoadResponse_Result, error) {
		res, err := s.membership.Runtime.Load(s.ctx, &runtimev1.LoadRequest{Reads: reads, Mark: s.member.mark()})
		return res.GetResults(), err
	})
}

// commit writes a batch of records. After a lost answer the records are sent again,
// and recognised by their identity. One that is refused only then may have been
// applied before another worker took over: nobody knows.
func (s *session) commit(records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
	if s.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", host.ErrUnsent, errSessionOver)
	}
	doubted := false
	res, err := answered(s, len(records), func() ([]*runtimev1.CommitResponse_Result, error) {
		res, err := s.membership.Runtime.Commit(s.ctx, &runtimev1.CommitRequest{Records: records, Mark: s.member.mark()})
		s.member.saw(res.GetMark())
		s.tellRefused(res.GetResults())
		known := err == nil && len(res.GetResults()) == len(records) || withoutEffect(err)
		doubted = doubted || !known
		return res.GetResults(), err
	})
	switch {
	case err != nil && !doubted:
		return nil, fmt.Errorf("%w: %w", host.ErrUnsent, err)
	case doubted:
		doubt(res)
	}
	return res, err
}

// tellRefused tells people of records that came too late.
func (s *session) tellRefused(results []*runtimev1.CommitResponse_Result) {
	stale := 0
	for _, result := range results {
		if result.GetVerdict() == runtimev1.Verdict_VERDICT_STALE_EPOCH {
			stale++
		}
	}
	if stale > 0 {
		s.member.log.Warn("records were refused: their shards have another owner", "worker", s.membership.Worker, "records", stale)
	}
}

// doubt replaces the refusals of records that were sent before, but for those that hold for
// good: a delivery that is superseded is so for ever, while what a deletion finds too much
// may be less when an earlier copy of it arrives late.
func doubt(results []*runtimev1.CommitResponse_Result) {
	for n, result := range results {
		v := result.GetVerdict()
		if v == runtimev1.Verdict_VERDICT_STALE_EPOCH || v == runtimev1.Verdict_VERDICT_STALE_BASE || v == runtimev1.Verdict_VERDICT_TOO_MANY_TASKS || v == runtimev1.Verdict_VERDICT_DAMAGED {
			results[n] = &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_UNSPECIFIED}
		}
	}
}

// withoutEffect reports whether a request that failed with err has certainly done
// nothing: it never left, or the runtime says so.
func withoutEffect(err error) bool {
	_, undialled := errors.AsType[*dialError](err)
	return undialled || errors.Is(err, link.ErrUnsent) || fault.Detail(err).GetOutcome() == francisv1.Outcome_OUTCOME_NOTHING_HAPPENED
}

// answered repeats a request until it is answered or the session is over.
func answered[R any](s *session, items int, send func() ([]R, error)) ([]R, error) {
	for {
		results, err := send()
		switch {
		case err == nil && len(results) == items:
			return results, nil
		case err == nil: // it would answer the repetition alike
			return nil, fmt.Errorf("the runtime answered %d of %d items; upgrade the older of runtime and worker", len(results), items)
		case dead(err):
			s.die()
			return nil, fmt.Errorf("%w: %w", errSessionOver, err)
		case Permanent(err) || fault.StoreUnfit(err):
			return nil, err
		case !deadline.Sleep(s.ctx, jitteredRetry()):
			return nil, errSessionOver
		}
	}
}
