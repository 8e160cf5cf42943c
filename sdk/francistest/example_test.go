package francistest_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk/francistest"
)

// counter counts; all that it remembers is its state.
type counter struct {
	myactorv1francis.UnimplementedMyActor
}

func newCounter(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return counter{}, nil
}

func (counter) Increment(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	turn.State().Counter += req.GetIn()
	return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
}

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	host, err := francistest.NewHost(francistest.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		log.Fatal(err)
	}
	if err := myactorv1francis.RegisterMyActor(host, newCounter); err != nil {
		log.Fatal(err)
	}
	counter := myactorv1francis.NewMyActorProxy(host.Service(), "id1")
	for range 2 {
		res, err := counter.Increment(ctx, &myactorv1.IncrementRequest{In: 42})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(res.GetOut())
	}

	stop()
	if err := host.Run(ctx); err != nil { // drains: every activation ends
		log.Fatal(err)
	}
	// Output:
	// 42
	// 84
}
