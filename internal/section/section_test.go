package section_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/francis-actors/francis/internal/section"
)

const table = section.Section("go run ./table")

const (
	begin = "<!-- begin: go run ./table -->\n"
	end   = "<!-- end: go run ./table -->\n"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	path := write(t, "before\n"+table.Marks()+"<!-- begin: another -->\nanother\n<!-- end: another -->\n")
	for _, text := range []string{"old\n", "new\nand longer\n", "", "last\n"} {
		if err := table.Replace(path, text); err != nil {
			t.Fatal(err)
		}
		if got, err := table.Read(path); err != nil || got != text {
			t.Errorf("the section is %q (%v), want %q", got, err, text)
		}
	}
	want := "before\n" + begin + "last\n" + end + "<!-- begin: another -->\nanother\n<!-- end: another -->\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("the document is\n%s(%v), want\n%s", got, err, want)
	}
}

// A document whose section nobody can tell stays as it is.
func TestMarksAreWrong(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]struct{ document, says string }{
		"no marks":          {"text\n", `has the line "<!-- begin: go run ./table -->" 0 times`},
		"no begin":          {end, `has the line "<!-- begin: go run ./table -->" 0 times`},
		"no end":            {begin, `has the line "<!-- end: go run ./table -->" 0 times`},
		"two begins":        {begin + begin + end, `has the line "<!-- begin: go run ./table -->" 2 times`},
		"two ends":          {begin + end + end, `has the line "<!-- end: go run ./table -->" 2 times`},
		"two sections":      {begin + end + begin + end, `has the line "<!-- begin: go run ./table -->" 2 times`},
		"reversed":          {end + begin, `ends "go run ./table" before it begins`},
		"marks of another":  {"<!-- begin: go run ./other -->\n<!-- end: go run ./other -->\n", "0 times"},
		"a line not closed": {begin + strings.TrimSpace(end), `has the line "<!-- end: go run ./table -->" 0 times`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, wrong.document)
			err := table.Replace(path, "text\n")
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), wrong.says) {
				t.Errorf("Replace says %v, want it to name the document and say %s", err, wrong.says)
			}
			if _, err := table.Read(path); err == nil {
				t.Error("Read found a section")
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != wrong.document {
				t.Errorf("the document became %q (%v)", got, err)
			}
		})
	}
}

func TestNoDocument(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.md")
	if err := table.Replace(path, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace says %v of a document that is not there", err)
	}
}

func write(t *testing.T, document string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "document.md")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
