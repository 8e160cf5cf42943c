package main

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/asynkron/protoactor-go/remote"
	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
)

const kind = "counter"

// protoActor is a cluster of one member, and its virtual actors.
type protoActor struct{ cluster *cluster.Cluster }

func startProtoActor(context.Context, int) (peer, error) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	props := actor.PropsFromProducer(func() actor.Actor { return &virtual{} })
	c := cluster.New(system, cluster.Configure("bench", test.NewTestProvider(test.NewInMemAgent()), disthash.New(),
		remote.Configure("127.0.0.1", 0), cluster.WithKinds(cluster.NewKind(kind, props))))
	c.StartMember()
	return &protoActor{c}, nil
}

func (p *protoActor) add(_ context.Context, i int, in int32) (int32, error) {
	return outOf(p.cluster.Request(actorID(i), kind, &myactorv1.IncrementRequest{In: in}, cluster.WithTimeout(askTimeout)))
}

func (p *protoActor) stop(context.Context) error {
	p.cluster.Shutdown(false)
	return nil
}

type virtual struct{ number }

func (v *virtual) Receive(ctx actor.Context) {
	if req, ok := ctx.Message().(*myactorv1.IncrementRequest); ok {
		ctx.Respond(v.add(req))
	}
}
