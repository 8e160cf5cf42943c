// Package docs_test holds the documents to the code: what they quote is there, what they list is complete, and what they
// link exists.
package docs_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

const root = ".."

var documents = []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/contract.md", "docs/alarms-and-jobs.md", "docs/state.md", "docs/testing.md", "docs/runtime.md", "docs/hosts.md", "docs/topologies.md", "docs/backup.md", "docs/reliability.md", "docs/performance.md", "examples/remote-worker/README.md"}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// fence is a fenced block that follows a mark on the line before it.
var fence = regexp.MustCompile("(?m)^<!-- ([^\n]*) -->\n```[a-z]*\n((?s:.*?))^```$")

// blocks calls see with the content of every block whose mark starts with prefix.
func blocks(document, prefix string, see func(rest, content string)) {
	for _, match := range fence.FindAllStringSubmatch(document, -1) {
		if rest, ok := strings.CutPrefix(match[1], prefix); ok {
			see(rest, match[2])
		}
	}
}

// TestSnippets wants what a document quotes to stand in the file it comes from.
func TestSnippets(t *testing.T) {
	t.Parallel()
	quoted := 0
	for _, path := range documents {
		blocks(read(t, path), "from: ", func(source, snippet string) {
			quoted++
			snippet = strings.TrimPrefix(snippet, "# "+filepath.Base(source)+"\n")
			if !strings.Contains(read(t, source), snippet) {
				t.Errorf("%s quotes from %s what does not stand there:\n%s", path, source, snippet)
			}
		})
	}
	if quoted == 0 {
		t.Error("no document quotes anything; is the pattern of this test right?")
	}
}

// TestErrors wants the errors in the reference to be those that the plugin's tests hold.
func TestErrors(t *testing.T) {
	t.Parallel()
	held := read(t, "protoc-gen-francis/bad_test.go") + read(t, "protoc-gen-francis/main_test.go")
	listed := 0
	blocks(read(t, "docs/contract.md"), "errors", func(_, errors string) {
		for line := range strings.Lines(errors) {
			listed++
			if line = strings.TrimSpace(line); !strings.Contains(held, line) {
				t.Errorf("no test of the plugin holds the error\n%s", line)
			}
		}
	})
	if listed == 0 {
		t.Error("the reference lists no errors; is the pattern of this test right?")
	}
}

// TestRefusals wants the errors about alarms and jobs to be those that tests hold.
func TestRefusals(t *testing.T) {
	t.Parallel()
	held := tests(t, "sdk/internal/deliver") + tests(t, "sdk/internal/gateway")
	listed := 0
	blocks(read(t, "docs/alarms-and-jobs.md"), "refusals", func(_, errors string) {
		for line := range strings.Lines(errors) {
			listed++
			if line = strings.TrimSpace(line); !strings.Contains(held, line) {
				t.Errorf("no test holds the error\n%s", line)
			}
		}
	})
	if listed == 0 {
		t.Error("the page lists no errors; is the pattern of this test right?")
	}
}

// TestSayings wants what the page about backups explains to be what stores and backups say.
func TestSayings(t *testing.T) {
	t.Parallel()
	said := read(t, "runtime/store/errors.go") + read(t, "runtime/backup/backup.go")
	_, table, _ := strings.Cut(read(t, "docs/backup.md"), "<!-- sayings -->\n")
	table, _, _ = strings.Cut(table, "\n\n")
	listed := regexp.MustCompile("(?m)^\\| `([^`]*)` \\|").FindAllStringSubmatch(table, -1)
	for _, row := range listed {
		if !strings.Contains(said, `errors.New("`+row[1]+`")`) {
			t.Errorf("nothing says %q", row[1])
		}
	}
	if len(listed) == 0 {
		t.Error("the page explains nothing; is the pattern of this test right?")
	}
}

// TestOptions wants the reference to know every option.
func TestOptions(t *testing.T) {
	t.Parallel()
	reference := read(t, "docs/contract.md")
	options := francisv1.File_francis_v1_options_proto
	names := []protoreflect.Name{}
	for i := range options.Messages().Len() {
		fields := options.Messages().Get(i).Fields()
		for j := range fields.Len() {
			names = append(names, fields.Get(j).Name())
		}
	}
	for _, name := range names {
		if !strings.Contains(reference, "\n| `"+string(name)+"` |") {
			t.Errorf("docs/contract.md has no row for the option %s", name)
		}
	}
	for i := range options.Extensions().Len() {
		if name := options.Extensions().Get(i).FullName(); !strings.Contains(reference, "("+string(name)+")") {
			t.Errorf("docs/contract.md does not mention the option (%s)", name)
		}
	}
}

// TestLinks wants what a document links in the repository to exist.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)`)
	for _, path := range documents {
		for _, match := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			target := filepath.Join(root, filepath.Dir(filepath.FromSlash(path)), filepath.FromSlash(match[1]))
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links %s: %v", path, match[1], err)
			}
		}
	}
}

// TestFaults wants the reference to name a test for every fault that is to be tried, and
// each of these tests to exist.
func TestFaults(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile(`(?m)^\| ((?:T[0-9]+(?:, )?)+) \| [^|]* \| ([^|]*) \|`)
	test := regexp.MustCompile("`(?:([a-z/]+)\\.)?(Test[A-Za-z0-9]+)`")
	shown := map[string]bool{}
	for _, match := range row.FindAllStringSubmatch(read(t, "docs/reliability.md"), -1) {
		for _, name := range test.FindAllStringSubmatch(match[2], -1) {
			for fault := range strings.SplitSeq(match[1], ", ") {
				shown[fault] = true
			}
			folder := cmp.Or(name[1], "internal/chaos")
			if !strings.Contains(tests(t, folder), "\nfunc "+name[2]+"(") {
				t.Errorf("there is no test %s in %s", name[2], folder)
			}
		}
	}
	for want := range strings.FieldsSeq("1 2 3 4 6 7 8 9 12 13 14 15 16 17 18 20 21 22 23 25 26 27 28") {
		if !shown["T"+want] {
			t.Errorf("docs/reliability.md names no test for T%s", want)
		}
	}
}

// tests are the test files of a package.
func tests(t *testing.T, folder string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
	}
	return text.String()
}
