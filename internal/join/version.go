package join

import (
	"connectrpc.com/connect/v2"

	"github.com/francis-actors/francis/internal/release"
)

// versions is a range of protocol versions, both ends included.
type versions struct{ oldest, newest uint32 }

// spoken are the versions of this release.
var spoken = versions{oldest: release.OldestProtocol, newest: release.NewestProtocol}

// clientsSince is the first version that knows clients. An older runtime would read the
// hello of one as that of a worker: a client speaks no older version, so it is told what to
// do instead.
const clientsSince = 2

// negotiate picks the newest version that both sides speak.
func negotiate(server, client versions) (uint32, error) {
	if client.oldest == 0 || client.oldest > client.newest {
		return 0, connect.Errorf(connect.CodeInvalidArgument, "the protocol versions %d to %d are no range", client.oldest, client.newest)
	}
	version := min(server.newest, client.newest)
	if version < max(server.oldest, client.oldest) {
		return 0, connect.Errorf(connect.CodeFailedPrecondition,
			"the runtime speaks versions %d to %d of the protocol and the worker %d to %d; upgrade the older one",
			server.oldest, server.newest, client.oldest, client.newest)
	}
	return version, nil
}

// holds reports whether version is in the range.
func (v versions) holds(version uint32) bool { return v.oldest <= version && version <= v.newest }
