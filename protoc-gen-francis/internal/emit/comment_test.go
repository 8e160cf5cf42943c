package emit

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
)

func TestCommentLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, comment string
		want          []string
	}{
		{"none", "", nil},
		{"blank", "\n", nil},
		{"plain", " One.\n Two.\n", []string{"One.", "Two."}},
		{"paragraphs", " One.\n\n Two.\n", []string{"One.", "", "Two."}},
		{"code", " See:\n   x := 1\n\ty\n", []string{"See:", "  x := 1", "\ty"}},
		{"directive", "go:build never\n", []string{"go:build never"}},
		{"old directive", " +build never\n", []string{"'+build never'"}},
		{"trailing space", " One. \t\n", []string{"One."}},
		{"carriage return", " One.\r\n Two.\r\n", []string{"One.", "Two."}},
		{"control characters", " a\x00b\x1b[31mc\x7f\n", []string{"ab[31mc"}},
		{"byte order mark", " \ufeffa\n", []string{"a"}},
		{"invalid UTF-8", " a\xffb\n", []string{"a\ufffdb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := commentLines(protogen.Comments(c.comment)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzComment holds that no proto comment can become anything but a comment.
func FuzzComment(f *testing.F) {
	f.Add("go:build x\n+build y\n line z:1\n")
	f.Add("*/ \x00 \r\n\ufeff\xff\u2028 `")
	f.Fuzz(func(t *testing.T, comment string) {
		var src strings.Builder
		src.WriteString("package p\n\n")
		for _, line := range commentLines(protogen.Comments(comment)) {
			line = goComment(line)
			if constraint.IsGoBuild(line) || constraint.IsPlusBuild(line) || strings.HasPrefix(line, "//line ") {
				t.Errorf("%q is a directive", line)
			}
			src.WriteString(line + "\n")
		}
		src.WriteString("type T int\n")
		file, err := parser.ParseFile(token.NewFileSet(), "", src.String(), parser.ParseComments)
		if err != nil {
			t.Fatalf("%v in\n%s", err, src.String())
		}
		if len(file.Decls) != 1 || len(file.Decls[0].(*ast.GenDecl).Specs) != 1 {
			t.Errorf("the comment declares something:\n%s", src.String())
		}
	})
}
