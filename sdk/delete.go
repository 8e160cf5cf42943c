package sdk

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Delete deletes an actor, wherever it lives, for example the one that a proxy calls:
//
//	err := sdk.Delete(ctx, proxy.Ref)
//
// It runs as a turn of the actor, after the calls that wait already, and does what
// [StatelessTurn.Delete] does: state, alarms, jobs, dead letters and idempotency keys go in
// one commit, and the actor's identity stays for an hour. The actor's OnDeactivate hooks
// run, and none of its methods; the next call constructs it anew. To delete one that is not
// there is no mistake. A turn deletes itself by its own method Delete, and not by this
// function, for which it would wait.
//
// A [Gateway] deletes no actors, since it serves whoever reaches it: declare an rpc for that
// whose method decides who may, and calls turn.Delete.
func Delete(ctx context.Context, ref Ref, opts ...CallOption) error {
	_, err := CallTurn[emptypb.Empty](ctx, ref, actor.DeleteProcedure, &emptypb.Empty{}, opts...)
	return err
}
