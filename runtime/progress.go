package main

import (
	"fmt"
	"io"
	"time"

	"github.com/francis-actors/francis/runtime/backup"
)

// progressEvery is how often progress is shown.
const progressEvery = 100 * time.Millisecond

// progress shows on a terminal how far something has come, in one line; elsewhere nothing.
type progress struct {
	out          io.Writer
	what         string
	began, shown time.Time
	// silent is true where there is no terminal, and drawn while the line is there.
	silent, drawn bool
}

func newProgress(out io.Writer, what string) *progress {
	now := time.Now()
	return &progress{out: out, what: what, began: now, shown: now, silent: !isTerminal(out)}
}

// see shows a tally, if it is time.
func (p *progress) see(t backup.Tally) {
	if p.silent {
		return
	}
	now := time.Now()
	if now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown, p.drawn = now, true
	fmt.Fprintf(p.out, "\r\x1b[K%s", p.line(t, now.Sub(p.began)))
}

// line is a tally after some time.
func (p *progress) line(t backup.Tally, lasted time.Duration) string {
	rate := float64(t.Bytes) / max(lasted.Seconds(), progressEvery.Seconds())
	return fmt.Sprintf("%s: %d rows, %s, %s/s", p.what, t.Rows(), size(float64(t.Bytes)), size(rate))
}

// clear clears the line, so that something else can be said.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	p.drawn = false
}

// describe is what a backup holds, for people.
func describe(t backup.Tally) string {
	return fmt.Sprintf("%d actors, %d idempotency keys, %d alarms and jobs, %d dead letters (%s)", t.Actors, t.Keys, t.Tasks, t.Dead, size(float64(t.Bytes)))
}

// size is a number of bytes, for people.
func size(bytes float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if bytes < 1024 {
			return fmt.Sprintf("%.4g %s", bytes, unit)
		}
		bytes /= 1024
	}
	return fmt.Sprintf("%.4g GiB", bytes)
}
