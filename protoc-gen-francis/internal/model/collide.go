package model

import (
	"google.golang.org/protobuf/compiler/protogen"

	"github.com/francis-actors/francis/internal/core/contract"
)

// checkTypes finds actors that share a type: they would share their state.
func (r *reader) checkTypes() {
	first := make(map[string]*Actor)
	for _, file := range r.files {
		for _, actor := range file.Actors {
			if other := first[actor.Type]; other == nil {
				first[actor.Type] = actor
			} else if here, there := generatedFirst(actor, other); here.generate {
				r.report(at(here.Service, contract.ActorSetting("type"), "the actor type %q is already that of the service %s in %s; choose another type",
					actor.Type, there.Service.Name(), there.Service.ParentFile().Path()))
			}
		}
	}
}

// generatedFirst orders two actors that clash so that the first is one that this
// run generates, if it generates one at all, and else the later of the two.
func generatedFirst(later, earlier *Actor) (here, there *Actor) {
	if !later.generate && earlier.generate {
		return earlier, later
	}
	return later, earlier
}

// checkNames finds Go names that a package would declare twice.
func (r *reader) checkNames() {
	packages := make(map[protogen.GoImportPath]map[string]*Actor)
	messages := r.messageNames()
	for _, file := range r.files {
		if packages[file.ImportPath] == nil {
			packages[file.ImportPath] = make(map[string]*Actor)
		}
		file.Declared = packages[file.ImportPath]
		for _, actor := range file.Actors {
			r.declare(file.Declared, actor)
			r.checkMessageNames(messages[file.ImportPath], actor)
		}
	}
}

// declare adds the names of an actor to those of its package. Two actors that
// clash in one name often clash in all, which is one problem.
func (r *reader) declare(declared map[string]*Actor, actor *Actor) {
	clashed := make(map[*Actor]bool)
	for _, name := range actor.all() {
		other := declared[name]
		if other == nil {
			declared[name] = actor
			continue
		}
		if here, there := generatedFirst(actor, other); here.generate && !clashed[other] {
			r.report(at(here.Service, nil, "the Go name %s of the actor %s is also generated for the actor %s in %s; rename one of the services",
				name, here.Service.Name(), there.Service.Name(), there.Service.ParentFile().Path()))
		}
		clashed[other] = true
	}
}

// checkMessageNames finds names of an actor that protoc-gen-go declares in the
// same package.
func (r *reader) checkMessageNames(messages goNames, actor *Actor) {
	for _, name := range actor.all() {
		if desc := messages[name]; desc != nil && actor.generate {
			r.report(at(actor.Service, nil, "the Go name %s of the actor %s is also that of %s in %s; rename one of them, or set package_suffix to generate a package of its own",
				name, actor.Service.Name(), desc.FullName(), desc.ParentFile().Path()))
		}
	}
}

// messageNames returns what protoc-gen-go declares in the packages that we
// generate into: nothing, unless there is no package suffix.
func (r *reader) messageNames() map[protogen.GoImportPath]goNames {
	packages := make(map[protogen.GoImportPath]goNames)
	if r.suffix != "" {
		return packages
	}
	for _, file := range r.files {
		if packages[file.ImportPath] == nil {
			packages[file.ImportPath] = make(goNames)
		}
		packages[file.ImportPath].addFile(file.Proto)
	}
	return packages
}

// checkMethodNames finds rpcs that Go cannot tell apart, and one that has the name of what
// its proxy embeds.
func (r *reader) checkMethodNames(actor *Actor) {
	first := make(map[string]Method)
	for _, method := range actor.Methods {
		if method.Proto.GoName == actor.Later {
			r.report(at(method.Desc, nil, "the method %s has the Go name %s, which is that of a type that the proxy of %s embeds; rename the rpc", method.Desc.Name(), actor.Later, actor.Service.Name()))
		}
		other, ok := first[method.Proto.GoName]
		if !ok {
			first[method.Proto.GoName] = method
			continue
		}
		if other.Desc.Name()[1:] == method.Desc.Name()[1:] {
			continue // only the first letter differs, which contract has reported
		}
		r.report(at(method.Desc, nil, "the methods %s and %s have the same Go name %s; rename one", other.Desc.Name(), method.Desc.Name(), method.Proto.GoName))
	}
}
