// Package load measures operations that callers repeat at the same time. The rows of the
// bench and the peers, which are a module of their own, share it, so that their figures
// mean the same.
package load

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

// Result is what one measurement gave.
type Result struct {
	// Rate is operations a second.
	Rate float64 `json:"rate"`
	// P50 is the median latency.
	P50 time.Duration `json:"p50"`
	// P99 is what 99 of 100 latencies stay within, where a row tells; 0 is not measured.
	P99 time.Duration `json:"p99,omitempty"`
	// Allocs are allocations of an operation, in all processes that take part.
	Allocs float64 `json:"allocs"`
	// CPU is the processor time of an operation over all processes; 0 is unknown.
	CPU time.Duration `json:"cpu"`
	// Heap and RSS are memory in bytes, of what the row says; 0 is not measured.
	Heap float64 `json:"heap,omitempty"`
	RSS  float64 `json:"rss,omitempty"`
}

// Work is what is measured.
type Work struct {
	// Callers is how many call at the same time.
	Callers int
	// Span is how long they call.
	Span time.Duration
	// Op is one operation of a caller, numbered from 0, which checks its own answer. It
	// fails with ErrUsedUp when there is nothing left to do.
	Op func(caller, number int) error
	// Usage is what all processes that take part have used; nil stands for this process.
	Usage func() (Usage, error)
}

// ErrUsedUp ends a measurement before its time.
var ErrUsedUp = errors.New("there is nothing left to do")

const (
	// sampling is how many operations share one reading of the clock: reading it twice
	// costs as much as a tenth of a call in process.
	sampling = 16
	// samples is how many latencies a caller remembers, the latest ones.
	samples = 1 << 14
	// warmups is the part of the span that is spent before the measurement.
	warmups = 10
)

// Measure runs the operations of all callers for the span.
func (w Work) Measure(ctx context.Context) (Result, error) {
	usage := w.Usage
	if usage == nil {
		usage = func() (Usage, error) { return Own(), nil }
	}
	if _, _, err := w.round(ctx, w.Span/warmups); err != nil {
		return Result{}, err
	}
	runtime.GC()
	before, err := usage()
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	count, latencies, err := w.round(ctx, w.Span)
	took := time.Since(start)
	if err != nil {
		return Result{}, err
	}
	after, err := usage()
	if err != nil {
		return Result{}, err
	}
	return Result{
		Rate:   float64(count) / took.Seconds(),
		P50:    Median(latencies),
		Allocs: float64(after.Mallocs-before.Mallocs) / float64(count),
		CPU:    (after.CPU - before.CPU) / time.Duration(count),
	}, nil
}

// round runs all callers until the span is over, and counts what they did.
func (w Work) round(ctx context.Context, span time.Duration) (count int, latencies []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var over atomic.Bool
	defer context.AfterFunc(ctx, func() { over.Store(true) })()
	callers := make([]caller, w.Callers)
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() { callers[i].run(i, w.Op, &over) })
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
		if errors.Is(c.err, ErrUsedUp) {
			c.err = nil
			return
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

// Median is the middle one of some values; 0 without any.
func Median[T time.Duration | float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
