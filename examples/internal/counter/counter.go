// Package counter is the actor that the examples serve; its contract is
// myactor.proto.
package counter

import (
	"context"

	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
)

// counter has no fields: all that it remembers is its state.
type counter struct{}

// New is the constructor of a counter.
func New(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return &counter{}, nil
}

// Increment adds to the counter. The change is committed when it returns nil.
func (*counter) Increment(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
	state := turn.State()
	state.Counter += req.GetIn()
	return &myactorv1.IncrementResponse{Out: proto.Int32(state.GetCounter())}, nil
}

// Get reads the counter.
func (*counter) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	return &myactorv1.GetResponse{Out: proto.Int32(view.State().GetCounter())}, nil
}

// Remind adds to the counter, and says in the log which alarm or job it was.
func (*counter) Remind(_ context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.RemindRequest) (*myactorv1.RemindResponse, error) {
	turn.State().Counter += req.GetIn()
	delivery, _ := turn.Delivery()
	turn.Log().Info("remind", "text", req.GetText(), "counter", turn.State().GetCounter(), "alarm", delivery.Alarm, "scheduled", delivery.Scheduled)
	return &myactorv1.RemindResponse{}, nil
}
