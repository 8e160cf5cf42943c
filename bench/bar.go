package main

import (
	"fmt"
	"time"
)

// figure is one of the figures of a row.
type figure string

const (
	// rate is better when it is higher, all others when they are lower.
	rate figure = "calls/s"
	p50  figure = "p50"
	p99  figure = "p99"
	cpu  figure = "CPU"
	heap figure = "heap"
	rss  figure = "RSS"
)

// of is the figure in a result: a second, a call a second and a byte are 1.
func (f figure) of(r result) float64 {
	switch f {
	case rate:
		return r.Rate
	case p50:
		return r.P50.Seconds()
	case p99:
		return r.P99.Seconds()
	case cpu:
		return r.CPU.Seconds()
	case heap:
		return r.Heap
	default:
		return r.RSS
	}
}

// print is a value of the figure with its unit.
func (f figure) print(value float64) string {
	switch {
	case f == rate:
		return short(value) + "/s"
	case f == p50 || f == p99 || f == cpu:
		return brief(time.Duration(value * float64(time.Second)))
	case value < 1e3:
		return fmt.Sprintf("%.3g B", value)
	case value < 1e6:
		return fmt.Sprintf("%.3g kB", value/1e3)
	default:
		return fmt.Sprintf("%.4g MB", value/1e6)
	}
}

// bar is what a figure shall reach, or stay within.
type bar struct {
	by figure
	// limit is for the ratio to the floors, or for the figure itself where there is no
	// floor; 0 is no bar: the ratio alone is told.
	limit float64
	// itself is true where the limit is for the figure itself, although the row has floors.
	itself bool
}

// judgement is a bar and what came out.
type judgement struct {
	By figure `json:"by"`
	// Ratio is the figure over that of the floors; 0 without.
	Ratio float64 `json:"ratio,omitempty"`
	Limit float64 `json:"limit,omitempty"`
	// Reached is what the row has of the bar: 1 and more is reached; 0 without a bar.
	Reached float64 `json:"reached,omitempty"`
}

// judge compares a row with its floors.
func (b bar) judge(m *measured, floors []*measured) judgement {
	if b.itself {
		floors = nil
	}
	j := judgement{By: b.by, Ratio: m.ratio(b.by, floors), Limit: b.limit}
	value := j.Ratio
	if len(floors) == 0 {
		value = b.by.of(m.result())
	}
	switch {
	case value == 0 || b.limit == 0:
	case b.by == rate:
		j.Reached = value / b.limit
	default:
		j.Reached = b.limit / value
	}
	return j
}

// ratio is the median of the ratios of a figure to the floors, each of one repetition; 0
// without floors.
func (m *measured) ratio(by figure, floors []*measured) float64 {
	if len(floors) == 0 {
		return 0
	}
	var ratios []float64
	for i, round := range m.rounds {
		sum := 0.0
		for _, floor := range floors {
			if i >= len(floor.rounds) {
				return median(ratios)
			}
			sum += by.of(floor.rounds[i])
		}
		if sum > 0 { // else it is not known here
			ratios = append(ratios, by.of(round)/sum)
		}
	}
	return median(ratios)
}

func (j judgement) compared() string {
	if j.Ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f (%s)", j.Ratio, j.By)
}

// judged is the bar, and what the row has of it.
func (j judgement) judged() string {
	if j.Reached == 0 {
		return ""
	}
	relation, limit, what := "≤", fmt.Sprintf("%g", j.Limit), ""
	if j.By == rate {
		relation = "≥"
	}
	if j.Ratio == 0 {
		limit = j.By.print(j.Limit)
	}
	if j.By != rate && j.By != p50 {
		what = string(j.By) + " "
	}
	return fmt.Sprintf("%s%s %s: %.2f of it", what, relation, limit, j.Reached)
}
