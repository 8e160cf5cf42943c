// Package section reads and writes the parts of a document that a command makes. Such a
// part stands between two lines that name the command, so that a reader knows how to make
// it again:
//
//	<!-- begin: go run ./bench -->
//	<!-- end: go run ./bench -->
package section

import (
	"fmt"
	"os"
	"strings"
)

// Section is the part of a document that is made by the command of that name.
type Section string

// Marks are the lines between which the section belongs, with nothing between them.
func (s Section) Marks() string { return s.begin() + s.end() }

// Read returns the text of the section of a document.
func (s Section) Read(path string) (string, error) {
	_, text, _, err := s.cut(path)
	return text, err
}

// Replace writes the section of a document anew. The text is whole lines.
func (s Section) Replace(path, text string) error {
	before, _, after, err := s.cut(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(before+s.begin()+text+s.end()+after), 0o600) //nolint:gosec // the document that the user names is the purpose
}

// cut returns the text of the section, and what is around its marks.
func (s Section) cut(path string) (before, text, after string, err error) {
	document, err := os.ReadFile(path)
	if err != nil {
		return "", "", "", err
	}
	for _, mark := range []string{s.begin(), s.end()} {
		if n := strings.Count(string(document), mark); n != 1 {
			return "", "", "", fmt.Errorf("%s has the line %q %d times; it needs it once", path, strings.TrimSpace(mark), n)
		}
	}
	before, rest, _ := strings.Cut(string(document), s.begin())
	text, after, ends := strings.Cut(rest, s.end())
	if !ends {
		return "", "", "", fmt.Errorf("%s ends %q before it begins; turn the two lines round", path, string(s))
	}
	return before, text, after, nil
}

func (s Section) begin() string { return "<!-- begin: " + string(s) + " -->\n" }

func (s Section) end() string { return "<!-- end: " + string(s) + " -->\n" }
