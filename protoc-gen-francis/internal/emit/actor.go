package emit

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/francis-actors/francis/protoc-gen-francis/internal/model"
)

// actor writes everything that is generated for one actor, in the order in which
// its author meets it: implement, register, call.
func (p *printer) actor(a *model.Actor) {
	p.contract(a)
	p.unimplemented(a)
	p.turnAndView(a)
	p.activation(a)
	p.register(a)
	p.proxy(a)
	for _, method := range a.Methods {
		p.proxyMethod(a, method)
	}
	p.later(a)
	for _, method := range a.Methods {
		if !method.View {
			p.enqueue(a, method)
			p.schedule(a, method)
		}
	}
}

func (p *printer) contract(a *model.Actor) {
	p.doc(a.Proto.Comments, a.Service,
		fmt.Sprintf("To write an actor of type %q, implement %s", a.Type, a.Interface),
		fmt.Sprintf("and give the constructor to [%s].", a.Register))
	p.P("type ", a.Interface, " interface {")
	for _, method := range a.Methods {
		p.doc(method.Proto.Comments, method.Desc)
		p.P(method.Proto.GoName, "(", p.local("ctx"), " ", p.context(), ", ", p.kindArgument(a, method), ", ", p.local("req"), " *", method.Proto.Input.GoIdent, ") ", p.results(method))
	}
	p.P("}")
	p.P()
}

// kindArgument is the argument that says what a method may do.
func (p *printer) kindArgument(a *model.Actor, method model.Method) string {
	if method.View {
		return p.local("view") + " " + a.View
	}
	return p.local("turn") + " " + a.Turn
}

func (p *printer) results(method model.Method) string {
	return "(*" + p.QualifiedGoIdent(method.Proto.Output.GoIdent) + ", error)"
}

func (p *printer) unimplemented(a *model.Actor) {
	p.paragraphs([]string{
		fmt.Sprintf("%s answers every method of [%s] with the code unimplemented.", a.Unimplemented, a.Interface),
		"Embed it so that a new rpc of the contract does not break the build.",
	}, deprecationOf(a.Proto.Comments, a.Service))
	p.P("type ", a.Unimplemented, " struct{}")
	p.P()
	for _, method := range a.Methods {
		kind := a.Turn
		if method.View {
			kind = a.View
		}
		p.P("func (", a.Unimplemented, ") ", method.Proto.GoName, "(", p.context(), ", ", kind, ", *", method.Proto.Input.GoIdent, ") ", p.results(method), " {")
		p.P("return nil, ", p.sdk("Unimplemented"), "(", strconv.Quote(method.Procedure), ")")
		p.P("}")
		p.P()
	}
}

func (p *printer) turnAndView(a *model.Actor) {
	p.paragraphs([]string{fmt.Sprintf("%s is what a method of [%s] receives.", a.Turn, a.Interface)})
	p.P("type ", a.Turn, " struct{ ", p.withState(a, "Turn"), " }")
	p.P()
	turn := p.local("t")
	p.paragraphs([]string{
		"Self calls methods of the actor itself later, when the turn has been committed.",
	})
	p.P("func (", turn, " ", a.Turn, ") Self() ", a.Later, " {")
	p.P("return ", p.newLater(a, turn, turn+".ID()"))
	p.P("}")
	p.P()
	p.paragraphs([]string{fmt.Sprintf("%s is what a view, a read-only method of [%s], receives.", a.View, a.Interface)})
	p.P("type ", a.View, " struct{ ", p.withState(a, "View"), " }")
	p.P()
}

func (p *printer) activation(a *model.Actor) {
	p.paragraphs([]string{fmt.Sprintf("%s is what the constructor given to [%s] receives.", a.Activation, a.Register)})
	p.P("type ", a.Activation, " = ", p.withState(a, "Activation"))
	p.P()
}

// withState is a type of the sdk for the state of the actor, or its sibling for
// actors that have none.
func (p *printer) withState(a *model.Actor, name string) string {
	if a.StateType == nil {
		return p.QualifiedGoIdent(p.sdk("Stateless" + name))
	}
	return p.QualifiedGoIdent(p.sdk(name)) + "[*" + p.QualifiedGoIdent(a.StateType.GoIdent) + "]"
}

// function is a function of the sdk in the same way.
func (p *printer) function(a *model.Actor, name, stateless string) protogen.GoIdent {
	if a.StateType == nil {
		return p.sdk(stateless)
	}
	return p.sdk(name)
}

func (p *printer) register(a *model.Actor) {
	host, newActor, opts := p.local("host"), p.local("new"+a.Interface), p.local("opts")
	p.paragraphs([]string{
		fmt.Sprintf("%s makes a host serve actors of type %q.", a.Register, a.Type),
		"The constructor runs once for each activation, before its first method.",
	}, deprecationOf(a.Proto.Comments, a.Service))
	p.P("func ", a.Register, "(", host, " ", p.sdk("Registrar"), ", ", newActor, " func(", p.context(), ", *", a.Activation, ") (", a.Interface, ", error), ", opts, " ...", p.sdk("ActorOption"), ") error {")
	p.P("return ", p.function(a, "Register", "RegisterStateless"), "(", host, ", ", p.file.Proto.GoDescriptorIdent, ".Services().ByName(", strconv.Quote(string(a.Service.Name())), "), ", newActor, ", ", opts, ",")
	for _, method := range a.Methods {
		bind := p.function(a, "BindTurn", "BindStatelessTurn")
		if method.View {
			bind = p.function(a, "BindView", "BindStatelessView")
		}
		p.P(bind, "(", strconv.Quote(method.Procedure), ", ", a.Interface, ".", method.Proto.GoName, "),")
	}
	p.P(")")
	p.P("}")
	p.P()
}

func (p *printer) proxy(a *model.Actor) {
	caller, id := p.local("caller"), p.local("id")
	deprecated := deprecationOf(a.Proto.Comments, a.Service)
	p.paragraphs([]string{
		fmt.Sprintf("%s calls one actor of type %q.", a.Proxy, a.Type),
		"It is a value, and safe for concurrent use.",
	}, deprecated)
	p.P("type ", a.Proxy, " struct{ ", a.Later, " }")
	p.P()
	p.paragraphs([]string{
		fmt.Sprintf("%s returns the proxy of the actor with the given id.", a.NewProxy),
		"The caller is the service of a host, a turn or a view, or a gateway.",
	}, deprecated)
	p.P("func ", a.NewProxy, "(", caller, " ", p.sdk("Caller"), ", ", id, " string) ", a.Proxy, " {")
	p.P("return ", a.Proxy, "{", p.newLater(a, caller, id), "}")
	p.P("}")
	p.P()
}

// newLater makes what a proxy embeds.
func (p *printer) newLater(a *model.Actor, caller, id string) string {
	return fmt.Sprintf("%s{%s(%s, %q, %s)}", a.Later, p.QualifiedGoIdent(p.sdk("NewLater")), caller, a.Type, id)
}

func (p *printer) proxyMethod(a *model.Actor, method model.Method) {
	receiver, ctx, req, opts := p.local("p"), p.local("ctx"), p.local("req"), p.local("opts")
	call := p.sdk("CallTurn")
	if method.View {
		call = p.sdk("CallView")
	}
	p.doc(method.Proto.Comments, method.Desc)
	p.P("func (", receiver, " ", a.Proxy, ") ", method.Proto.GoName, "(", ctx, " ", p.context(), ", ", req, " *", method.Proto.Input.GoIdent, ", ", opts, " ...", p.sdk("CallOption"), ") ", p.results(method), " {")
	p.P("return ", call, "[", method.Proto.Output.GoIdent, "](", ctx, ", ", receiver, ".", a.Later, ".Ref, ", strconv.Quote(method.Procedure), ", ", req, ", ", opts, "...)")
	p.P("}")
	p.P()
}

func (p *printer) later(a *model.Actor) {
	p.paragraphs([]string{
		fmt.Sprintf("%s calls methods of one actor of type %q later, as alarms and as", a.Later, a.Type),
		"jobs, and looks after them. It is a value, and safe for concurrent use.",
	}, deprecationOf(a.Proto.Comments, a.Service))
	p.P("type ", a.Later, " struct{ ", p.sdk("Later"), " }")
	p.P()
}

func (p *printer) enqueue(a *model.Actor, method model.Method) {
	receiver, ctx, req, opts := p.local("l"), p.local("ctx"), p.local("req"), p.local("opts")
	p.paragraphs([]string{
		fmt.Sprintf("Enqueue%s calls %[1]s as a job, at once or as the options say, and returns the", method.Proto.GoName),
		"id of the job.",
	}, deprecationOf(method.Proto.Comments, method.Desc))
	p.P("func (", receiver, " ", a.Later, ") Enqueue", method.Proto.GoName, "(", ctx, " ", p.context(), ", ", req, " *", method.Proto.Input.GoIdent, ", ", opts, " ...", p.sdk("EnqueueOption"), ") (", p.sdk("JobID"), ", error) {")
	p.P("return ", p.sdk("Enqueue"), "(", ctx, ", ", receiver, ".Ref, ", strconv.Quote(method.Procedure), ", ", req, ", ", opts, "...)")
	p.P("}")
	p.P()
}

func (p *printer) schedule(a *model.Actor, method model.Method) {
	receiver, ctx, name, when, req, opts := p.local("l"), p.local("ctx"), p.local("name"), p.local("when"), p.local("req"), p.local("opts")
	p.paragraphs([]string{
		fmt.Sprintf("Schedule%s calls %[1]s as an alarm, which replaces the one of that name.", method.Proto.GoName),
	}, deprecationOf(method.Proto.Comments, method.Desc))
	p.P("func (", receiver, " ", a.Later, ") Schedule", method.Proto.GoName, "(", ctx, " ", p.context(), ", ", name, " string, ", when, " ", p.sdk("When"), ", ", req, " *", method.Proto.Input.GoIdent, ", ", opts, " ...", p.sdk("ScheduleOption"), ") error {")
	p.P("return ", p.sdk("Schedule"), "(", ctx, ", ", receiver, ".Ref, ", strconv.Quote(method.Procedure), ", ", name, ", ", when, ", ", req, ", ", opts, "...)")
	p.P("}")
	p.P()
}
