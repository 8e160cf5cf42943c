// Package actor is the vocabulary between the typed face that generated code uses
// (package sdk) and the host that runs actors: the same things without their type
// parameters.
package actor

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
)

// KeyHeader carries the idempotency key of a call over HTTP.
const KeyHeader = "Idempotency-Key"

// IDHeader carries the actor id of a call over HTTP, percent-encoded.
const IDHeader = "Francis-Actor-Id"

// DeleteProcedure names the method that every actor has beside those of its contract, by
// which hosts have it deleted. It takes and returns google.protobuf.Empty. The gateway does
// not serve it.
const DeleteProcedure = "/francis.v1.Actor/Delete"

// ActiveHeader says over HTTP that a call is only for an actor in memory: "true".
const ActiveHeader = "Francis-Only-If-Active"

// HaltProcedure names what every actor has beside the methods of its contract, by which
// hosts have its activation ended. It takes and returns google.protobuf.Empty. The gateway
// does not serve it.
const HaltProcedure = "/francis.v1.Actor/Halt"

// Type is an actor type as it was registered: its contract, the settings that
// registration overrode, and how to make and call an actor. It is immutable.
type Type struct {
	*contract.Contract
	// Bound are the methods by procedure, "/package.Service/Method".
	Bound map[string]*Method
	// StateType is the message type of the state; nil for an actor without state.
	StateType protoreflect.MessageType
	// New makes the actor that an activation holds.
	New func(ctx context.Context, activation Activation) (any, error)
}

// Method is one method of an actor type.
type Method struct {
	contract.Method
	// Request and Reply are the message types.
	Request, Reply Message
	// Run calls the method. The request is a message of the type Request.
	Run func(ctx context.Context, instance any, turn Turn, req proto.Message) (proto.Message, error)
}

// Message is a message type that generated code knows: without reflection an empty
// message costs no more than its memory.
type Message struct {
	// New makes an empty message.
	New func() proto.Message
	// Copy copies a message; the copy of a nil pointer is an empty message.
	Copy func(proto.Message) proto.Message
}

// Call is a request to one method of one actor.
type Call struct {
	Type      string
	ID        string
	Procedure string
	// View is true where the caller's contract declares the method a view.
	View bool
	// Once keeps the proxy from sending the call again.
	Once bool
	// OnlyIfActive lets the call fail where the actor is not in memory.
	OnlyIfActive bool
	// Codec, where it is set, says how Body encodes the request, which is nil then; the
	// reply is encoded alike.
	Codec peerv1.Codec
	Body  []byte
	// Request is only read, and only until Invoke returns.
	Request proto.Message
	// Reply is any message of the reply's type, also a nil pointer.
	Reply proto.Message
	// Key, where it is set, makes repetitions of the call return the reply of the
	// first one that was committed. Views ignore it.
	Key string
	// Timeout bounds the call beside the deadline of its context; 0 is none.
	Timeout time.Duration
	// Later, where it is set, lets the method be called later: as an alarm or a job. There
	// is no reply then.
	Later *Later
}

// Caller delivers calls, and looks after alarms and jobs. The reply belongs to who called.
type Caller interface {
	Invoke(ctx context.Context, call Call) (proto.Message, error)
	// Change deletes a task or decides about a dead letter (delete, revive or bury): in a
	// turn with its commit, else at once.
	Change(ctx context.Context, change *runtimev1.TaskChange) error
	// List lists tasks, as they are stored.
	List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error)
	// ListActors lists the actors of a type that have a state, as they are stored.
	ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error)
}

// Turn is one run of a method: a turn, or a view.
type Turn interface {
	Caller
	ID() string
	Version() uint64
	// State is the state of the actor: the live one in a turn, a snapshot in a view.
	State() proto.Message
	Metadata() Metadata
	// Delete lets the commit of the turn delete the actor.
	Delete(ctx context.Context) error
	// Halt lets the activation end after the turn, however that ends.
	Halt()
	// Delivery is the alarm or job that the turn handles; nil for a call.
	Delivery() *Delivery
	Log() *slog.Logger
}

// Activation is one stay of an actor in memory.
type Activation interface {
	ID() string
	Version() uint64
	// State is a snapshot of the state that was loaded.
	State() proto.Message
	OnDeactivate(hook func(context.Context))
	Log() *slog.Logger
}
