package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// The marks around what -write replaces in a document.
const (
	beginMark = "<!-- begin: go run ./bench -->\n"
	endMark   = "<!-- end: go run ./bench -->\n"
)

// report prints the outcome, and writes it into the document of -write.
func (o outcome) report(f flags, out io.Writer) error {
	if f.json {
		return json.NewEncoder(out).Encode(o.lines())
	}
	text := o.markdown()
	if _, err := io.WriteString(out, text); err != nil || f.write == "" {
		return err
	}
	if f.run != "" {
		return fmt.Errorf("%s keeps its table: -run %q leaves rows out; write without it", f.write, f.run)
	}
	if err := o.failed(); err != nil {
		return fmt.Errorf("%s keeps its table: a row failed", f.write)
	}
	command := fmt.Sprintf("go run ./bench -for %v -repeat %d -write %s", f.span, f.repeat, f.write)
	head := fmt.Sprintf("Measured %s on %s, with `%s`.\n\n", time.Now().UTC().Format(time.DateOnly), machine(), command)
	return replace(f.write, head+text)
}

// replace puts a text between the marks of a document.
func replace(path, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(document, []byte(beginMark))
	_, after, ends := bytes.Cut(rest, []byte(endMark))
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %q and %q, between which the table belongs", path, strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return os.WriteFile(path, []byte(string(before)+beginMark+text+endMark+string(after)), 0o600) //nolint:gosec // the document that the user names is the purpose
}

// line is a row as JSON has it.
type line struct {
	result

	Name  string  `json:"name"`
	Floor string  `json:"floor,omitempty"`
	By    figure  `json:"by,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
	Bar   float64 `json:"bar,omitempty"`
	Error string  `json:"error,omitempty"`
}

func (o outcome) lines() []line {
	byName := map[string]*measured{}
	for _, m := range o {
		byName[m.name] = m
	}
	var lines []line
	for _, m := range o {
		l := line{result: m.result(), Name: m.name, Floor: m.floor, By: m.by, Ratio: m.ratio(byName[m.floor]), Bar: m.bar}
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
	text.WriteString("| what | per second | p50 | CPU | allocations | × floor | bar |\n|---|---|---|---|---|---|---|\n")
	for _, l := range o.lines() {
		if l.Error != "" {
			fmt.Fprintf(&text, "| %s | %s | | | | | |\n", l.Name, strings.ReplaceAll(l.Error, "\n", " "))
			continue
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %.1f | %s | %s |\n",
			l.Name, short(l.Rate), brief(l.P50), brief(l.CPU), l.Allocs, l.compared(), l.judged())
	}
	return text.String()
}

// short is a number with three digits that count.
func short(n float64) string {
	switch {
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
	default:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
}

func (l line) compared() string {
	if l.Ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f (%s)", l.Ratio, l.By)
}

// judged is the bar, and what the row has of it: 1 and more is reached.
func (l line) judged() string {
	switch {
	case l.Bar == 0 || l.Ratio == 0:
		return "–"
	case l.By == p50:
		return fmt.Sprintf("≤ %g: %.2f of it", l.Bar, l.Bar/l.Ratio)
	default:
		return fmt.Sprintf("≥ %g: %.2f of it", l.Bar, l.Ratio/l.Bar)
	}
}
