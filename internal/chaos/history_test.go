//go:build unix

package chaos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"google.golang.org/protobuf/types/known/durationpb"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/sdk"
)

// kind is what a client does with a register.
type kind uint8

const (
	add kind = iota
	write
	swap
	read
)

// input and output are an operation as porcupine sees it.
type input struct {
	actor    string
	kind     kind
	old, new int64
}

type observed struct {
	value   int64
	swapped bool
	// unknown is true when nobody told what happened: then anything goes.
	unknown bool
}

// model is a register that starts at zero.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byActor := map[string][]porcupine.Operation{}
		for _, op := range history {
			actor := op.Input.(input).actor
			byActor[actor] = append(byActor[actor], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byActor {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, in, out any) (bool, any) {
		value, do, got := state.(int64), in.(input), out.(observed)
		switch do.kind {
		case add:
			return got.unknown || got.value == value+do.new, value + do.new
		case write:
			return true, do.new
		case swap:
			next, swapped := value, value == do.old
			if swapped {
				next = do.new
			}
			return got.unknown || got.swapped == swapped, next
		default:
			return got.value == value, value
		}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// load are clients that call, and what they have seen.
type load struct {
	cluster *cluster
	actors  int
	clients int
	// keyed makes the clients give each change an idempotency key and let the proxy
	// send it again; otherwise each operation is one attempt.
	keyed bool
	// pause is how long some of the turns last.
	pause time.Duration
	// padding is how many bytes are stored with each number.
	padding int
	// timeout is what each operation has.
	timeout time.Duration
	// perSecond is how many operations all clients begin in a second; 0 means as many as
	// they can.
	perSecond int

	began   time.Time
	pending atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	tally   tally
}

// tally counts how the operations ended.
type tally struct {
	ok, failed, unknown int
	longest             time.Duration
	// waits are how long each of them took.
	waits []time.Duration
	// errors are the texts of a few failures.
	errors []string
}

const (
	callTimeout = 20 * time.Second
	// relief is how long a client waits after a failure: one that is refused at once
	// would else keep the machine busy with being refused.
	relief = 10 * time.Millisecond
)

func newLoad(c *cluster) *load {
	return &load{cluster: c, actors: actors, clients: clients, timeout: callTimeout, began: time.Now()}
}

// now is the time of the history.
func (l *load) now() time.Duration { return time.Since(l.began) }

// run calls until ctx ends or limit operations are made.
func (l *load) run(ctx context.Context, limit int) {
	l.pending.Store(int64(limit))
	transport := &http.Transport{MaxIdleConnsPerHost: l.clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var clients sync.WaitGroup
	for n := range l.clients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), uint64(l.now())))
			for next := time.Now(); ctx.Err() == nil && l.pending.Add(-1) >= 0; {
				if !l.one(client, n, random) {
					rest(ctx, relief)
				}
				next = l.pace(ctx, next)
			}
		})
	}
	clients.Wait()
}

// pace waits until a client may begin its next operation, and returns when.
func (l *load) pace(ctx context.Context, last time.Time) time.Time {
	if l.perSecond == 0 {
		return last
	}
	next := last.Add(time.Duration(l.clients) * time.Second / time.Duration(l.perSecond))
	rest(ctx, time.Until(next))
	return next
}

// one makes one operation and records it, and reports whether it succeeded.
func (l *load) one(client *http.Client, n int, random *rand.Rand) bool {
	w := l.cluster.workers[random.IntN(len(l.cluster.workers))]
	in := input{actor: fmt.Sprintf("r%d", random.IntN(l.actors)), kind: kind(random.IntN(4)), old: random.Int64N(10), new: random.Int64N(10)}
	proxy := chaosv1francis.NewRegisterActorProxy(sdk.Gateway(client, "http://"+w.gateway), in.actor)
	opts := []sdk.CallOption{sdk.WithoutRetries()}
	if l.keyed {
		opts = []sdk.CallOption{sdk.WithIdempotencyKey(fmt.Sprintf("%d-%d", n, random.Uint64()))}
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	called := l.now()
	out, err := l.call(ctx, proxy, in, opts)
	l.record(n, in, out, err, called)
	return err == nil
}

// pad is padding that differs from what was stored before: the store writes no page that is
// as it was.
func (l *load) pad() []byte { return bytes.Repeat([]byte{byte(l.pending.Load())}, l.padding) }

func (l *load) call(ctx context.Context, proxy chaosv1francis.RegisterActorProxy, in input, opts []sdk.CallOption) (observed, error) {
	switch in.kind {
	case add:
		req := &chaosv1.AddRequest{In: in.new}
		if l.pause > 0 && in.old == 0 {
			req.Pause = durationpb.New(l.pause)
		}
		res, err := proxy.Add(ctx, req, opts...)
		return observed{value: res.GetValue()}, err
	case write:
		_, err := proxy.Write(ctx, &chaosv1.WriteRequest{Value: in.new, Padding: l.pad()}, opts...)
		return observed{}, err
	case swap:
		res, err := proxy.Swap(ctx, &chaosv1.SwapRequest{Old: in.old, New: in.new}, opts...)
		return observed{swapped: res.GetSwapped()}, err
	default:
		res, err := proxy.Read(ctx, &chaosv1.ReadRequest{}, opts...)
		return observed{value: res.GetValue()}, err
	}
}

// record notes how an operation ended. One that certainly did not happen is left out;
// one of which nobody knows may happen at any time from its call on.
func (l *load) record(client int, in input, out observed, err error, called time.Duration) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.waits = append(l.tally.waits, now-called)
	l.tally.longest = max(l.tally.longest, now-called)
	if err != nil && len(l.tally.errors) < 5 {
		l.tally.errors = append(l.tally.errors, err.Error())
	}
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(called), Return: int64(now)}
	switch {
	case err == nil:
		l.tally.ok++
	case sdk.OutcomeOf(err) == sdk.OutcomeNothingHappened || errors.Is(err, syscall.ECONNREFUSED):
		l.tally.failed++
		return
	default:
		l.tally.unknown++
		if in.kind == read {
			return
		}
		op.Output, op.Return = observed{unknown: true}, math.MaxInt64
	}
	l.history = append(l.history, op)
}

// waits are how long the operations took that have ended, in the order of their ends.
func (l *load) waits() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.tally.waits)
}

// check lets porcupine judge what the clients saw.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for i := range l.history { // each pending operation is a client of its own, as porcupine wants it
		if l.history[i].Return == math.MaxInt64 {
			l.history[i].ClientId = 1000 + i
		}
	}
	if got := porcupine.CheckOperationsTimeout(model, l.history, 2*time.Minute); got != porcupine.Ok {
		t.Errorf("porcupine says %v of %d operations", got, len(l.history))
	}
}

// recovery is how long after each of the moments each actor has answered a call that was
// made after it.
func (l *load) recovery(moments []time.Duration) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var took []time.Duration
	for _, moment := range moments {
		first := map[string]time.Duration{}
		for _, op := range l.history {
			actor, answered := op.Input.(input).actor, time.Duration(op.Return)
			if op.Return == math.MaxInt64 || time.Duration(op.Call) < moment {
				continue
			}
			if have, ok := first[actor]; !ok || answered < have {
				first[actor] = answered
			}
		}
		for _, answered := range first {
			took = append(took, answered-moment)
		}
	}
	return took
}

// quantile is what so much of the durations stay below.
func quantile(q float64, of []time.Duration) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(len(of)-1, int(q*float64(len(of))))]
}

func (t *tally) String() string {
	return fmt.Sprintf("%d operations: %d ok, %d failed, %d unknown; p99 %v, longest %v",
		t.ok+t.failed+t.unknown, t.ok, t.failed, t.unknown, quantile(0.99, t.waits).Round(time.Millisecond), t.longest.Round(time.Millisecond))
}
