// Package model turns the files of a plugin request into checked actors: what
// contract reads from each service, completed with what only the whole request
// can tell, which is the state message, the Go names, and what collides.
//
// It decides everything; package emit writes down what it finds here.
package model

import (
	"fmt"
	"go/token"
	"path"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/francis-actors/francis/internal/core/contract"
)

// DefaultSuffix is appended to the name of the messages' Go package to name the
// package of the generated code.
const DefaultSuffix = "francis"

// File is one generated file.
type File struct {
	// Proto is the file that it is generated from.
	Proto *protogen.File
	// Filename is where it is written, below the output folder.
	Filename string
	// ImportPath and PackageName are those of its Go package.
	ImportPath  protogen.GoImportPath
	PackageName protogen.GoPackageName
	// Actors are in the order of the proto file; there is at least one.
	Actors []*Actor
	// Declared are the Go names that are generated into the package of the file,
	// with their actors; no import of the file may take one of them.
	Declared map[string]*Actor
}

// Actor is one actor to generate.
type Actor struct {
	*contract.Contract
	Names
	// Proto is the service that declares it.
	Proto *protogen.Service
	// StateType is the resolved state message, or nil for an actor without state.
	StateType *protogen.Message
	// Methods are in the order of the proto file.
	Methods []Method

	// generate is false for an actor that is only imported.
	generate bool
}

// Method is one method to generate.
type Method struct {
	contract.Method
	// Proto is the rpc that declares it.
	Proto *protogen.Method
}

// Names are the Go names that are generated for one actor.
type Names struct {
	Interface     string
	Unimplemented string
	Turn          string
	View          string
	Activation    string
	Register      string
	Later         string
	Proxy         string
	NewProxy      string
}

func namesOf(service string) Names {
	return Names{
		Interface:     service,
		Unimplemented: "Unimplemented" + service,
		Turn:          service + "Turn",
		View:          service + "View",
		Activation:    service + "Activation",
		Register:      "Register" + service,
		Later:         service + "Later",
		Proxy:         service + "Proxy",
		NewProxy:      "New" + service + "Proxy",
	}
}

func (n Names) all() []string {
	return []string{n.Interface, n.Unimplemented, n.Turn, n.View, n.Activation, n.Register, n.Later, n.Proxy, n.NewProxy}
}

// Build returns the files to generate and everything that is wrong with their
// contracts. Nothing may be generated from files that have problems; warnings
// are for the author to read.
func Build(plugin *protogen.Plugin, suffix string) (files []*File, problems, warnings []contract.Problem) {
	r := newReader(plugin, suffix)
	for _, file := range plugin.Files {
		r.readFile(file)
	}
	r.checkTypes()
	r.checkNames()
	slices.SortStableFunc(r.problems, contract.Problem.Compare)
	return r.generated(), r.problems, r.warnings
}

// CheckSuffix reports why a package suffix cannot be used.
func CheckSuffix(suffix string) error {
	if suffix != "" && !token.IsIdentifier("p"+suffix) {
		return fmt.Errorf("package_suffix is %q, which cannot end the name of a Go package; use letters, digits and '_', for example package_suffix=%s", suffix, DefaultSuffix)
	}
	return nil
}

// newFile places the generated file: in a package below that of the messages, or
// beside them if there is no suffix.
func newFile(file *protogen.File, suffix string) *File {
	prefix := filepath.ToSlash(file.GeneratedFilenamePrefix)
	f := &File{Proto: file, Filename: prefix + ".francis.go", ImportPath: file.GoImportPath, PackageName: file.GoPackageName}
	if suffix != "" {
		f.PackageName += protogen.GoPackageName(suffix)
		f.ImportPath = protogen.GoImportPath(path.Join(string(file.GoImportPath), string(f.PackageName)))
		f.Filename = path.Join(path.Dir(prefix), string(f.PackageName), path.Base(prefix)+".francis.go")
	}
	return f
}
