package member

import (
	"context"
	"sync"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// maxBatch is how many items travel in one request.
const maxBatch = 1024

// batcher sends what is waiting in one request, and what arrives meanwhile in the
// next: batches form by themselves when there is much to do, and nothing waits for
// a timer when there is little.
type batcher[Q, R any] struct {
	// send sends a batch and returns an answer for each item.
	send func(items []Q) ([]R, error)

	mu      sync.Mutex
	waiting []*item[Q, R]
	sending bool
}

type item[Q, R any] struct {
	query Q
	res   R
	err   error
	done  chan struct{}
}

// do sends one item and waits for its answer, or until ctx ends; it may be sent all
// the same then.
func (b *batcher[Q, R]) do(ctx context.Context, query Q) (R, error) {
	i := &item[Q, R]{query: query, done: make(chan struct{})}
	b.add(i)
	select {
	case <-i.done:
		return i.res, i.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

func (b *batcher[Q, R]) add(i *item[Q, R]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, i)
	if !b.sending {
		b.sending = true
		go b.work()
	}
}

// work sends batches until nothing waits.
func (b *batcher[Q, R]) work() {
	for items := b.take(); len(items) > 0; items = b.take() {
		queries := make([]Q, len(items))
		for n, i := range items {
			queries[n] = i.query
		}
		results, err := b.send(queries)
		for n, i := range items {
			if err == nil {
				i.res = results[n]
			}
			i.err = err
			close(i.done)
		}
	}
}

func (b *batcher[Q, R]) take() []*item[Q, R] {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	items := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.sending = n > 0
	return items
}

// load reads a batch of actors.
func (s *session) load(reads []*runtimev1.LoadRequest_Read) ([]*runtimev1.LoadResponse_Result, error) {
	return answered(s, len(reads), func() ([]*runtimev1.LoadResponse_Result, error) {
		res, err := s.membership.Runtime.Load(s.ctx, &runtimev1.LoadRequest{Reads: reads})
		return res.GetResults(), err
	})
}

// commit writes a batch of records. After a lost answer the records are sent again,
// and recognised by their identity. One that is refused only then may have been
// applied before another worker took over: nobody knows.
func (s *session) commit(records []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, error) {
	attempts := 0
	res, err := answered(s, len(records), func() ([]*runtimev1.CommitResponse_Result, error) {
		attempts++
		res, err := s.membership.Runtime.Commit(s.ctx, &runtimev1.CommitRequest{Records: records})
		return res.GetResults(), err
	})
	if attempts == 1 {
		return res, err
	}
	for n, result := range res {
		if v := result.GetVerdict(); v == runtimev1.Verdict_VERDICT_STALE_EPOCH || v == runtimev1.Verdict_VERDICT_STALE_BASE {
			res[n] = &runtimev1.CommitResponse_Result{Verdict: runtimev1.Verdict_VERDICT_UNSPECIFIED}
		}
	}
	return res, err
}

// answered repeats a request until it is answered, with as many results as it has
// items, or the session is over.
func answered[R any](s *session, items int, send func() ([]R, error)) ([]R, error) {
	for {
		results, err := send()
		switch {
		case err == nil && len(results) == items:
			return results, nil
		case dead(err):
			s.die()
			return nil, errSessionOver
		case err != nil && permanent(err):
			return nil, err
		case !sleep(s.ctx, jitteredRetry()):
			return nil, errSessionOver
		}
	}
}
