// Package sdk is what an actor's author imports: the turn and view that methods
// receive, the options of registration and calls, the callers that proxies use,
// and the errors they return. Most of it is bound by code that protoc-gen-francis
// writes from a contract:
//
//	service MyActor {
//	  option (francis.v1.actor) = { type: "myactor"  state: "MyActorState" };
//
//	  rpc Increment(IncrementRequest) returns (IncrementResponse);
//	  rpc Get(GetRequest) returns (GetResponse) { option idempotency_level = NO_SIDE_EFFECTS; }
//	}
//
// An actor implements the generated interface:
//
//	func (c *counter) Increment(ctx context.Context, turn myactorv1francis.MyActorTurn, req *myactorv1.IncrementRequest) (*myactorv1.IncrementResponse, error) {
//		turn.State().Counter += req.GetIn()
//		return &myactorv1.IncrementResponse{Out: proto.Int32(turn.State().GetCounter())}, nil
//	}
//
// # Turns
//
// A turn is one run of one method of one actor, and a transaction. Turns of one
// actor run one at a time, in the order in which their calls arrived. When the
// method returns nil, what it did to the state is committed and then the reply
// leaves; when it returns an error or panics, none of it happened. There is no
// Save. Fields of the actor value are a cache: an error leaves them alone, and
// after a panic or a failed commit the constructor makes a new value.
//
// A method declared NO_SIDE_EFFECTS is a view. Views run beside each other, never
// beside a turn; their state is a snapshot, and a write to it is never committed.
//
// # Calls
//
// A proxy calls one actor through a [Caller]: the Service of a host or a client, a turn
// or view (which make the call part of their chain), or [Gateway]. A call to an actor
// that waits in the chain of the call already, fails at once instead of hanging. A
// call to another actor happens at once and is not undone if the turn fails.
//
// A proxy sends a call again where that is safe: when nothing happened, and a view or a
// call with an idempotency key ([WithIdempotencyKey]) also when nobody knows what
// happened. [WithoutRetries] keeps it from that.
//
// # Alarms and jobs
//
// Any method that is no view can be called later: a proxy has Schedule… for alarms, which
// have a name and may come again and again ([When]), and Enqueue… for jobs. In a turn, by
// its Self or by a proxy on it, they are part of the transaction. What is due is delivered
// at least once, and takes effect on the state exactly once; one that fails is tried again
// as its contract says, and becomes a dead letter in the end ([Later]).
//
// # Errors
//
// Every error of a call is a *connect.Error. [Retryable], [OutcomeOf] and
// [RetryAfter] say whether to try again. A method may return a *connect.Error with
// a code of its choice; the text of any other error stays in the worker's log.
package sdk
