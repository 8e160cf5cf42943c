package lease

import (
	"slices"
	"strings"
	"time"

	"github.com/francis-actors/francis/internal/mutant"
)

// Sign is what a judge reads of one living worker.
type Sign struct {
	// Worker is the worker's id.
	Worker string
	// Beat counts the renewals that the store accepted.
	Beat uint64
	// Lease is the worker's own lease.
	Lease time.Duration
}

// Reading is what a judge saw of all living workers at one tick.
type Reading struct {
	// Began and Ended are the times around the reading.
	Began, Ended time.Duration
	// Signs are the living workers, each once, in any order.
	Signs []Sign
}

// Decree says that a worker is to be declared dead, if its beat is still the same.
type Decree struct {
	// Worker is the worker's id.
	Worker string
	// Beat is the beat that was seen unchanged for too long.
	Beat uint64
}

// Judge counts for how long it has seen each worker's beat unchanged. Give it a
// reading at each tick of its clock; when a reading fails, give it none, and the
// time until the next one counts as one tick. A judge that starts, starts at zero
// for every worker.
type Judge struct {
	tick time.Duration
	// began is the begin of the last reading.
	began time.Duration
	// watches are the workers of the last reading; nil before the first.
	watches map[string]watch
}

// watch is what the judge knows of one worker.
type watch struct {
	beat uint64
	// still is the counted time without a new beat. It starts below zero, by the
	// length of the reading that saw the beat first: the beat may have been read at
	// the end of it.
	still time.Duration
}

// NewJudge is a judge that reads once in tick.
func NewJudge(tick time.Duration) *Judge {
	return &Judge{tick: tick}
}

// Read takes a reading and returns who is to be declared dead, in order of their
// ids. A decree is repeated at each reading until the worker is gone or has
// renewed, so one that could not be executed is not lost.
func (j *Judge) Read(reading Reading) []Decree {
	counted, first := j.count(reading), j.watches == nil
	seen := make(map[string]watch, len(reading.Signs))
	var decrees []Decree
	for _, sign := range reading.Signs {
		w, known := j.watches[sign.Worker]
		if known && w.beat == sign.Beat {
			w.still += counted
		} else {
			w = watch{beat: sign.Beat, still: reading.Began - reading.Ended}
			if first && !mutant.RestartGrace {
				w.still = sign.Lease + Margin(sign.Lease)
			}
		}
		seen[sign.Worker] = w
		if w.still >= sign.Lease+Margin(sign.Lease) {
			decrees = append(decrees, Decree{Worker: sign.Worker, Beat: sign.Beat})
		}
	}
	j.watches = seen
	slices.SortFunc(decrees, func(a, b Decree) int { return strings.Compare(a.Worker, b.Worker) })
	return decrees
}

// count is the time that passed since the last reading, at most one tick: a judge
// that paused has not been watching.
func (j *Judge) count(reading Reading) time.Duration {
	between := reading.Began - j.began
	j.began = reading.Began
	return max(0, min(between, j.tick))
}
