package main

import (
	"context"
	"time"

	"github.com/francis-actors/francis/bench/internal/load"
)

// result is what one measurement gave.
type result = load.Result

// work is what is measured, in this process and its children.
type work struct {
	callers int
	span    time.Duration
	// op is one operation of a caller, as load.Work has it.
	op func(caller, number int) error
	// children are the other processes that take part.
	children []process
}

// measure runs the operations of all callers for the span. The children collect their
// garbage first, as this process does.
func (w work) measure(ctx context.Context) (result, error) {
	for _, c := range w.children {
		if err := c.collect(); err != nil {
			return result{}, err
		}
	}
	return load.Work{Callers: w.callers, Span: w.span, Op: w.op, Usage: w.usage}.Measure(ctx)
}

// usage is that of this process and its children together.
func (w work) usage() (load.Usage, error) {
	sum := load.Own()
	for _, c := range w.children {
		used, err := c.used()
		if err != nil {
			return load.Usage{}, err
		}
		sum.Mallocs += used.Mallocs
		sum.CPU += c.cpu()
	}
	return sum, nil
}

// process is another process that takes part.
type process interface {
	// collect makes it collect its garbage.
	collect() error
	// used is what it has done so far, but for its processor time.
	used() (used, error)
	// cpu is its processor time so far, 0 where that is unknown.
	cpu() time.Duration
}

func median[T time.Duration | float64](values []T) T { return load.Median(values) }
