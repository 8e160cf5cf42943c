package contract

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
)

// optionsWithoutActor finds settings of methods that no actor would obey.
func (p *problems) optionsWithoutActor(service protoreflect.ServiceDescriptor) {
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		if proto.HasExtension(method.Options(), francisv1.E_Method) {
			p.add(optionOf(method, francisv1.E_Method, methodOptionsOf(method)).problem("",
				"%s has the option (francis.v1.method), but %s is no actor; add the option (francis.v1.actor) to the service or remove this one",
				method.Name(), service.Name()))
		}
	}
}

// unknownFields finds settings that are newer than this code: an option that
// nobody obeys must not look as if it worked.
func (p *problems) unknownFields(at option) {
	unknown := at.fields.GetUnknown()
	if len(unknown) == 0 {
		return
	}
	number, _, _ := protowire.ConsumeTag(unknown)
	p.add(at.problem("", "the option %s sets the field %d, which this version of francis does not know; update francis or remove the field", at.name, number))
}

func (p *problems) actorType(at option, opts *francisv1.ActorOptions) string {
	actorType := string(at.at.FullName())
	if opts.Type != nil {
		actorType = opts.GetType()
	}
	if err := name.CheckType(actorType); err != nil {
		p.add(at.problem("type", "%v; write for example type: %q", err, suggestType(at.at, actorType)))
	}
	return actorType
}

// suggestType turns a refused actor type into one that is allowed.
func suggestType(service protoreflect.Descriptor, refused string) string {
	fixed := strings.Trim(strings.Map(func(r rune) rune {
		if name.CheckType("t"+string(r)) != nil {
			return '-'
		}
		return r
	}, refused), "-")
	if name.CheckType(fixed) == nil {
		return fixed
	}
	short := strings.ToLower(string(service.Name()))
	return short[:min(len(short), name.MaxType)]
}

func (p *problems) state(at option, opts *francisv1.ActorOptions) string {
	if opts.State != nil && opts.GetState() == "" {
		p.add(at.problem("state", "the state is empty; name the message that holds it, or remove state for an actor without state"))
	}
	return opts.GetState()
}

func (p *problems) stateTTL(at option, opts *francisv1.ActorOptions) time.Duration {
	ttl := p.duration(at, "state_ttl", opts.GetStateTtl(), 0, limit.CheckStateTTL)
	if opts.GetStateTtl() != nil && opts.State == nil {
		p.add(at.problem("state_ttl", "%s", NoStateToExpire))
	}
	return ttl
}

// NoStateToExpire is what is wrong with a state_ttl of an actor without state.
const NoStateToExpire = "state_ttl is set, but the actor has no state; name the message that holds it with state, or remove state_ttl"

// duration reads a setting: its value, or the default if it is not written.
func (p *problems) duration(at option, setting protoreflect.Name, value *durationpb.Duration, unset time.Duration, check func(time.Duration) error) time.Duration {
	if value == nil {
		return unset
	}
	if seconds, nanos := value.GetSeconds(), value.GetNanos(); !validDuration(seconds, nanos) {
		p.add(at.problem(setting, "%s is {seconds: %d nanos: %d}, which is no valid duration; give both the same sign and nanos below 1000000000", setting, seconds, nanos))
		return unset
	}
	if err := check(value.AsDuration()); err != nil {
		p.add(at.problem(setting, "%v", err))
		return unset
	}
	return value.AsDuration()
}

// validDuration is what google/protobuf/duration.proto asks of the two numbers;
// whether their sum is sensible is for the limits to say.
func validDuration(seconds int64, nanos int32) bool {
	sameSign := nanos == 0 || seconds == 0 || (nanos < 0) == (seconds < 0)
	return sameSign && -1e9 < nanos && nanos < 1e9
}

func (p *problems) maxPending(at option, opts *francisv1.ActorOptions) int {
	if opts.MaxPending == nil {
		return limit.MaxPending
	}
	if err := limit.CheckMaxPending(int(opts.GetMaxPending())); err != nil {
		p.add(at.problem("max_pending", "%v", err))
		return limit.MaxPending
	}
	return int(opts.GetMaxPending())
}

func (p *problems) streaming(method protoreflect.MethodDescriptor) {
	if method.IsStreamingClient() || method.IsStreamingServer() {
		p.add(Problem{At: method, Text: string(method.Name()) + " is streaming, and the methods of an actor are unary; remove stream from the rpc or move it to a service that is no actor"})
	}
}

// ambiguousMethods finds methods that share a path: /invoke/{type}/{id}/{method}
// takes the name with a small first letter too.
func (p *problems) ambiguousMethods(service protoreflect.ServiceDescriptor) {
	first := make(map[string]protoreflect.Name)
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		path := lowerFirst(string(method.Name()))
		if other, ok := first[path]; ok {
			p.add(Problem{At: method, Text: fmt.Sprintf(
				"the methods %s and %s differ only in the case of the first letter, so the path /invoke/{type}/{id}/%s could mean either; rename one",
				other, method.Name(), path,
			)})
			continue
		}
		first[path] = method.Name()
	}
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
