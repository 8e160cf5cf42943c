package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/francis-actors/francis/bench/internal/load"
	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
)

// cold are first calls of stored actors.
type cold struct {
	// on is where they lie.
	on storage
}

func (c cold) place(ctx context.Context, l *lab) (place, error) {
	if c.on == onPostgreSQL {
		return l.storedInPostgreSQL(ctx)
	}
	return l.stored(ctx)
}

// embedded measures them in this process.
func (c cold) embedded(ctx context.Context, l *lab, callers int) (result, error) {
	at, err := c.place(ctx, l)
	if err != nil {
		return result{}, err
	}
	return embedded(ctx, at, func(caller sdk.Caller, children []process) (result, error) {
		return firstCalls(ctx, l, caller, work{callers: callers, children: children})
	})
}

// acrossWorkers measures them on another worker, which asks the runtime in a third
// process.
func (c cold) acrossWorkers(ctx context.Context, l *lab, callers int) (result, error) {
	at, err := c.place(ctx, l)
	if err != nil {
		return result{}, err
	}
	return l.acrossWorkers(ctx, at, func(caller sdk.Caller, children []process) (result, error) {
		return firstCalls(ctx, l, caller, work{callers: callers, children: children})
	})
}

// firstCalls measures the first call of each stored actor.
func firstCalls(ctx context.Context, l *lab, caller sdk.Caller, w work) (result, error) {
	var called atomic.Int64
	w.span = l.cfg.span
	w.op = func(int, int) error {
		n := int(called.Add(1)) - 1
		if n >= l.cfg.stored {
			return load.ErrUsedUp
		}
		return callStored(caller, scattered(n, l.cfg.stored))
	}
	return w.measure(ctx)
}

// scattered is a permutation of the numbers below count, which is no multiple of the
// prime: neighbours in time are none in the file.
func scattered(n, count int) int { return n * 15_485_863 % count }

// callStored calls a stored actor, which must answer with what it has counted.
func callStored(caller sdk.Caller, n int) error {
	res, err := myactorv1francis.NewMyActorProxy(caller, storedID(n)).Increment(context.Background(), &myactorv1.IncrementRequest{})
	if err == nil && res.GetOut() != int32(n+1) {
		err = fmt.Errorf("stored actor %d answers %d, want %d", n, res.GetOut(), n+1)
	}
	return err
}

// restart measures the time from the start of the runtime until a worker has joined and
// a stored actor has answered.
func (c cold) restart(ctx context.Context, l *lab, _ int) (res result, err error) {
	at, err := c.place(ctx, l)
	if err != nil {
		return result{}, err
	}
	if _, err := l.runtime(ctx); err != nil { // built before the clock starts
		return result{}, err
	}
	began := time.Now()
	control, address, err := l.startRuntime(ctx, at)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, control.stop()) }()
	host, err := newWorker(workerOrders{[]string{address}})
	if err != nil {
		return result{}, err
	}
	if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
		return result{}, err
	}
	leave, err := join(ctx, host)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	err = callStored(host.Service(), l.cfg.stored/2)
	took := time.Since(began)
	return result{Rate: 1 / took.Seconds(), P50: took, CPU: control.cpu()}, err
}

const roleIdle = "idle"

// idle measures the memory of the stored actors, or of a part of them, when each was
// called once, in a process of their own.
type idle struct{ part int }

// idleOrders say which actors to call.
type idleOrders struct {
	Place place `json:"place"`
	Count int   `json:"count"`
}

func (i idle) measure(ctx context.Context, l *lab, _ int) (res result, err error) {
	path, err := l.stored(ctx)
	if err != nil {
		return result{}, err
	}
	c, ready, err := l.start(ctx, roleIdle, idleOrders{path, l.cfg.stored / i.part})
	if err != nil {
		return result{}, err
	}
	return res, errors.Join(json.Unmarshal([]byte(ready), &res), c.stop())
}

// startIdle calls actors, and says what each takes.
func startIdle(ctx context.Context, text []byte) (ready string, stop func() error, err error) {
	var orders idleOrders
	if err := json.Unmarshal(text, &orders); err != nil {
		return "", nil, err
	}
	states, err := heapOf(orders.Count, decodedState)
	if err != nil {
		return "", nil, err
	}
	res, err := embedded(ctx, orders.Place, func(caller sdk.Caller, _ []process) (result, error) {
		heapBefore, rssBefore := inUse(), resident()
		if err := callEach(orders.Count, func(n int) error { return callStored(caller, n) }); err != nil {
			return result{}, err
		}
		heap, rss := inUse()-heapBefore, resident()-rssBefore
		count := float64(orders.Count)
		return result{Heap: (float64(heap) - states) / count, RSS: float64(rss) / count}, nil
	})
	if err != nil {
		return "", nil, err
	}
	said, err := json.Marshal(res)
	return string(said), func() error { return nil }, err
}

// callEach does something with each number below count, from few goroutines.
func callEach(count int, call func(n int) error) error {
	var next atomic.Int64
	var calling sync.WaitGroup
	errs := make([]error, few)
	for i := range errs {
		calling.Go(func() {
			for n := next.Add(1) - 1; n < int64(count) && errs[i] == nil; n = next.Add(1) - 1 {
				errs[i] = call(int(n))
			}
		})
	}
	calling.Wait()
	return errors.Join(errs...)
}

// decodedState is the state of a stored actor.
func decodedState(n int) (proto.Message, error) {
	data, err := proto.Marshal(&myactorv1.MyActorState{Counter: int32(n + 1)})
	if err != nil {
		return nil, err
	}
	state := &myactorv1.MyActorState{}
	return state, proto.Unmarshal(data, state)
}

// heapOf is what so many messages take on the heap, in bytes.
func heapOf(count int, message func(n int) (proto.Message, error)) (float64, error) {
	all := make([]proto.Message, count)
	before := inUse()
	for n := range all {
		var err error
		if all[n], err = message(n); err != nil {
			return 0, err
		}
	}
	after := inUse()
	runtime.KeepAlive(all)
	return float64(after - before), nil
}

// inUse is how much of the heap is in use, in bytes.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // the first one leaves what pools keep
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc)
}

// resident is the resident memory of this process, in bytes, without what the garbage
// collector keeps for a while before it gives it back to the system.
func resident() int {
	debug.FreeOSMemory()
	return load.Resident()
}
