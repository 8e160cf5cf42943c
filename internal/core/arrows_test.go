// Package core holds no code of its own: the test in it keeps the packages below it
// pure.
package core

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/francis-actors/francis/"

// pure are the packages that any core package may import: none of them waits, reads
// a clock, draws a random number or reaches outside.
var pure = []string{
	"bytes", "cmp", "container/heap", "encoding/binary", "encoding/hex", "errors", "fmt", "hash", "iter", "maps", "math", "math/bits", "net/url", "path",
	"slices", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// allowed are the arrows of each core package beside those. A package that is not in
// it has none.
var allowed = map[string][]string{
	"contract": {
		module + "gen/francis/v1", module + "internal/core/limit", module + "internal/core/name",
		"google.golang.org/protobuf/encoding/protowire", "google.golang.org/protobuf/proto", "google.golang.org/protobuf/reflect/protoreflect",
		"google.golang.org/protobuf/types/descriptorpb", "google.golang.org/protobuf/types/known/durationpb",
	},
	"lease": {module + "internal/mutant"},
	"gate":  {module + "internal/core/limit", module + "internal/mutant"},
	"dispatch": {
		module + "gen/francis/runtime/v1", module + "internal/core/placement", module + "internal/core/schedule",
	},
	"schedule": {
		module + "gen/francis/runtime/v1", module + "internal/zone", "github.com/netresearch/go-cron",
		"google.golang.org/protobuf/types/known/durationpb", "google.golang.org/protobuf/types/known/timestamppb",
	},
	"task": {
		module + "gen/francis/runtime/v1", module + "gen/francis/v1", module + "internal/core/limit", module + "internal/core/name", module + "internal/core/schedule",
		"crypto/sha256", "encoding/base32", "google.golang.org/protobuf/proto", "google.golang.org/protobuf/types/known/timestamppb",
		"google.golang.org/protobuf/types/known/durationpb",
	},
	"placement": {module + "gen/francis/runtime/v1", "github.com/cespare/xxhash/v2", "google.golang.org/protobuf/proto"},
}

// clocks is what of package time reads a clock or waits for one.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestCoreIsPure(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		pkg := filepath.ToSlash(filepath.Dir(path))
		if err != nil || pkg == "." || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		seen[pkg] = true
		file := token.NewFileSet()
		parsed, err := parser.ParseFile(file, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, why := range impurities(file, parsed, allowed[pkg]) {
			t.Error(why)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"chain", "dispatch", "limit", "name", "placement", "schedule", "task", "turn"} {
		if !seen[pkg] {
			t.Errorf("package %s was not found", pkg)
		}
	}
}

// impurities lists what a file may not have.
func impurities(fset *token.FileSet, file *ast.File, allowed []string) []string {
	var whys []string
	found := func(node ast.Node, what string) {
		whys = append(whys, fmt.Sprintf("%s: a core package is pure, and this is %s", fset.Position(node.Pos()), what))
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !slices.Contains(pure, path) && !slices.Contains(allowed, path) {
			found(spec, "an import of "+path)
		}
		if spec.Name != nil && path == "time" {
			found(spec, "package time under another name")
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			found(node, "a goroutine")
		case *ast.ChanType:
			found(node, "a channel")
		case *ast.SelectStmt:
			found(node, "a select")
		case *ast.SelectorExpr:
			if of, ok := node.X.(*ast.Ident); ok && of.Name == "time" && slices.Contains(clocks, node.Sel.Name) {
				found(node, "time."+node.Sel.Name)
			}
		}
		return true
	})
	return whys
}

// The test above finds what it looks for.
func TestImpurities(t *testing.T) {
	t.Parallel()
	const source = `package impure

import (
	"context"
	"sync"
	tm "time"
	"time"
	"github.com/francis-actors/francis/internal/core/name"
)

var c chan int

func f() {
	go f()
	select {}
	clock := time.Now
	_ = time.Second
}
`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "impure.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"4:2: an import of context", "5:2: an import of sync", "6:2: package time under another name", "8:2: an import of " + module + "internal/core/name",
		"11:7: a channel", "14:2: a goroutine", "15:2: a select", "16:11: time.Now",
	}
	var got []string
	for _, why := range impurities(fset, file, nil) {
		place, what, _ := strings.Cut(strings.TrimPrefix(why, "impure.go:"), ": a core package is pure, and this is ")
		got = append(got, place+": "+what)
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant  %q", got, want)
	}
}
