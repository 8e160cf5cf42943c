package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/pgtest"
)

// TestMain is the bench itself when a row has started it in a role.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	if err := run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}); err != nil {
		os.Exit(1)
	}
}

// TestRows runs each row for a moment: it says whether they work, not how fast.
func TestRows(t *testing.T) {
	t.Parallel()
	l := newTestLab(t, "")
	if testing.Short() {
		l.peersErr = fmt.Errorf("%w: it takes a minute to build the peers", errSkipped)
	}
	out := checkRows(t, l, "")
	if len(out) != len(rows()) {
		t.Errorf("%d rows were measured, want %d", len(out), len(rows()))
	}
}

// TestRowsInPostgreSQL does so with those that need a server.
func TestRowsInPostgreSQL(t *testing.T) {
	t.Parallel()
	l := newTestLab(t, pgtest.Start(t).URL("postgres"))
	for _, m := range checkRows(t, l, "PostgreSQL") {
		if m.skipped() {
			t.Errorf("%s was skipped: %v", m.name, m.err)
		}
	}
	if err := l.dropDatabases(); err != nil {
		t.Error(err)
	}
}

func newTestLab(t *testing.T, postgres string) *lab {
	t.Helper()
	l, err := newLab(labConfig{span: 20 * time.Millisecond, repeat: 1, stored: 2000, postgres: postgres, progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// checkRows measures the rows that match, and wants figures of those that can be.
func checkRows(t *testing.T, l *lab, match string) outcome {
	t.Helper()
	out := l.measure(t.Context(), regexp.MustCompile(match))
	if err := out.failed(); err != nil {
		t.Error(err)
	}
	skipped := map[string]bool{}
	for _, l := range out.lines() {
		if skipped[l.Name] = strings.HasPrefix(l.Error, errSkipped.Error()); skipped[l.Name] {
			t.Log(l.Name, l.Error)
			continue
		}
		if (l.Rate <= 0 || l.P50 <= 0) && (l.Heap <= 0 || l.RSS <= 0 && runtime.GOOS == "linux") {
			t.Errorf("%s has the figures %+v", l.Name, l)
		}
		for _, b := range l.Bars {
			if b.By == cpu { // the system counts it in ticks of 10 ms
				continue
			}
			judged := len(l.Floors) == 0 || !skipped[l.Floors[0]]
			if (b.Ratio > 0) != (judged && len(l.Floors) > 0 && b.By != p99) || (b.Reached > 0) != (judged && b.Limit > 0) {
				t.Errorf("%s is judged as %+v", l.Name, b)
			}
		}
	}
	return out
}

// TestFloors wants every floor to be a row that comes before those that stand on it.
func TestFloors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range rows() {
		for _, floor := range r.floors {
			if !seen[floor] {
				t.Errorf("%s stands on %q, which is no row before it", r.name, floor)
			}
		}
		if seen[r.name] {
			t.Errorf("there are two rows %s", r.name)
		}
		seen[r.name] = true
	}
}

// TestDocuments wants the rows of the documents to be those of the program.
func TestDocuments(t *testing.T) {
	t.Parallel()
	var all outcome
	for _, r := range rows() {
		all = append(all, &measured{row: r})
	}
	for document, want := range map[string]string{performance: all.markdown(), scaling: all.sideBySide()} {
		table, err := written.Read(filepath.Join("..", "docs", document))
		if err != nil {
			t.Fatal(err)
		}
		if have, want := names(table), names(want); have != want {
			t.Errorf("%s has the rows\n%s\nwant\n%s\nwrite it with: go run ./bench -postgres ... -write docs", document, have, want)
		}
	}
}

// names are the first cells of a table.
func names(table string) string {
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^\| ([^|]*) \|`).FindAllStringSubmatch(table, -1)[1:] {
		names = append(names, found[1])
	}
	return strings.Join(names, "\n")
}

func TestSideBySide(t *testing.T) {
	t.Parallel()
	out := outcome{
		{row: row{name: "x"}, rounds: []result{{Rate: 2000, P50: time.Millisecond, CPU: time.Microsecond}}},
		{row: row{name: inPostgreSQL + "x"}, rounds: []result{{Rate: 500, P50: 2 * time.Millisecond, CPU: 3 * time.Microsecond}}},
		{row: row{name: inPostgreSQL + "y"}, rounds: []result{{Rate: 7}}},
	}
	for _, want := range []string{"| x | 2k | 1 ms | 1 µs | 500 | 2 ms | 3 µs | 0.25 × |\n", "| y | – | – | – | 7 | – | – | – |\n"} {
		if table := out.sideBySide(); !strings.Contains(table, want) {
			t.Errorf("the table is\n%swant %q in it", table, want)
		}
	}
}

func TestMedianRatio(t *testing.T) {
	t.Parallel()
	floor := &measured{rounds: []result{{Rate: 100, P50: 10}, {Rate: 200, P50: 10}, {Rate: 50, P50: 10}}}
	m := &measured{rounds: []result{{Rate: 50, P50: 20}, {Rate: 20, P50: 30}, {Rate: 50, P50: 10}}}
	for by, want := range map[figure]float64{rate: 0.5, p50: 2} {
		if got := m.ratio(by, []*measured{floor}); got != want {
			t.Errorf("by %s the ratio is %v, want %v", by, got, want)
		}
	}
	if got := m.ratio(p50, []*measured{floor, floor}); got != 1 {
		t.Errorf("the ratio to two floors is %v, want 1", got)
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	floor := &measured{rounds: []result{{Rate: 100, P50: 10 * time.Millisecond}}}
	m := &measured{rounds: []result{{Rate: 50, P50: 20 * time.Millisecond, P99: 250 * time.Millisecond, Heap: 400, RSS: 2200}}}
	for _, test := range []struct {
		bar              bar
		floors           []*measured
		compared, judged string
	}{
		{bar{by: rate}, []*measured{floor}, "0.50 (calls/s)", ""},
		{bar{by: rate, limit: 0.4}, []*measured{floor}, "0.50 (calls/s)", "≥ 0.4: 1.25 of it"},
		{bar{by: p50, limit: 1.5}, []*measured{floor}, "2.00 (p50)", "≤ 1.5: 0.75 of it"},
		{bar{by: p99, limit: 0.5, itself: true}, []*measured{floor}, "", "p99 ≤ 500 ms: 2.00 of it"},
		{bar{by: rate, limit: 25}, nil, "", "≥ 25/s: 2.00 of it"},
		{bar{by: p50, limit: 2}, nil, "", "≤ 2 s: 100.00 of it"},
		{bar{by: heap, limit: 500}, nil, "", "heap ≤ 500 B: 1.25 of it"},
		{bar{by: rss, limit: 1100}, nil, "", "RSS ≤ 1.1 kB: 0.50 of it"},
	} {
		j := test.bar.judge(m, test.floors)
		if j.compared() != test.compared || j.judged() != test.judged {
			t.Errorf("%+v is told as %q and %q, want %q and %q", test.bar, j.compared(), j.judged(), test.compared, test.judged)
		}
	}
}

func TestFailedRow(t *testing.T) {
	t.Parallel()
	w := work{callers: 2, span: time.Millisecond, op: func(caller, _ int) error {
		if caller == 1 {
			return errors.New("a wrong reply")
		}
		return nil
	}}
	_, err := w.measure(t.Context())
	if err == nil || !strings.Contains(err.Error(), "caller 1, operation 0: a wrong reply") {
		t.Fatalf("the error is %v", err)
	}
	out := outcome{{row: row{name: "x"}, err: err}}
	if out.failed() == nil || !strings.Contains(out.markdown(), "failed: caller 1") {
		t.Errorf("the failed row is told as %v and %q", out.failed(), out.markdown())
	}
	if err := out.complete(flags{}); err == nil {
		t.Error("a table with a failed row would be written")
	}
	skipped := outcome{{row: row{name: inPostgreSQL + "x"}, err: errSkipped}}
	if skipped.failed() != nil || skipped.complete(flags{}) == nil {
		t.Error("a table without PostgreSQL would be written")
	}
	if (outcome{{row: row{name: "peer: x"}, err: errSkipped}}).complete(flags{}) != nil {
		t.Error("a table without a peer would not be written")
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-for", "0s"}, {"-repeat", "0"}, {"rows"}, {"-run", "("}, {"-run", "no such row"}, {"-role", "king"}} {
		if err := run(t.Context(), args, streams{strings.NewReader("{}\n"), io.Discard, io.Discard}); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	var out strings.Builder
	err := run(t.Context(), []string{"-run", "channel", "-for", "5ms", "-repeat", "1", "-json"}, streams{nil, &out, io.Discard})
	var lines []line
	if err != nil || json.Unmarshal([]byte(out.String()), &lines) != nil || len(lines) != 1 || lines[0].Rate <= 0 {
		t.Errorf("got %v and %s", err, out.String())
	}
}
