package remote_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk/remote"
)

// BenchmarkCallAcrossWorkers calls actors of one worker through another one, all in one
// process: what a call costs both of them, for profiles. Command bench has the figures.
func BenchmarkCallAcrossWorkers(b *testing.B) {
	c := startCluster(b)
	caller := c.startCaller()
	const actors = 1000
	proxies := make([]myactorv1francis.MyActorProxy, actors)
	for i := range proxies {
		proxies[i] = myactorv1francis.NewMyActorProxy(caller.Service(), strconv.Itoa(i))
	}
	for _, callers := range []int{1, 64, 256} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			b.ReportAllocs()
			var calls sync.WaitGroup
			for n := range callers {
				calls.Go(func() {
					for i := range b.N / callers {
						if _, err := proxies[(n+i*callers)%actors].Increment(context.Background(), &myactorv1.IncrementRequest{}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			calls.Wait()
		})
	}
}

// startCaller is a worker that hosts nothing.
func (c *cluster) startCaller() *remote.Host { return c.join(c.newHost()) }
