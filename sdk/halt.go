package sdk

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Halt ends the activation of an actor, wherever it lives, for example of the one that a
// proxy calls:
//
//	err := sdk.Halt(ctx, proxy.Ref)
//
// It does so as idleness would, after the calls that wait already: what they changed is
// committed, the OnDeactivate hooks run, and Halt returns when all that has ended. State,
// alarms and jobs stay, and the next call constructs the actor anew. To halt one that is not
// in memory is no mistake, and does nothing. Where ctx ends first, or, without a
// deadline, after 30 seconds, it fails, and the activation ends all the same. It waits among
// the calls of the actor, and is refused like them where too many do (resource_exhausted).
//
// A turn halts itself by its own method Halt, and not by this function, for which it would
// wait: that fails as a cycle, as it does for every actor that waits for the turn. A view
// halts nobody. [Gateway] halts no actors (permission_denied).
func Halt(ctx context.Context, ref Ref, opts ...CallOption) error {
	// As a view it may be sent twice.
	_, err := CallView[emptypb.Empty](ctx, ref, actor.HaltProcedure, &emptypb.Empty{}, opts...)
	return err
}
