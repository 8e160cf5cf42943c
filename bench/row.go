package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// figure is which of the figures of a row its bar is about.
type figure string

const (
	// rate is better when it is higher, p50 when it is lower.
	rate figure = "calls/s"
	p50  figure = "p50"
)

// row is a line of the table.
type row struct {
	name string
	// callers is how many call at the same time.
	callers int
	// floor names the row that this one is compared with; a floor has none.
	floor string
	// by is the figure that is compared, and bar what its ratio to the floor shall
	// reach (rate) or stay within (p50); 0 is no bar.
	by  figure
	bar float64

	run func(ctx context.Context, l *lab, callers int) (result, error)
}

// The names of the floors, without their callers.
const (
	floorChannel = "floor: channel round trip"
	floorTCP     = "floor: raw TCP frames"
	floorInline  = "floor: Connect stream, inline handlers"
	floorApart   = "floor: Connect stream, handlers on goroutines"
	floorSync    = "floor: sync of a 4 KiB page"
	floorEach    = "floor: SQLite FULL, one row a transaction"
	floorGroup   = "floor: SQLite FULL, group commit"
)

// The names of the peers, without their callers.
const (
	peerGrain    = "peer: GoAkt 4.1 grain in process, one actor"
	peerActor    = "peer: GoAkt 4.1 actor in process, not virtual, one actor"
	peerProto    = "peer: proto.actor in process, one actor"
	peerGrains   = "peer: GoAkt 4.1 grain in process, 1,000 actors"
	peersOfProto = "peer: proto.actor in process, 1,000 actors"
)

// The numbers of callers of rows with more than one.
const (
	few  = 64
	many = 256
	most = 1024
)

func at(name string, callers int) string { return name + ", c=" + strconv.Itoa(callers) }

// rows are all rows, floors before what stands on them.
func rows() []row {
	all := []row{
		{name: at(floorChannel, 1), callers: 1, run: roundTrip},
		{name: at(floorSync, 1), callers: 1, run: syncPage},
		{name: at(floorEach, 1), callers: 1, run: insertEach},
	}
	for _, c := range []int{1, few, many, most} {
		all = append(all, row{name: at(floorGroup, c), callers: c, run: insertGroups})
	}
	for _, c := range []int{1, few, many} {
		all = append(
			all,
			row{name: at(floorTCP, c), callers: c, run: overLink(echoOrders{})},
			row{name: at(floorInline, c), callers: c, run: overLink(echoOrders{Stream: true})},
			row{name: at(floorApart, c), callers: c, run: overLink(echoOrders{Stream: true, Apart: true})},
		)
	}
	return append(
		all,
		row{name: at(peerGrain, 1), callers: 1, run: peer{"goakt-grain", 1}.measure},
		row{name: at(peerActor, 1), callers: 1, run: peer{"goakt-actor", 1}.measure},
		row{name: at(peerProto, 1), callers: 1, run: peer{"protoactor", 1}.measure},
		row{name: at(peerGrains, few), callers: few, run: peer{"goakt-grain", actors}.measure},
		row{name: at(peersOfProto, few), callers: few, run: peer{"protoactor", actors}.measure},
		row{name: at("call in process, one actor", 1), callers: 1, floor: at(peerActor, 1), by: rate, bar: 1.2, run: calls{actors: 1}.inProcess},
		row{name: at("call in process, one actor, with a deadline", 1), callers: 1, floor: at(peerActor, 1), by: rate, run: calls{actors: 1, timeout: time.Minute}.inProcess},
		row{name: at("call in process, 1,000 actors", few), callers: few, floor: at(floorChannel, 1), by: rate, bar: 0.29, run: calls{actors: actors}.inProcess},
		row{name: at("call across workers", 1), callers: 1, floor: at(floorInline, 1), by: p50, bar: 1.4, run: calls{actors: actors}.acrossWorkers},
		row{name: at("call across workers", few), callers: few, floor: at(floorInline, few), by: rate, bar: 0.6, run: calls{actors: actors}.acrossWorkers},
		row{name: at("call across workers", many), callers: many, floor: at(floorInline, many), by: rate, bar: 0.6, run: calls{actors: actors}.acrossWorkers},
	)
}

// labConfig says how to measure.
type labConfig struct {
	span       time.Duration
	repeat     int
	cpuprofile string
	// progress is told what is being measured.
	progress io.Writer
}

// lab is where measurements happen.
type lab struct {
	cfg labConfig
	// dir is a folder for files, on the disk of the system's temporary folder.
	dir string
	// files counts the files in it.
	files int
	// binary is the runtime, once it is built.
	binary string
	// peersBinary is the program of the peers, once it is built, and peersErr why it could
	// not be.
	peersBinary string
	peersErr    error
}

func newLab(cfg labConfig) (*lab, error) {
	dir, err := os.MkdirTemp("", "francis-bench-")
	if err != nil {
		return nil, err
	}
	return &lab{cfg: cfg, dir: dir}, nil
}

func (l *lab) close() error { return os.RemoveAll(l.dir) }

// newPath is a path where no file is yet.
func (l *lab) newPath(name string) string {
	l.files++
	return filepath.Join(l.dir, strconv.Itoa(l.files)+"-"+name)
}

// measured is a row with what came out.
type measured struct {
	row

	// rounds are the results of the repetitions.
	rounds []result
	err    error
}

// measure measures the rows that match, and the floors that they stand on. Each
// repetition runs all rows, so that a ratio is taken under the same weather.
func (l *lab) measure(ctx context.Context, match *regexp.Regexp) outcome {
	var out outcome
	for _, r := range chosen(rows(), match) {
		out = append(out, &measured{row: r})
	}
	for n := range l.cfg.repeat {
		for _, m := range out {
			if m.err != nil {
				continue
			}
			fmt.Fprintf(l.cfg.progress, "%d/%d %s\n", n+1, l.cfg.repeat, m.name)
			var res result
			if res, m.err = m.run(ctx, l, m.callers); m.err == nil {
				m.rounds = append(m.rounds, res)
			} else {
				fmt.Fprintf(l.cfg.progress, "%s: %v\n", m.name, m.err)
			}
		}
	}
	return out
}

func chosen(all []row, match *regexp.Regexp) (some []row) {
	wanted := map[string]bool{}
	for _, r := range all {
		if match.MatchString(r.name) {
			wanted[r.name], wanted[r.floor] = true, true
		}
	}
	for _, r := range all {
		if wanted[r.name] {
			some = append(some, r)
		}
	}
	return some
}

// outcome is what a run measured.
type outcome []*measured

// skipped reports whether a row could not be measured here.
func (m *measured) skipped() bool { return errors.Is(m.err, errSkipped) }

// failed tells which rows failed.
func (o outcome) failed() error {
	var errs []error
	for _, m := range o {
		if m.err != nil && !m.skipped() {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, m.err))
		}
	}
	if len(o) == 0 {
		errs = append(errs, errors.New("no row matches -run"))
	}
	return errors.Join(errs...)
}

// result is the median of each figure.
func (m *measured) result() result {
	var rates, allocs []float64
	var latencies, cpus []time.Duration
	for _, r := range m.rounds {
		rates, allocs = append(rates, r.Rate), append(allocs, r.Allocs)
		latencies, cpus = append(latencies, r.P50), append(cpus, r.CPU)
	}
	return result{Rate: median(rates), P50: median(latencies), Allocs: median(allocs), CPU: median(cpus)}
}

// ratio is the median of the ratios to the floor, each of one repetition; 0 without a
// floor.
func (m *measured) ratio(floor *measured) float64 {
	if floor == nil {
		return 0
	}
	var ratios []float64
	for i := range min(len(m.rounds), len(floor.rounds)) {
		mine, its := m.rounds[i], floor.rounds[i]
		if m.by == p50 {
			ratios = append(ratios, float64(mine.P50)/float64(its.P50))
		} else {
			ratios = append(ratios, mine.Rate/its.Rate)
		}
	}
	return median(ratios)
}
