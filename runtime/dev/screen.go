package dev

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// screen is where the runtime and the workers write, line by line.
type screen struct {
	colour bool
	// names are those of the runtime, the workers, and of ourselves at the end.
	names []string
	width int

	mu  sync.Mutex
	out io.Writer
}

func newScreen(cfg Config, plan []Worker) *screen {
	s := &screen{colour: cfg.Colour, out: cfg.Out, names: []string{"runtime"}}
	for _, worker := range plan {
		s.names = append(s.names, worker.Name)
	}
	s.names = append(s.names, "dev")
	for _, name := range s.names {
		s.width = max(s.width, len(name))
	}
	return s
}

// palette are ANSI colours that can be read on light and dark ground.
var palette = []int{36, 32, 35, 33, 34, 31}

// lines returns a writer for the name with that index.
func (s *screen) lines(index int) *lines {
	prefix := fmt.Sprintf("%-*s | ", s.width, s.names[index])
	if s.colour {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", palette[index%len(palette)], prefix)
	}
	return &lines{screen: s, prefix: prefix}
}

// say writes a line of our own.
func (s *screen) say(format string, args ...any) {
	s.lines(len(s.names)-1).say(format, args...)
}

// print writes text as it is.
func (s *screen) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.out, text)
}

// maxLine is the longest line that is kept together.
const maxLine = 64 << 10

// lines puts a name in front of each line. The lines of many writers never mix.
type lines struct {
	screen *screen
	prefix string

	mu   sync.Mutex
	rest []byte
}

// Write passes on the lines that are complete. It never fails: a worker must not
// stop because nobody reads.
func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, text...)
	for {
		line, after, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		l.put(line)
		l.rest = after
	}
	if len(l.rest) > maxLine {
		l.put(l.rest)
		l.rest = nil
	}
	return len(text), nil
}

func (l *lines) put(line []byte) {
	l.screen.print(l.prefix + strings.TrimSuffix(string(line), "\r") + "\n")
}

// flush passes on the last line of a worker that ended in the middle of it.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.put(l.rest)
	}
	l.rest = nil
}

// say writes a line of our own under the name.
func (l *lines) say(format string, args ...any) {
	l.screen.print(l.prefix + "-- " + fmt.Sprintf(format, args...) + "\n")
}
