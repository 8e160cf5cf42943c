package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/francis-actors/francis/internal/pki"
)

// reader reads one file. It goes on after a problem, so that all are told at once.
type reader struct {
	file string
	// lines is where each setting that the file has is written, by its path, such as
	// "bootstrap.hostPSK" or "runtimePSKs[0]".
	lines map[string]int
	// told holds the settings whose problem has been told already.
	told     map[string]bool
	problems Problems
}

func newReader(file string) *reader {
	return &reader{file: file, lines: map[string]int{"": 1}, told: map[string]bool{}}
}

// report tells what is wrong with a setting.
func (r *reader) report(path string, format string, args ...any) {
	r.told[path] = true
	r.at(r.line(path), format, args...)
}

func (r *reader) at(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, What: fmt.Sprintf(format, args...)})
}

// line is where a setting is written; for one that is missing, where its section is.
func (r *reader) line(path string) int {
	for {
		if line, ok := r.lines[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// decode reads the text into the struct that into points to. It reports whether the
// text could be read as a whole.
func (r *reader) decode(text []byte, into any) bool {
	document, err := parse(text)
	if err != nil {
		r.syntax(err)
		return false
	}
	root := resolve(document.Content[0])
	if root.Kind != yaml.MappingNode {
		r.at(root.Line, "the file is %s, not settings; write lines such as bind: %q", kindOf(root), DefaultBind)
		return false
	}
	r.section(root, reflect.ValueOf(into).Elem(), "")
	return true
}

var (
	errEmpty = errors.New("the file is empty")
	errMany  = errors.New(`the file holds more than one document; remove what follows the line "---"`)
)

func parse(text []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var document, more yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF), err == nil && len(document.Content) == 0:
		return nil, errEmpty
	case err != nil:
		return nil, err
	}
	switch err := loader.Load(&more); {
	case err == nil:
		return nil, errMany
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return &document, nil
}

// syntax tells what the parser found, at the beginning of what it could not read.
func (r *reader) syntax(err error) {
	var found *yaml.LoadError
	if !errors.As(err, &found) {
		r.at(0, "%v", err)
		return
	}
	line, what := found.Mark.Line, found.Message
	if found.ContextMark.Line > 0 {
		line, what = found.ContextMark.Line, found.ContextMsg+": "+what
	}
	r.at(line, "this is no YAML: %s", what)
}

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// section reads a mapping into a struct.
func (r *reader) section(node *yaml.Node, into reflect.Value, path string) {
	fields := fieldsOf(into.Type())
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		index, ok := fields.index[key.Value]
		switch full := join(path, key.Value); {
		case !ok:
			r.unknown(key, path, fields.names)
		case r.lines[full] != 0:
			r.at(key.Line, "%s is written twice, first in line %d; remove one", full, r.lines[full])
		default:
			r.lines[full] = key.Line
			r.value(resolve(node.Content[i+1]), into.Field(index), full)
		}
	}
}

func join(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

func (r *reader) unknown(key *yaml.Node, path string, names []string) {
	name := join(path, key.Value)
	guess := nearest(key.Value, names)
	if guess == "" {
		r.at(key.Line, "there is no setting %q; there are %s", name, strings.Join(names, ", "))
		return
	}
	r.told[join(path, guess)] = true
	r.at(key.Line, "there is no setting %q; did you mean %q?", name, join(path, guess))
}

// fields are the settings that a struct holds.
type fields struct {
	names []string
	index map[string]int
}

func fieldsOf(typ reflect.Type) fields {
	found := fields{index: map[string]int{}}
	for i := range typ.NumField() {
		name := typ.Field(i).Tag.Get("yaml")
		found.names = append(found.names, name)
		found.index[name] = i
	}
	return found
}

func (r *reader) value(node *yaml.Node, into reflect.Value, path string) {
	switch {
	case into.Type() == reflect.TypeFor[pki.Secret]():
		r.secret(node, into.Addr().Interface().(*pki.Secret), path)
	case into.Type() == reflect.TypeFor[time.Duration]():
		r.duration(node, into, path)
	case into.Kind() == reflect.Struct:
		r.struc(node, into, path)
	case into.Kind() == reflect.Slice:
		r.list(node, into, path)
	case into.Kind() == reflect.Int:
		r.number(node, into, path)
	default:
		if text, ok := r.text(node, path); ok {
			into.SetString(text)
		}
	}
}

func (r *reader) struc(node *yaml.Node, into reflect.Value, path string) {
	if node.Kind != yaml.MappingNode {
		r.wrong(node, path, "a section with "+strings.Join(fieldsOf(into.Type()).names, ", "))
		return
	}
	r.section(node, into, path)
}

func (r *reader) list(node *yaml.Node, into reflect.Value, path string) {
	if node.Kind != yaml.SequenceNode {
		r.wrong(node, path, "a list: one value a line, each after a dash")
		return
	}
	values := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = item.Line
		r.value(resolve(item), values.Index(i), at)
	}
	into.Set(values)
}

func (r *reader) text(node *yaml.Node, path string) (string, bool) {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str" {
		return node.Value, true
	}
	if node.Kind == yaml.ScalarNode && node.ShortTag() != "!!null" {
		r.report(path, "%s is %s, not a text; put it in quotes", path, kindOf(node))
		return "", false
	}
	r.wrong(node, path, "a text")
	return "", false
}

func (r *reader) duration(node *yaml.Node, into reflect.Value, path string) {
	d, err := time.ParseDuration(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil {
		r.wrong(node, path, "a time with its unit, such as "+time.Duration(into.Int()).String())
		return
	}
	into.SetInt(int64(d))
}

func (r *reader) number(node *yaml.Node, into reflect.Value, path string) {
	n, err := strconv.Atoi(strings.ReplaceAll(node.Value, "_", ""))
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!int" || err != nil {
		r.wrong(node, path, "a whole number")
		return
	}
	into.SetInt(int64(n))
}

// wrong tells that a value is of the wrong kind. It never shows the value, which may
// be a secret in the wrong place.
func (r *reader) wrong(node *yaml.Node, path, want string) {
	r.report(path, "%s is %s; it must be %s", path, kindOf(node), want)
}

func kindOf(node *yaml.Node) string {
	if node.Kind == yaml.MappingNode {
		return "a section"
	}
	if node.Kind == yaml.SequenceNode {
		return "a list"
	}
	if kind, ok := scalarKinds[node.ShortTag()]; ok {
		return kind
	}
	return "a text"
}

var scalarKinds = map[string]string{
	"!!null":      "empty",
	"!!int":       "a number",
	"!!float":     "a number",
	"!!bool":      "a yes or no",
	"!!timestamp": "a date",
}
