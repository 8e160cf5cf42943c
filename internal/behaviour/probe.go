// Package behaviour is what a user may rely on, written as tests that run against
// every kind of host: one suite, one function for each rule. Its actors do what the
// test tells them to do, see behaviour.proto.
package behaviour

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// Probes makes probes and knows what happened to them.
type Probes struct {
	// Service is what a probe calls through when its script says so.
	Service sdk.Caller

	mu sync.Mutex
	// gates hold the methods that wait, by name.
	gates map[string]*gate
	// constructed and ended count the activations of each probe.
	constructed, ended map[string]int32
	// refuse fails the next constructors of a probe.
	refuse map[string]error
}

// gate is a place in a method where the test holds it.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
}

func (p *Probes) gate(name string) *gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gates == nil {
		p.gates = map[string]*gate{}
	}
	if p.gates[name] == nil {
		p.gates[name] = &gate{arrived: make(chan struct{}, 1000), open: make(chan struct{})}
	}
	return p.gates[name]
}

// Arrived waits until a method has reached the gate.
func (p *Probes) Arrived(name string) { <-p.gate(name).arrived }

// Open lets every method through the gate, now and later.
func (p *Probes) Open(name string) { close(p.gate(name).open) }

// Constructed is how often the constructor of a probe has run.
func (p *Probes) Constructed(id string) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.constructed[id]
}

// Ended is how often the OnDeactivate hook of a probe has run.
func (p *Probes) Ended(id string) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended[id]
}

// Refuse makes the constructors of a probe fail; nil lets them succeed again.
func (p *Probes) Refuse(id string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse == nil {
		p.refuse = map[string]error{}
	}
	p.refuse[id] = err
}

// New is the constructor of probes.
func (p *Probes) New(_ context.Context, activation *behaviourv1francis.ProbeActorActivation) (behaviourv1francis.ProbeActor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.constructed == nil {
		p.constructed, p.ended = map[string]int32{}, map[string]int32{}
	}
	id := activation.ID()
	p.constructed[id]++
	activation.OnDeactivate(func(context.Context) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended[id]++
	})
	return &probe{probes: p, loaded: activation.State().GetSum()}, p.refuse[id]
}

// probe is an actor that obeys scripts.
type probe struct {
	behaviourv1francis.UnimplementedProbeActor

	probes *Probes
	// loaded is the sum that the constructor saw.
	loaded int64
}

func (a *probe) Add(ctx context.Context, turn behaviourv1francis.ProbeActorTurn, req *behaviourv1.AddRequest) (*behaviourv1.AddResponse, error) {
	state := turn.State()
	state.Sum += req.GetIn()
	state.Ballast = append(state.GetBallast(), make([]byte, req.GetScript().GetBallast())...)
	if req.GetScript().GetHalt() {
		turn.Halt()
	}
	if err := a.play(ctx, turn, req.GetScript()); err != nil {
		return nil, err
	}
	res := &behaviourv1.AddResponse{Sum: state.GetSum()}
	if req.GetScript().GetReturnState() {
		res.State = state
	}
	return res, nil
}

func (a *probe) Read(ctx context.Context, view behaviourv1francis.ProbeActorView, req *behaviourv1.ReadRequest) (*behaviourv1.ReadResponse, error) {
	state := view.State()
	if req.GetScript().GetWrite() {
		state.Sum = -1
	}
	if err := a.play(ctx, view, req.GetScript()); err != nil {
		return nil, err
	}
	res := &behaviourv1.ReadResponse{
		Sum: state.GetSum(), Version: view.Version(), Constructed: a.probes.Constructed(view.ID()), Metadata: map[string]string{},
	}
	maps.Insert(res.Metadata, view.Metadata().All())
	if req.GetScript().GetReturnState() {
		res.State = state
	}
	return res, nil
}

func (a *probe) Impatient(ctx context.Context, turn behaviourv1francis.ProbeActorTurn, req *behaviourv1.ImpatientRequest) (*behaviourv1.ImpatientResponse, error) {
	res := &behaviourv1.ImpatientResponse{}
	if at, ok := ctx.Deadline(); ok {
		res.Left = durationpb.New(time.Until(at))
	}
	return res, a.play(ctx, turn, req.GetScript())
}

// play does what a script says.
func (a *probe) play(ctx context.Context, caller sdk.Caller, script *behaviourv1.Script) error {
	if name := script.GetWait(); name != "" {
		gate := a.probes.gate(name)
		gate.arrived <- struct{}{}
		<-gate.open
	}
	if script.GetSleep() != nil {
		select {
		case <-time.After(script.GetSleep().AsDuration()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if script.GetCallService() {
		caller = a.probes.Service
	}
	if err := call(ctx, caller, script); err != nil {
		return err
	}
	if other := script.GetHaltOther(); other != "" {
		if err := sdk.Halt(ctx, behaviourv1francis.NewProbeActorProxy(caller, other).Ref); err != nil {
			return err
		}
	}
	return end(script)
}

// call calls the first actor on the path, which calls the next.
func call(ctx context.Context, caller sdk.Caller, script *behaviourv1.Script) error {
	if len(script.GetCall()) == 0 {
		return nil
	}
	next := behaviourv1francis.NewProbeActorProxy(caller, script.GetCall()[0])
	if script.GetDelete() {
		return sdk.Delete(ctx, next.Ref)
	}
	rest := &behaviourv1.Script{Call: script.GetCall()[1:], CallViews: script.GetCallViews(), CallService: script.GetCallService()}
	if script.GetCallViews() {
		_, err := next.Read(ctx, &behaviourv1.ReadRequest{Script: rest})
		return err
	}
	_, err := next.Add(ctx, &behaviourv1.AddRequest{In: 1, Script: rest})
	return err
}

// end ends a method the way its script says.
func end(script *behaviourv1.Script) error {
	switch {
	case script.GetPanic() != "":
		panic(script.GetPanic())
	case script.GetGoexit():
		runtime.Goexit()
	case script.GetFail() != "":
		return errors.New(script.GetFail())
	case script.GetFailCode() != 0:
		return connect.NewError(connect.Code(script.GetFailCode()), "as told")
	}
	return nil
}

// relay has no state.
type relay struct{}

// NewRelay is the constructor of relays.
func NewRelay(context.Context, *behaviourv1francis.RelayActorActivation) (behaviourv1francis.RelayActor, error) {
	return relay{}, nil
}

func (relay) Send(ctx context.Context, turn behaviourv1francis.RelayActorTurn, req *behaviourv1.SendRequest) (*behaviourv1.SendResponse, error) {
	if req.GetLater() {
		_, err := behaviourv1francis.NewProbeActorProxy(turn, req.GetProbe()).EnqueueAdd(ctx, &behaviourv1.AddRequest{In: req.GetIn()})
		return &behaviourv1.SendResponse{Relay: req.GetRelay()}, err
	}
	res, err := behaviourv1francis.NewProbeActorProxy(turn, req.GetProbe()).Add(ctx, &behaviourv1.AddRequest{In: req.GetIn()})
	return &behaviourv1.SendResponse{Relay: req.GetRelay(), Sum: res.GetSum()}, err
}

func (relay) Number(_ context.Context, _ behaviourv1francis.RelayActorView, req *behaviourv1.NumberRequest) (*behaviourv1.NumberResponse, error) {
	return &behaviourv1.NumberResponse{Number: req.GetNumber()}, nil
}
