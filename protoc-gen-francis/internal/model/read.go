package model

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/francis-actors/francis/internal/core/contract"
)

// reader collects the actors of a request. Files that are only imported are read
// too, since their actors may collide with those to generate, but they are judged
// in the run that generates them.
type reader struct {
	suffix   string
	messages map[protoreflect.FullName]*protogen.Message
	others   map[protoreflect.FullName]string // what a full name means that is no message
	files    []*File
	problems []contract.Problem
	warnings []contract.Problem
	reported map[string]bool
}

func newReader(plugin *protogen.Plugin, suffix string) *reader {
	r := &reader{
		suffix:   suffix,
		messages: make(map[protoreflect.FullName]*protogen.Message),
		others:   make(map[protoreflect.FullName]string),
		reported: make(map[string]bool),
	}
	for _, file := range plugin.Files {
		r.index(file)
	}
	return r
}

// report adds problems once each: two methods may share a faulty request.
func (r *reader) report(found ...contract.Problem) {
	for _, problem := range found {
		if line := problem.String(); !r.reported[line] {
			r.reported[line] = true
			r.problems = append(r.problems, problem)
		}
	}
}

func (r *reader) readFile(file *protogen.File) {
	f := newFile(file, r.suffix)
	for _, service := range file.Services {
		r.readService(f, service)
	}
	if file.Generate {
		r.checkIDs(file)
	}
	r.files = append(r.files, f)
}

func (r *reader) readService(f *File, service *protogen.Service) {
	read, found := contract.Read(service.Desc)
	if f.Proto.Generate {
		r.report(found...)
	}
	if read == nil {
		return
	}
	actor := &Actor{Contract: read, Names: namesOf(service.GoName), Proto: service, generate: f.Proto.Generate}
	for i, method := range read.Methods {
		actor.Methods = append(actor.Methods, Method{Method: method, Proto: service.Methods[i]})
	}
	f.Actors = append(f.Actors, actor)
	if actor.generate {
		actor.StateType = r.resolveState(read)
		r.checkMethodNames(actor)
		r.warnOfVet(actor)
	}
}

func (r *reader) checkIDs(file *protogen.File) {
	r.report(contract.ExtensionIDProblems(file.Desc.Extensions())...)
	for _, message := range file.Messages {
		r.report(contract.IDProblems(message.Desc)...)
	}
}

// generated returns the files that have something to generate.
func (r *reader) generated() []*File {
	var files []*File
	for _, file := range r.files {
		if file.Proto.Generate && len(file.Actors) > 0 {
			files = append(files, file)
		}
	}
	return files
}

// at is a problem of a descriptor, or of one of its options.
func at(desc protoreflect.Descriptor, option protoreflect.SourcePath, format string, args ...any) contract.Problem {
	return contract.Problem{At: desc, Option: option, Text: fmt.Sprintf(format, args...)}
}
