package behaviour_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/francis-actors/francis/internal/behaviour"
	"github.com/francis-actors/francis/internal/section"
)

// document is where the table of tests and topologies is written.
var document = flag.String("behaviour.write", "", "write which test passes on which topology into the table of this document, for example ../../docs/topologies.md")

// written is the table in it.
const written = section.Section("go test ./internal/behaviour -behaviour.write")

// writeCommand is how the table is made.
const writeCommand = "go test ./internal/behaviour -run TestBehaviour -count=1 -behaviour.write $PWD/docs/topologies.md"

// What is written into a cell.
const (
	passes  = "passes"
	skipped = "–"
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))) // tests in real time wait more than they work
	code := m.Run()
	if code == 0 && *document != "" {
		if err := found.write(*document); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// found is what came of the tests of this run.
var found table

// table is cells by test and topology.
type table struct {
	mu    sync.Mutex
	cells map[[2]string]string
}

// of takes what came of the tests on a topology.
func (f *table) of(topology string) func(t testing.TB, test string) {
	return func(t testing.TB, test string) {
		t.Helper()
		cell := passes
		switch {
		case t.Failed():
			return
		case t.Skipped():
			cell = skipped
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.cells == nil {
			f.cells = map[[2]string]string{}
		}
		f.cells[[2]string{test, topology}] = cell
	}
}

// columns are the names of all topologies.
func columns() (names []string) {
	for _, topology := range slices.Concat(topologies, onPostgreSQL(nil)) {
		names = append(names, topology.Name)
	}
	return names
}

// write writes the table of a document anew. What did not run says what it said before.
func (f *table) write(path string) error {
	former, err := written.Read(path)
	if err != nil {
		return err
	}
	said := cellsOf(former)
	var text strings.Builder
	text.WriteString(row("", columns()))
	text.WriteString("|---" + strings.Repeat("|---", len(columns())) + "|\n")
	for _, test := range behaviour.Names() {
		var cells []string
		for _, topology := range columns() {
			at := [2]string{test, topology}
			cell := cmp.Or(f.cells[at], said[at])
			if cell == "" {
				return fmt.Errorf("%q never ran on %q; run all: %s", test, topology, writeCommand)
			}
			cells = append(cells, cell)
		}
		text.WriteString(row(test, cells))
	}
	return written.Replace(path, text.String())
}

func row(first string, cells []string) string {
	return "| " + first + " | " + strings.Join(cells, " | ") + " |\n"
}

// rowsOf are the cells of a table, by line; the second one is a rule.
func rowsOf(table string) (rows [][]string) {
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// cellsOf are the cells of a table, by test and topology.
func cellsOf(table string) map[[2]string]string {
	cells := map[[2]string]string{}
	rows := rowsOf(table)
	for _, row := range rows[min(2, len(rows)):] {
		for i, cell := range row[1:] {
			cells[[2]string{row[0], rows[0][i+1]}] = cell
		}
	}
	return cells
}

// The table of docs/topologies.md has a row for each test and a column for each topology,
// and no cell is empty.
func TestTableIsOfTheseTests(t *testing.T) {
	t.Parallel()
	table, err := written.Read("../../docs/topologies.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(table)
	if len(rows) < 2 {
		t.Fatalf("the table is empty; write it: %s", writeCommand)
	}
	var names []string
	for _, row := range rows[2:] {
		names = append(names, row[0])
	}
	if !slices.Equal(names, behaviour.Names()) || !slices.Equal(rows[0][1:], columns()) {
		t.Errorf("the table is of other tests or topologies than there are; write it: %s", writeCommand)
	}
	for at, cell := range cellsOf(table) {
		if cell != passes && cell != skipped {
			t.Errorf("%q on %q says %q", at[0], at[1], cell)
		}
	}
}
