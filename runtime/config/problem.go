package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// File is where it is; empty when no file was found.
	File string
	// Line is the line in File; 0 means all of it.
	Line int
	// What is wrong, and the fix.
	What string
}

func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.What
	case p.Line == 0:
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What)
}

// Problems are all that is wrong with a configuration, in the order of the file.
// It is the error that [Find], [Load] and [Parse] return.
type Problems []Problem //nolint:errname // the plural of Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

// nearest returns the candidate that word is most likely a slip of, or "": one that
// differs in few letters, or that word begins with.
func nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, least := "", max(2, len(word)/3)+1
	for _, candidate := range candidates {
		d := distance(word, strings.ToLower(candidate))
		if strings.HasPrefix(word, strings.ToLower(candidate)) {
			d = 1
		}
		if d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is how many letters must be added, removed or changed to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
