package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is a line of the table.
type row struct {
	name string
	// callers is how many call at the same time.
	callers int
	// floors name the rows that this one is compared with: a rate with that of the only
	// one, latencies with their sum. A floor has none, nor has a row whose figures count
	// as they are.
	floors []string
	bars   []bar
	// once is true for a row that takes long and varies little: it is measured in the
	// first repetition only.
	once bool

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
	floorRow     = "floor: PostgreSQL, one row a transaction"
	floorRows    = "floor: PostgreSQL, group commit"
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
	// perWorker is how many callers there are for each worker.
	perWorker = 32
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
	all = append(all, row{name: at(floorRow, 1), callers: 1, run: rowsInPostgreSQL{most: 1}.measure})
	for _, c := range []int{1, few, many} {
		all = append(all, row{name: at(floorRows, c), callers: c, run: rowsInPostgreSQL{most: group}.measure})
	}
	for _, c := range []int{1, few, many} {
		all = append(
			all,
			row{name: at(floorTCP, c), callers: c, run: overLink(echoOrders{})},
			row{name: at(floorInline, c), callers: c, run: overLink(echoOrders{Stream: true})},
			row{name: at(floorApart, c), callers: c, run: overLink(echoOrders{Stream: true, Apart: true})},
		)
	}
	return slices.Concat(all, peerRows(), callRows(), httpRows(), growthRows(), durableRows(), alarmRows(), coldRows(), postgresRows())
}

// peerRows are the call in process of others.
func peerRows() []row {
	return []row{
		{name: at(peerGrain, 1), callers: 1, run: peer{"goakt-grain", 1}.measure},
		{name: at(peerActor, 1), callers: 1, run: peer{"goakt-actor", 1}.measure},
		{name: at(peerProto, 1), callers: 1, run: peer{"protoactor", 1}.measure},
		{name: at(peerGrains, few), callers: few, run: peer{"goakt-grain", actors}.measure},
		{name: at(peersOfProto, few), callers: few, run: peer{"protoactor", actors}.measure},
	}
}

// callRows are calls of turns that change nothing.
func callRows() []row {
	fastest, inline := []string{at(peerActor, 1)}, func(c int) []string { return []string{at(floorInline, c)} }
	return []row{
		{name: at("call in process, one actor", 1), callers: 1, floors: fastest, bars: []bar{{by: rate, limit: 1.2}}, run: calls{actors: 1}.inProcess},
		{name: at("call in process, one actor, with a deadline", 1), callers: 1, floors: fastest, bars: []bar{{by: rate}}, run: calls{actors: 1, timeout: time.Minute}.inProcess},
		{name: at("call in process, 1,000 actors", few), callers: few, floors: []string{at(floorChannel, 1)}, bars: []bar{{by: rate, limit: 0.29}}, run: calls{actors: actors}.inProcess},
		{name: at("call across workers", 1), callers: 1, floors: inline(1), bars: []bar{{by: p50, limit: 1.4}}, run: calls{actors: actors}.acrossWorkers},
		{name: at("call across workers", few), callers: few, floors: inline(few), bars: []bar{{by: rate, limit: 0.6}}, run: calls{actors: actors}.acrossWorkers},
		{name: at("call across workers", many), callers: many, floors: inline(many), bars: []bar{{by: rate, limit: 0.6}}, run: calls{actors: actors}.acrossWorkers},
	}
}

// The names of rows that others are compared with.
const (
	unary1 = "floor: Connect unary, JSON over HTTP/1.1"
	unary2 = "floor: Connect unary, JSON over h2c"
	warm1k = "warm call across workers, 1,000 actors"
	two    = "call across 2 workers"
)

// httpRows are calls with JSON through a gateway.
func httpRows() []row {
	same := func(floor string) []string { return []string{at(floor, few)} }
	return []row{
		{name: at(unary1, few), callers: few, run: posts{}.measure},
		{name: at(unary2, few), callers: few, run: posts{http2: true}.measure},
		{name: at("gateway, JSON over HTTP/1.1", few), callers: few, floors: same(unary1), bars: []bar{{by: rate, limit: 0.8}}, run: posts{gateway: true}.measure},
		{name: at("gateway, JSON over h2c", few), callers: few, floors: same(unary2), bars: []bar{{by: rate, limit: 0.8}}, run: posts{gateway: true, http2: true}.measure},
	}
}

// growthRows are calls as actors, workers and callers become more.
func growthRows() []row {
	flat := []bar{{by: cpu, limit: 1.1}}
	return []row{
		{name: at(warm1k, few), callers: few, run: warm{part: 1000}.measure},
		{name: at("warm call across workers, 100,000 actors", few), callers: few, floors: []string{at(warm1k, few)}, bars: flat, run: warm{part: 10}.measure},
		{name: at("warm call across workers, 1,000,000 actors", few), callers: few, floors: []string{at(warm1k, few)}, bars: flat, once: true, run: warm{part: 1}.measure},
		{name: at(two, 2*perWorker), callers: 2 * perWorker, run: spread{2}.measure},
		{name: at("call across 16 workers", 16*perWorker), callers: 16 * perWorker, floors: []string{at(two, 2*perWorker)}, bars: flat, run: spread{16}.measure},
		{name: at("call in process with a deadline, 1,000 actors", 10_000), callers: 10_000, bars: []bar{{by: rss, limit: 1 << 30}}, run: crowd},
	}
}

// durableRows are turns whose change is committed.
func durableRows() []row {
	group := func(c int) []string { return []string{at(floorGroup, c)} }
	return []row{
		{name: at("durable increment, one actor, embedded", few), callers: few, floors: group(few), bars: []bar{{by: rate, limit: 3}}, run: increments{actors: 1}.embedded},
		{name: at("durable increment, 1,000 actors, embedded", few), callers: few, floors: group(few), bars: []bar{{by: rate, limit: 0.7}}, run: increments{actors: actors}.embedded},
		{name: at("durable increment, 1,000 actors, embedded", many), callers: many, floors: group(many), bars: []bar{{by: rate, limit: 0.7}}, run: increments{actors: actors}.embedded},
		{
			name: at("durable increment across workers, 1,000 actors", 1), callers: 1,
			floors: []string{at(floorInline, 1), at(floorInline, 1), at(floorGroup, 1)}, bars: []bar{{by: p50, limit: 1.5}},
			run: increments{actors: actors}.acrossWorkers,
		},
		{name: at("durable increment across workers, one actor", few), callers: few, floors: group(few), bars: []bar{{by: rate, limit: 0.75}}, run: increments{actors: 1}.acrossWorkers},
		{name: at("durable increment across workers, 1,000 actors", few), callers: few, floors: group(few), bars: []bar{{by: rate, limit: 0.5}}, run: increments{actors: actors}.acrossWorkers},
	}
}

// alarmRows are alarms that come due, each a turn that is committed.
func alarmRows() []row {
	group := []string{at(floorGroup, few)}
	alarm := func(name string, least float64, run func(context.Context, *lab, int) (result, error)) row {
		return row{name: name, floors: group, bars: []bar{{by: rate, limit: least}, {by: p99, limit: 0.5, itself: true}}, run: run}
	}
	return []row{
		alarm("alarms, 5,000 due at once, embedded", 0.3, alarms{}.embedded),
		alarm("alarms, 5,000 due at once of 100,000, embedded", 0.3, alarms{others: 10}.embedded),
		alarm("alarms, 5,000 due at once of 1,000,000, embedded", 0.3, alarms{others: 1}.embedded),
		{name: "alarms, 100,000 overdue, embedded", floors: group, bars: []bar{{by: rate}}, run: overdueAlarms},
		alarm("alarms, 5,000 due at once, across workers", 0.2, alarms{}.acrossWorkers),
		alarm("alarms, 5,000 due at once of 100,000, across workers", 0.2, alarms{others: 10}.acrossWorkers),
		alarm("alarms, 5,000 due at once of 1,000,000, across workers", 0.2, alarms{others: 1}.acrossWorkers),
	}
}

// coldRows are about a million stored actors.
func coldRows() []row {
	return []row{
		{name: at("cold activation, embedded", few), callers: few, bars: []bar{{by: rate, limit: 50e3}}, run: cold{}.embedded},
		{name: at("cold activation across workers", few), callers: few, bars: []bar{{by: rate, limit: 30e3}}, run: cold{}.acrossWorkers},
		{name: "restart of a runtime with 1,000,000 actors", callers: 1, bars: []bar{{by: p50, limit: 2}}, run: cold{}.restart},
		{name: "idle activations, 100,000", bars: []bar{{by: heap, limit: 500}, {by: rss, limit: 1100}}, once: true, run: idle{part: 10}.measure},
		{name: "idle activations, 1,000,000", bars: []bar{{by: heap, limit: 500}, {by: rss, limit: 1100}}, once: true, run: idle{part: 1}.measure},
	}
}

// postgresRows are the rows that commit and load, on PostgreSQL. They have no bars: what a
// server of somebody's own can do, its floors say.
func postgresRows() []row {
	group, compared := func(c int) []string { return []string{at(floorRows, c)} }, []bar{{by: rate}}
	one, all := increments{actors: 1, on: onPostgreSQL}, increments{actors: actors, on: onPostgreSQL}
	return []row{
		{name: at(inPostgreSQL+"durable increment, one actor, embedded", few), callers: few, floors: group(few), bars: compared, run: one.embedded},
		{name: at(inPostgreSQL+"durable increment, 1,000 actors, embedded", few), callers: few, floors: group(few), bars: compared, run: all.embedded},
		{name: at(inPostgreSQL+"durable increment, 1,000 actors, embedded", many), callers: many, floors: group(many), bars: compared, run: all.embedded},
		{
			name: at(inPostgreSQL+"durable increment across workers, 1,000 actors", 1), callers: 1,
			floors: []string{at(floorInline, 1), at(floorInline, 1), at(floorRows, 1)}, bars: []bar{{by: p50}},
			run: all.acrossWorkers,
		},
		{name: at(inPostgreSQL+"durable increment across workers, one actor", few), callers: few, floors: group(few), bars: compared, run: one.acrossWorkers},
		{name: at(inPostgreSQL+"durable increment across workers, 1,000 actors", few), callers: few, floors: group(few), bars: compared, run: all.acrossWorkers},
		{name: at(inPostgreSQL+"durable increment across 2 workers, 1,000 actors, 1 runtime", many), callers: many, floors: group(many), bars: compared, run: all.across(clusterSize{1, 2})},
		{name: at(inPostgreSQL+"durable increment across 2 workers, 1,000 actors, 2 runtimes", many), callers: many, floors: group(many), bars: compared, run: all.across(clusterSize{2, 2})},
		{name: inPostgreSQL + "alarms, 5,000 due at once, embedded", floors: group(few), bars: compared, run: alarms{on: onPostgreSQL}.embedded},
		{name: inPostgreSQL + "alarms, 5,000 due at once, across workers", floors: group(few), bars: compared, run: alarms{on: onPostgreSQL}.acrossWorkers},
		{name: at(inPostgreSQL+"cold activation, embedded", few), callers: few, run: cold{on: onPostgreSQL}.embedded},
		{name: at(inPostgreSQL+"cold activation across workers", few), callers: few, run: cold{on: onPostgreSQL}.acrossWorkers},
		{name: inPostgreSQL + "restart of a runtime with 1,000,000 actors", callers: 1, run: cold{on: onPostgreSQL}.restart},
	}
}

// labConfig says how to measure.
type labConfig struct {
	span   time.Duration
	repeat int
	// stored is how many actors stand for the million; tests take fewer.
	stored     int
	cpuprofile string
	// postgres is the URL of a PostgreSQL server where databases may be made; "" is none.
	postgres string
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
	// million is the file with the stored actors, once it is made.
	million place
	// millionRows is the database with them, once it is made, and databases are the names of
	// all that were made.
	millionRows place
	databases   []string
	// schedules are the files with alarms that are not due, by the part of the stored actors
	// that have one, and alarms counts the actors that had one which was.
	schedules map[int]place
	alarms    int
}

func newLab(cfg labConfig) (*lab, error) {
	dir, err := os.MkdirTemp("", "francis-bench-")
	if err != nil {
		return nil, err
	}
	return &lab{cfg: cfg, dir: dir, schedules: map[int]place{}}, nil
}

func (l *lab) close() error { return errors.Join(l.dropDatabases(), os.RemoveAll(l.dir)) }

// newPath is a path where no file is yet.
func (l *lab) newPath(name string) place {
	l.files++
	return place(filepath.Join(l.dir, strconv.Itoa(l.files)+"-"+name))
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
			if m.err != nil || m.once && n > 0 {
				continue
			}
			fmt.Fprintf(l.cfg.progress, "%d/%d %s\n", n+1, l.cfg.repeat, m.name)
			var res result
			if res, m.err = m.run(ctx, l, m.callers); m.err == nil {
				m.rounds = append(m.rounds, res)
			} else {
				first, _, _ := strings.Cut(m.err.Error(), "\n")
				fmt.Fprintf(l.cfg.progress, "%s: %s\n", m.name, first)
			}
		}
	}
	return out
}

func chosen(all []row, match *regexp.Regexp) (some []row) {
	wanted := map[string]bool{}
	for _, r := range all {
		if match.MatchString(r.name) {
			wanted[r.name] = true
			for _, floor := range r.floors {
				wanted[floor] = true
			}
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
	return result{
		Rate: middle(m, func(r result) float64 { return r.Rate }),
		P50:  middle(m, func(r result) time.Duration { return r.P50 }),
		P99:  middle(m, func(r result) time.Duration { return r.P99 }),
		CPU:  middle(m, func(r result) time.Duration { return r.CPU }),

		Allocs: middle(m, func(r result) float64 { return r.Allocs }),
		Heap:   middle(m, func(r result) float64 { return r.Heap }),
		RSS:    middle(m, func(r result) float64 { return r.RSS }),
	}
}

// middle is the median of one figure over the rounds.
func middle[T time.Duration | float64](m *measured, of func(result) T) T {
	var values []T
	for _, r := range m.rounds {
		values = append(values, of(r))
	}
	return median(values)
}
