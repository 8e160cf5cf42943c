//go:build unix

package chaos

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/section"
)

// document is where the tests write what they have found.
var document = flag.String("chaos.write", "", "write the figures of the tests that pass into the table of this document, for example ../../docs/reliability.md")

// written is what they replace in it.
const written = section.Section("go test ./internal/chaos -chaos.write")

const tableHead = "| | fault | test | figures | form, date |\n|---|---|---|---|---|\n"

// figures are the rows of the tests of this run.
var figures table

// table is the rows of a document, by their tests.
type table struct {
	mu   sync.Mutex
	rows map[string]string
}

// show logs what a test has tried and found, and makes it the test's row if it passes.
func show(t *testing.T, fault, found string) {
	t.Helper()
	t.Log(found)
	name := t.Name()
	row := fmt.Sprintf("| T%d | %s | `%s` | %s | %s, %s |\n", numberOf(name), fault, name, found, *form, time.Now().UTC().Format(time.DateOnly))
	t.Cleanup(func() {
		if !t.Failed() {
			figures.put(name, row)
		}
	})
}

// show is show for the topology of a cluster.
func (c *cluster) show(fault, found string) {
	c.t.Helper()
	show(c.t, fault+c.where(), found)
}

// where names a topology that is not the usual one.
func (t topology) where() string {
	switch {
	case t.local:
		return "; local hosts that share one PostgreSQL"
	case !t.postgres:
		return ""
	}
	return fmt.Sprintf("; %d runtimes on PostgreSQL", t.runtimes)
}

func (f *table) put(test, row string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows == nil {
		f.rows = map[string]string{}
	}
	f.rows[test] = row
}

// save replaces the rows of a document, and leaves those of other tests.
func (f *table) save(path string) error {
	if path == "" || len(f.rows) == 0 {
		return nil
	}
	former, err := written.Read(path)
	if err != nil {
		return err
	}
	return written.Replace(path, tableHead+f.over(former))
}

var testName = regexp.MustCompile("`(TestT[0-9]+[^`]*)`")

// over are the rows of this run over those of former ones.
func (f *table) over(former string) string {
	rows := map[string]string{}
	for row := range strings.Lines(former) {
		if match := testName.FindStringSubmatch(row); match != nil {
			rows[match[1]] = row
		}
	}
	maps.Copy(rows, f.rows)
	names := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(numberOf(a), numberOf(b)), strings.Compare(a, b))
	})
	var text strings.Builder
	for _, name := range names {
		text.WriteString(rows[name])
	}
	return text.String()
}

// numberOf is the number of the fault that a test is about.
func numberOf(test string) int {
	digits := strings.TrimPrefix(test, "TestT")
	n, _ := strconv.Atoi(digits[:len(digits)-len(strings.TrimLeft(digits, "0123456789"))])
	return n
}

// Rows of this run replace those of their tests, and leave the others.
func TestFiguresAreWritten(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/document.md"
	if err := os.WriteFile(path, []byte(written.Marks()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := written.Replace(path, "| T10 | ten | `TestT10` | old |\n| T2 | two | `TestT2Old` | old |\n"); err != nil {
		t.Fatal(err)
	}
	var f table
	f.put("TestT10", "| T10 | ten | `TestT10` | new |\n")
	f.put("TestT3", "| T3 | three | `TestT3` | new |\n")
	if err := f.save(path); err != nil {
		t.Fatal(err)
	}
	got, err := written.Read(path)
	want := tableHead + "| T2 | two | `TestT2Old` | old |\n| T3 | three | `TestT3` | new |\n| T10 | ten | `TestT10` | new |\n"
	if err != nil || got != want {
		t.Errorf("%v, the table is\n%s\nwant\n%s", err, got, want)
	}
}
