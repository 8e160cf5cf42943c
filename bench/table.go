package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/francis-actors/francis/internal/section"
)

// written is what -write replaces in a document.
const written = section.Section("go run ./bench")

// The documents in the folder of -write.
const (
	performance = "performance.md"
	scaling     = "scaling.md"
)

// report prints the outcome, and writes it into the documents of -write.
func (o outcome) report(f flags, out io.Writer) error {
	if f.json {
		return json.NewEncoder(out).Encode(o.lines())
	}
	table := o.markdown()
	if _, err := io.WriteString(out, table); err != nil || f.write == "" {
		return err
	}
	if err := o.complete(f); err != nil {
		return fmt.Errorf("the documents keep their tables: %w", err)
	}
	command := fmt.Sprintf("go run ./bench -for %v -repeat %d -postgres ... -write %s", f.span, f.repeat, f.write)
	head := fmt.Sprintf("Measured %s on %s, with `%s`.\n\n", time.Now().UTC().Format(time.DateOnly), machine(), command)
	return errors.Join(
		written.Replace(filepath.Join(f.write, performance), head+table),
		written.Replace(filepath.Join(f.write, scaling), head+o.sideBySide()),
	)
}

// complete wants every row to be measured, but for those of peers.
func (o outcome) complete(f flags) error {
	if f.run != "" {
		return fmt.Errorf("-run %q leaves rows out; write without it", f.run)
	}
	if err := o.failed(); err != nil {
		return errors.New("a row failed")
	}
	for _, m := range o {
		if m.skipped() && strings.Contains(m.name, "PostgreSQL") {
			return m.err
		}
	}
	return nil
}

// line is a row as JSON has it.
type line struct {
	result

	Name   string      `json:"name"`
	Floors []string    `json:"floors,omitempty"`
	Bars   []judgement `json:"bars,omitempty"`
	Error  string      `json:"error,omitempty"`
}

func (o outcome) lines() []line {
	byName := map[string]*measured{}
	for _, m := range o {
		byName[m.name] = m
	}
	var lines []line
	for _, m := range o {
		l := line{result: m.result(), Name: m.name, Floors: m.floors}
		var floors []*measured
		for _, name := range m.floors {
			floors = append(floors, byName[name])
		}
		for _, b := range m.bars {
			l.Bars = append(l.Bars, b.judge(m, floors))
		}
		switch {
		case m.skipped():
			l.Error = m.err.Error()
		case m.err != nil:
			l.Error = "failed: " + m.err.Error()
		}
		lines = append(lines, l)
	}
	return lines
}

func (o outcome) markdown() string {
	var text strings.Builder
	text.WriteString("| what | per second | p50 | CPU | allocations | memory | × floor | bar |\n|---|---|---|---|---|---|---|---|\n")
	for _, l := range o.lines() {
		if l.Error != "" {
			fmt.Fprintf(&text, "| %s | %s | | | | | | |\n", l.Name, strings.ReplaceAll(l.Error, "\n", " "))
			continue
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %.1f | %s | %s | %s |\n",
			l.Name, short(l.Rate), brief(l.P50), brief(l.CPU), l.Allocs, l.memory(), each(l.Bars, judgement.compared), each(l.Bars, judgement.judged))
	}
	return text.String()
}

// inPostgreSQL begins the name of a row that does on PostgreSQL what the row with the rest
// of its name does on SQLite.
const inPostgreSQL = "PostgreSQL: "

// sideBySide is a table of what was measured on both.
func (o outcome) sideBySide() string {
	lines := map[string]line{}
	for _, l := range o.lines() {
		lines[l.Name] = l
	}
	var text strings.Builder
	text.WriteString("| what | SQLite: per second | p50 | CPU | PostgreSQL: per second | p50 | CPU | rate |\n|---|---|---|---|---|---|---|---|\n")
	for _, m := range o {
		work := twin(m.name)
		if work == "" {
			continue
		}
		there := lines[m.name]
		here, measured := lines[work]
		if !measured {
			fmt.Fprintf(&text, "| %s | – | – | – | %s | %s | %s | – |\n", work, short(there.Rate), brief(there.P50), brief(there.CPU))
			continue
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s | %s | %.2f × |\n",
			strings.Replace(work, "SQLite FULL, ", "", 1), short(here.Rate), brief(here.P50), brief(here.CPU), short(there.Rate), brief(there.P50), brief(there.CPU), there.Rate/here.Rate)
	}
	return text.String()
}

// twin is the row that does on SQLite what the row of that name does on PostgreSQL; "" for
// rows that do neither.
func twin(name string) string {
	if floor, ok := strings.CutPrefix(name, "floor: PostgreSQL"); ok {
		return "floor: SQLite FULL" + floor
	}
	if work, ok := strings.CutPrefix(name, inPostgreSQL); ok {
		return work
	}
	return ""
}

// memory is the heap and the resident memory that were measured.
func (l line) memory() string {
	switch {
	case l.RSS == 0:
		return "–"
	case l.Heap == 0:
		return "RSS " + rss.print(l.RSS)
	default:
		return heap.print(l.Heap) + ", RSS " + rss.print(l.RSS)
	}
}

// each is what the bars say, and a dash for nothing.
func each(bars []judgement, say func(judgement) string) string {
	var said []string
	for _, b := range bars {
		if text := say(b); text != "" {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return "–"
	}
	return strings.Join(said, "; ")
}

// short is a number with three digits that count, and a dash for none.
func short(n float64) string {
	switch {
	case n == 0:
		return "–"
	case n >= 1e6:
		return fmt.Sprintf("%.3gM", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.3gk", n/1e3)
	default:
		return fmt.Sprintf("%.3g", n)
	}
}

// brief is a duration with three digits that count, and a dash for none.
func brief(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Microsecond:
		return d.String()
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
}
