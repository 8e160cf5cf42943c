package contract

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
)

// The field of the options in the descriptor of a service, method and field; a
// path through descriptor.proto is how source locations are looked up.
const (
	serviceOptions = 3
	methodOptions  = 4
	fieldOptions   = 8
)

// Problem is one fault of a contract.
type Problem struct {
	// At is what the problem concerns.
	At protoreflect.Descriptor
	// Option leads from the options message of At to the option that is wrong:
	// its number, and then perhaps that of a field in it. Empty means At itself.
	Option protoreflect.SourcePath
	// Text is the reason and the fix, on one line.
	Text string
}

// String places the problem: "path/to/file.proto:LINE:COLUMN: text", counted
// from one, at the option if the file says where that is. Without source
// locations, as in a compiled program, the full name of At stands in their place.
func (p Problem) String() string { return p.place() + ": " + p.Text }

// Warning is String for a problem that stops nobody.
func (p Problem) Warning() string { return p.place() + ": warning: " + p.Text }

func (p Problem) place() string {
	file := p.At.ParentFile().Path()
	if loc := p.location(); loc.Path != nil {
		return fmt.Sprintf("%s:%d:%d", file, loc.StartLine+1, loc.StartColumn+1)
	}
	return fmt.Sprintf("%s: %s", file, p.At.FullName())
}

// Compare orders problems as the files are read: by file, line and column.
func (p Problem) Compare(q Problem) int {
	here, there := p.location(), q.location()
	return cmp.Or(
		cmp.Compare(p.At.ParentFile().Path(), q.At.ParentFile().Path()),
		cmp.Compare(here.StartLine, there.StartLine),
		cmp.Compare(here.StartColumn, there.StartColumn),
	)
}

// location finds the place of the option, or the nearest that is known: an option
// that is set field by field has no place of its own, and to some compilers one
// that is written as an aggregate is a single place.
func (p Problem) location() protoreflect.SourceLocation {
	locations := p.At.ParentFile().SourceLocations()
	at := locations.ByDescriptor(p.At)
	if at.Path == nil {
		return at
	}
	options := append(slices.Clone(at.Path), optionsOf(p.At))
	for n := len(p.Option); n > 0; n-- {
		if loc := firstBelow(locations, append(options, p.Option[:n]...)); loc.Path != nil {
			return loc
		}
	}
	return at
}

// firstBelow returns the location of a path, or else the first of a longer one.
func firstBelow(locations protoreflect.SourceLocations, path protoreflect.SourcePath) protoreflect.SourceLocation {
	if loc := locations.ByPath(path); loc.Path != nil {
		return loc
	}
	for i := range locations.Len() {
		if loc := locations.Get(i); len(loc.Path) > len(path) && slices.Equal(loc.Path[:len(path)], path) {
			return loc
		}
	}
	return protoreflect.SourceLocation{}
}

func optionsOf(desc protoreflect.Descriptor) int32 {
	switch desc.(type) {
	case protoreflect.ServiceDescriptor:
		return serviceOptions
	case protoreflect.MethodDescriptor:
		return methodOptions
	default:
		return fieldOptions
	}
}

// option is one of our options as it is set on a service or a method, or a message in it.
type option struct {
	at protoreflect.Descriptor
	// name is how a proto file writes it, "(francis.v1.actor).retry".
	name   string
	path   protoreflect.SourcePath
	fields protoreflect.Message
}

func optionOf(at protoreflect.Descriptor, ext protoreflect.ExtensionType, value proto.Message) option {
	return option{at, fmt.Sprintf("(%s)", ext.TypeDescriptor().FullName()), settingPath(ext, ""), value.ProtoReflect()}
}

// in is a message that is a setting of the option.
func (o option) in(setting protoreflect.Name, value proto.Message) option {
	return option{o.at, fmt.Sprintf("%s.%s", o.name, setting), o.setting(setting), value.ProtoReflect()}
}

// problem is one fault of a setting in the option; "" means the option itself.
func (o option) problem(setting protoreflect.Name, format string, args ...any) Problem {
	return Problem{At: o.at, Option: o.setting(setting), Text: fmt.Sprintf(format, args...)}
}

func (o option) setting(setting protoreflect.Name) protoreflect.SourcePath {
	return fieldPath(o.path, o.fields.Descriptor(), setting)
}

// ActorSetting is the [Problem.Option] of a setting in (francis.v1.actor), by the
// name of its field.
func ActorSetting(setting protoreflect.Name) protoreflect.SourcePath {
	return settingPath(francisv1.E_Actor, setting)
}

func settingPath(ext protoreflect.ExtensionType, setting protoreflect.Name) protoreflect.SourcePath {
	number := int32(ext.TypeDescriptor().Number())
	return fieldPath(protoreflect.SourcePath{number}, ext.TypeDescriptor().Message(), setting)
}

func fieldPath(path protoreflect.SourcePath, message protoreflect.MessageDescriptor, name protoreflect.Name) protoreflect.SourcePath {
	if field := message.Fields().ByName(name); field != nil {
		return append(slices.Clone(path), int32(field.Number()))
	}
	return path
}

// problems collects what is wrong, in the order of the file.
type problems []Problem

func (p *problems) add(more ...Problem) { *p = append(*p, more...) }
