package model

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/francis-actors/francis/internal/core/contract"
)

// index remembers what the full names of a file mean.
func (r *reader) index(file *protogen.File) {
	r.indexMessages(file.Messages)
	r.indexEnums(file.Enums)
	for _, service := range file.Services {
		r.others[service.Desc.FullName()] = "a service"
	}
}

func (r *reader) indexMessages(messages []*protogen.Message) {
	for _, message := range messages {
		if message.Desc.IsMapEntry() {
			r.others[message.Desc.FullName()] = "the entry of a map"
			continue
		}
		r.messages[message.Desc.FullName()] = message
		r.indexEnums(message.Enums)
		r.indexMessages(message.Messages)
	}
}

func (r *reader) indexEnums(enums []*protogen.Enum) {
	for _, enum := range enums {
		r.others[enum.Desc.FullName()] = "an enum"
	}
}

// resolveState finds the message that a contract names as its state.
func (r *reader) resolveState(c *contract.Contract) *protogen.Message {
	if c.State == "" {
		return nil
	}
	candidates := contract.StateCandidates(c.Service.ParentFile().Package(), c.State)
	var found []*protogen.Message
	for _, name := range candidates {
		if message := r.messages[name]; message != nil {
			found = append(found, message)
		}
	}
	switch len(found) {
	case 0:
		r.report(stateProblem(c, "%s", r.whyNoMessage(c.State, candidates)))
	case 1:
		return found[0]
	default:
		r.report(stateProblem(c, "the state %q may be %s; write the full name with a leading dot: state: %q",
			c.State, alternatives(found), "."+found[0].Desc.FullName()))
	}
	return nil
}

// whyNoMessage explains a state that no message answers to.
func (r *reader) whyNoMessage(state string, candidates []protoreflect.FullName) string {
	for _, name := range candidates {
		if what := r.others[name]; what != "" {
			return fmt.Sprintf("the state %q is %s, not a message; name the message that holds the state", state, what)
		}
	}
	looked := make([]string, len(candidates))
	for i, name := range candidates {
		looked[i] = string(name)
	}
	return fmt.Sprintf("the state %q is no message of the files in this run (looked for %s); correct the name, or let buf pass all files with strategy: all", state, strings.Join(looked, ", "))
}

func stateProblem(c *contract.Contract, format string, args ...any) contract.Problem {
	return at(c.Service, contract.ActorSetting("state"), format, args...)
}

func alternatives(messages []*protogen.Message) string {
	names := make([]string, len(messages))
	for i, message := range messages {
		names[i] = string(message.Desc.FullName())
	}
	return strings.Join(names, " or ")
}
