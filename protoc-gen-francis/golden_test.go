package main

import (
	"flag"
	"fmt"
	"go/format"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated corpus into testdata instead of comparing it")

// corpus holds the protos of the torture corpus and, beside them, what must be
// generated from them.
const corpus = "testdata/torture"

// TestGolden generates the corpus with buf and the real plugins and compares it
// byte for byte. Package torture compiles and calls what lies in testdata.
func TestGolden(t *testing.T) {
	t.Parallel()
	out := generateCorpus(t)
	if *update {
		rewrite(t, out)
		return
	}
	got, want := tree(t, out, ".go"), tree(t, corpus, ".go")
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			t.Errorf("%s lies in the corpus but is not generated; run: go test ./protoc-gen-francis -run TestGolden -update", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			t.Errorf("%s differs from the corpus (%s); run: go test ./protoc-gen-francis -run TestGolden -update, and look at the difference", name, difference(got[name], want[name]))
		}
	}
}

// TestFormatted holds that gofmt leaves generated files alone.
func TestFormatted(t *testing.T) {
	t.Parallel()
	for name, code := range tree(t, corpus, ".francis.go") {
		formatted, err := format.Source([]byte(code))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(formatted) != code {
			t.Errorf("gofmt changes %s: %s", name, difference(string(formatted), code))
		}
	}
}

// generateCorpus returns the folder that the corpus was generated into. One
// folder of it is generated into the package of its messages.
func generateCorpus(t *testing.T) string {
	t.Helper()
	dir := workspace(t, corpus)
	out := filepath.Join(dir, "out")
	same := filepath.Join(dir, "protos", "samepackage")
	options := filepath.Join(dir, "options", "francis")
	buf(t, "generate", dir, "--template", generateTemplate(t, dir, "own.yaml", out, ""), "--exclude-path", same, "--exclude-path", options)
	buf(t, "generate", dir, "--template", generateTemplate(t, dir, "same.yaml", out, ",package_suffix="), "--path", same)
	return out
}

// generateTemplate writes a buf.gen.yaml for protoc-gen-go and our plugin, which
// gets a further parameter.
func generateTemplate(t *testing.T, dir, name, out, parameter string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, fmt.Sprintf(`version: v2
plugins:
  - {local: [go, tool, protoc-gen-go], out: %[1]s, opt: paths=source_relative}
  - {local: %[2]s, out: %[1]s, opt: "paths=source_relative%[3]s", strategy: all}
`, out, plugin, parameter))
	return path
}

// rewrite replaces the generated files of the corpus.
func rewrite(t *testing.T, out string) {
	t.Helper()
	for name := range tree(t, corpus, ".go") {
		if err := os.Remove(filepath.Join(corpus, name)); err != nil {
			t.Fatal(err)
		}
	}
	copyTree(t, out, corpus, ".go")
}

// difference names the first line that differs.
func difference(got, want string) string {
	wanted := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(wanted) || line != wanted[i] {
			return fmt.Sprintf("line %d is %q", i+1, line)
		}
	}
	return "lines are missing at the end"
}
