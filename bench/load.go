package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// result is what one measurement gave.
type result struct {
	// Rate is operations a second.
	Rate float64 `json:"rate"`
	// P50 is the median latency.
	P50 time.Duration `json:"p50"`
	// Allocs are allocations of an operation, in all processes of the bench.
	Allocs float64 `json:"allocs"`
	// CPU is the processor time of an operation over all processes; 0 is unknown.
	CPU time.Duration `json:"cpu"`
}

// work is what is measured.
type work struct {
	callers int
	span    time.Duration
	// op is one operation of a caller, numbered from 0, which checks its own answer.
	op func(caller, number int) error
	// children are the other processes that take part.
	children []*child
}

const (
	// sampling is how many operations share one reading of the clock: reading it twice
	// costs as much as a tenth of a call in process.
	sampling = 16
	// samples is how many latencies a caller remembers, the latest ones.
	samples = 1 << 14
	// warmups is the part of the span that is spent before the measurement.
	warmups = 10
)

// measure runs the operations of all callers for the span.
func (w work) measure(ctx context.Context) (result, error) {
	if _, _, err := w.round(ctx, w.span/warmups); err != nil {
		return result{}, err
	}
	runtime.GC()
	before, err := usageOf(w.children)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	count, latencies, err := w.round(ctx, w.span)
	took := time.Since(start)
	if err != nil {
		return result{}, err
	}
	after, err := usageOf(w.children)
	if err != nil {
		return result{}, err
	}
	return result{
		Rate:   float64(count) / took.Seconds(),
		P50:    median(latencies),
		Allocs: float64(after.mallocs-before.mallocs) / float64(count),
		CPU:    (after.cpu - before.cpu) / time.Duration(count),
	}, nil
}

// round runs all callers until the span is over, and counts what they did.
func (w work) round(ctx context.Context, span time.Duration) (count int, latencies []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var over atomic.Bool
	defer context.AfterFunc(ctx, func() { over.Store(true) })()
	callers := make([]caller, w.callers)
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() { callers[i].run(i, w.op, &over) })
	}
	running.Wait()
	for i := range callers {
		count += callers[i].count
		latencies = append(latencies, callers[i].latencies...)
		err = errors.Join(err, callers[i].err)
	}
	if err == nil && errors.Is(ctx.Err(), context.Canceled) {
		err = ctx.Err()
	}
	if err == nil && count == 0 {
		err = errors.New("nothing was done")
	}
	return count, latencies, err
}

// caller is one of those who call at the same time.
type caller struct {
	count     int
	latencies []time.Duration
	err       error
}

// run does one operation after the other, at least one.
func (c *caller) run(id int, op func(caller, number int) error, over *atomic.Bool) {
	for c.count == 0 || !over.Load() {
		if c.count%sampling != 0 {
			c.err = op(id, c.count)
		} else {
			start := time.Now()
			c.err = op(id, c.count)
			c.remember(time.Since(start))
		}
		if c.err != nil {
			c.err = fmt.Errorf("caller %d, operation %d: %w", id, c.count, c.err)
			return
		}
		c.count++
	}
}

func (c *caller) remember(d time.Duration) {
	if len(c.latencies) < samples {
		c.latencies = append(c.latencies, d)
		return
	}
	c.latencies[c.count/sampling%samples] = d
}

func median[T time.Duration | float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
