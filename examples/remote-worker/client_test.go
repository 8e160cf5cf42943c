package main_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

// dial returns a client of the cluster, which is closed when the test ends.
func (c *cluster) dial() *remote.Client {
	c.t.Helper()
	pem, err := os.ReadFile(filepath.Join(c.folder, "ca.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	client, err := remote.Dial(ctx,
		remote.WithRuntimeAddresses("127.0.0.1:1", c.runtime), // the first is dead
		remote.WithHostBootstrapPSK([]byte("example-host-bootstrap-psk-change-me")), remote.WithPinnedCA(pem),
	)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := client.Close(); err != nil {
			c.t.Error(err)
		}
	})
	return client
}

// A client of this process calls, while the runtime and the workers are killed, leave and
// come back: every call with a key is answered, and counts once.
func TestAClientSurvives(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	runtime := c.startRuntime()
	workers := [2]*process{c.startWorker(0), c.startWorker(1)}
	client := c.dial()
	ids := []string{"id1", "id2", "id3", "id4"} // of both workers, in all likelihood
	counted := int32(0)
	increment := func(when string) {
		t.Helper()
		counted++
		for _, id := range ids {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			res, err := myactorv1francis.NewMyActorProxy(client.Service(), id).
				Increment(ctx, &myactorv1.IncrementRequest{In: 1}, sdk.WithIdempotencyKey(when), sdk.WithTimeout(patience))
			cancel()
			if err != nil || res.GetOut() != counted {
				t.Errorf("%s, %s counts %d, %v; want %d", when, id, res.GetOut(), err, counted)
			}
		}
	}
	increment("all is well")

	runtime.kill()
	restarted := make(chan *process, 1)
	go func() { restarted <- c.startRuntime() }()
	increment("the runtime comes back")
	runtime = <-restarted

	workers[0].kill()
	increment("a worker is dead")
	workers[0] = c.startWorker(0)
	workers[1].stop()
	increment("the other one has left")

	workers[0].stop()
	runtime.stop()
}
