package sdk

import (
	"context"
	"iter"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// ActorInfo is an actor that has a state, as it was when it was listed.
type ActorInfo struct {
	// ID is its id.
	ID string
	// Version counts the records that it has committed.
	Version uint64
	// StateSize is how large its encoded state is, in bytes.
	StateSize uint64
}

// ListOption says which actors are listed.
type ListOption interface {
	applyToList(req *runtimev1.ListActorsRequest)
}

// WithIDPrefix lists only the actors whose ids begin with prefix, of whole characters.
// Default: all.
func WithIDPrefix(prefix string) ListOption { return idPrefix(prefix) }

type idPrefix string

func (p idPrefix) applyToList(req *runtimev1.ListActorsRequest) { req.Prefix = string(p) }

// StartAfter lists only the actors that come after an id, whether there is such an actor or
// not: so a list goes on where another one was left. Default: from the beginning.
func StartAfter(id string) ListOption { return startAfter(id) }

type startAfter string

func (s startAfter) applyToList(req *runtimev1.ListActorsRequest) { req.After = string(s) }

// longPage is how many actors a page has. The first one is short, since many who list want
// no more than a few.
const longPage = 1_000

// ListActors yields the actors of a type that have a state, in the order of their ids, byte
// by byte, whether they are in memory or not. What was committed and acknowledged before the
// loop begins is seen. Pages are read as the loop goes on, and do not shift: an actor that
// has a state from the beginning of the loop to its end is listed once; one that gets or
// loses it meanwhile may be listed or not. An error ends the loop.
//
// The caller is the service of a host, a turn or a view. A [Gateway] lists no actors: it is
// as open to others as the application makes it.
func ListActors(ctx context.Context, caller Caller, typ string, opts ...ListOption) iter.Seq2[ActorInfo, error] {
	return func(yield func(ActorInfo, error) bool) {
		if caller == nil {
			yield(ActorInfo{}, connect.Errorf(connect.CodeInvalidArgument, "the list of %s has no caller; pass a host's Service() or a turn", typ))
			return
		}
		req := &runtimev1.ListActorsRequest{Type: typ}
		for _, opt := range opts {
			opt.applyToList(req)
		}
		for more := true; more; more = req.GetAfter() != "" {
			page, err := caller.ListActors(ctx, req)
			if err != nil {
				yield(ActorInfo{}, err)
				return
			}
			for _, a := range page.GetActors() {
				if !yield(ActorInfo{ID: a.GetId(), Version: a.GetVersion(), StateSize: a.GetSize()}, nil) {
					return
				}
			}
			req = &runtimev1.ListActorsRequest{Type: typ, Prefix: req.GetPrefix(), After: page.GetNext(), Limit: longPage}
		}
	}
}
