package sdk

import (
	"context"
	"net/http"
)

// Host is where a process has its actors: a worker of a cluster (sdk/remote), a host with
// its runtime in the same process (sdk/local), or that of the test kit (sdk/francistest).
// An application that holds one as a Host chooses by configuration which it is; only the
// construction differs. Its methods may be called concurrently. The interface is sealed.
type Host interface {
	Registrar
	// Service returns the caller for code outside turns. Calls wait, within their
	// deadlines, until the host can serve them.
	Service() Caller
	// Gateway returns the HTTP endpoints of all actors that the host can reach. The
	// application mounts and protects it, on a server with limits ([NewServer]).
	Gateway() http.Handler
	// Ready is closed once actors can be called.
	Ready() <-chan struct{}
	// Run serves until ctx ends; then the turns come to their end, within the host's
	// shutdown grace. Actors are registered before it. It is called once.
	Run(ctx context.Context) error
}
