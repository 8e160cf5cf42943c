package emit

import (
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const deprecation = "Deprecated: Do not use."

// doc writes the comment of a proto declaration, then our own lines as a
// paragraph after it, then that the declaration is deprecated, if it is and the
// comment does not say so in its author's words.
func (p *printer) doc(comments protogen.CommentSet, desc protoreflect.Descriptor, ours ...string) {
	lines := commentLines(comments.Leading)
	var deprecated []string
	if authorsDeprecation(lines) == nil {
		deprecated = deprecationOf(comments, desc)
	}
	p.paragraphs(lines, ours, deprecated)
}

// paragraphs writes one comment of several paragraphs; empty ones are left out.
func (p *printer) paragraphs(paragraphs ...[]string) {
	first := true
	for _, lines := range paragraphs {
		if len(lines) == 0 {
			continue
		}
		if !first {
			p.P("//")
		}
		first = false
		for _, line := range lines {
			p.P(goComment(line))
		}
	}
}

// goComment writes the space after the slashes that no directive has.
func goComment(line string) string { return strings.TrimRight("// "+line, " ") }

// deprecationOf is the paragraph that marks what is generated for a deprecated
// declaration: its author's, if the comment has one, else ours.
func deprecationOf(comments protogen.CommentSet, desc protoreflect.Descriptor) []string {
	if !isDeprecated(desc) {
		return nil
	}
	if lines := authorsDeprecation(commentLines(comments.Leading)); lines != nil {
		return lines
	}
	return []string{deprecation}
}

// authorsDeprecation returns the paragraph of a comment that begins with
// "Deprecated:", or nil.
func authorsDeprecation(lines []string) []string {
	for i, line := range lines {
		if strings.HasPrefix(line, "Deprecated:") && (i == 0 || lines[i-1] == "") {
			rest := lines[i:]
			if end := slices.Index(rest, ""); end >= 0 {
				rest = rest[:end]
			}
			return rest
		}
	}
	return nil
}

func isDeprecated(desc protoreflect.Descriptor) bool {
	opts, ok := desc.Options().(interface{ GetDeprecated() bool })
	return ok && opts.GetDeprecated()
}

// commentLines turns a proto comment into lines of a Go comment. The space that
// follows the slashes in most proto files is ours to write; deeper indentation is
// kept, since it marks code. A line that would become a directive, and what may
// not stand in a Go file, is made harmless.
func commentLines(comment protogen.Comments) []string {
	text := strings.Map(printable, strings.ToValidUTF8(string(comment), "\uFFFD"))
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		line = strings.TrimRightFunc(strings.TrimPrefix(line, " "), unicode.IsSpace)
		if strings.HasPrefix(strings.TrimSpace(line), "+build") {
			line = "'" + strings.TrimSpace(line) + "'"
		}
		lines[i] = line
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines
}

// printable drops the characters that a Go file may not hold, or that no reader
// would see.
func printable(r rune) rune {
	if r == '\n' || r == '\t' {
		return r
	}
	if unicode.IsControl(r) || r == '\uFEFF' {
		return -1
	}
	return r
}
