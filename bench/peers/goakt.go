package main

import (
	"context"
	"fmt"
	"time"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/tochemey/goakt/v4/actor"
)

// askTimeout is the time of a call, which GoAkt and proto.actor cannot do without.
const askTimeout = time.Minute

// startSystem starts GoAkt without a cluster.
func startSystem(ctx context.Context) (actor.ActorSystem, error) {
	system, err := actor.NewActorSystem("bench", actor.WithLoggingDisabled())
	if err != nil {
		return nil, err
	}
	return system, system.Start(ctx)
}

// grains are GoAkt's virtual actors.
type grains struct {
	system actor.ActorSystem
	ids    []*actor.GrainIdentity
}

func startGrains(ctx context.Context, actors int) (peer, error) {
	system, err := startSystem(ctx)
	if err != nil {
		return nil, err
	}
	g := &grains{system: system}
	for i := range actors {
		id, err := system.GrainIdentity(ctx, actorID(i), newGrain, actor.WithGrainDeactivateAfter(time.Hour))
		if err != nil {
			return nil, err
		}
		g.ids = append(g.ids, id)
	}
	return g, nil
}

func (g *grains) add(ctx context.Context, i int, in int32) (int32, error) {
	return outOf(g.system.AskGrain(ctx, g.ids[i], &myactorv1.IncrementRequest{In: in}, askTimeout))
}

func (g *grains) stop(ctx context.Context) error { return g.system.Stop(ctx) }

// outOf is the number in a reply.
func outOf(reply any, err error) (int32, error) {
	if err != nil {
		return 0, err
	}
	res, ok := reply.(*myactorv1.IncrementResponse)
	if !ok {
		return 0, fmt.Errorf("the reply is a %T", reply)
	}
	return res.GetOut(), nil
}

// number is what an actor of any peer keeps.
type number struct{ n int32 }

func (n *number) add(req *myactorv1.IncrementRequest) *myactorv1.IncrementResponse {
	n.n += req.GetIn()
	out := n.n
	return &myactorv1.IncrementResponse{Out: &out}
}

type grain struct{ number }

func newGrain(context.Context) (actor.Grain, error) { return &grain{}, nil }

func (*grain) OnActivate(context.Context, *actor.GrainProps) error { return nil }

func (*grain) OnDeactivate(context.Context, *actor.GrainProps) error { return nil }

func (g *grain) OnReceive(ctx *actor.GrainContext) {
	if req, ok := ctx.Message().(*myactorv1.IncrementRequest); ok {
		ctx.Response(g.add(req))
		return
	}
	ctx.Unhandled()
}

// plain are GoAkt's actors that are not virtual: the caller holds the actor itself, which
// nobody has to find or to activate.
type plain struct {
	system actor.ActorSystem
	pids   []*actor.PID
}

func startPlain(ctx context.Context, actors int) (peer, error) {
	system, err := startSystem(ctx)
	if err != nil {
		return nil, err
	}
	p := &plain{system: system}
	for i := range actors {
		pid, err := system.Spawn(ctx, actorID(i), &local{}, actor.WithLongLived())
		if err != nil {
			return nil, err
		}
		p.pids = append(p.pids, pid)
	}
	return p, nil
}

func (p *plain) add(ctx context.Context, i int, in int32) (int32, error) {
	return outOf(actor.Ask(ctx, p.pids[i], &myactorv1.IncrementRequest{In: in}, askTimeout))
}

func (p *plain) stop(ctx context.Context) error { return p.system.Stop(ctx) }

type local struct{ number }

func (*local) PreStart(*actor.Context) error { return nil }

func (*local) PostStop(*actor.Context) error { return nil }

func (l *local) Receive(ctx *actor.ReceiveContext) {
	switch req := ctx.Message().(type) {
	case *actor.PostStart:
	case *myactorv1.IncrementRequest:
		ctx.Response(l.add(req))
	default:
		ctx.Unhandled()
	}
}
