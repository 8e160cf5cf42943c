package francistest_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// BenchmarkCall calls one actor in process. The floor is a round trip between two
// goroutines: what any hand-off to an actor's own goroutine would cost.
func BenchmarkCall(b *testing.B) {
	b.Run("floor=channel", benchmarkChannel)
	b.Run("turn=unchanged", func(b *testing.B) { benchmarkAdd(context.Background(), b, 0) })
	b.Run("turn=committed", func(b *testing.B) { benchmarkAdd(context.Background(), b, 1) })
	b.Run("turn=deadline", func(b *testing.B) { benchmarkAdd(b.Context(), b, 0) })
	b.Run("view", benchmarkRead)
}

// BenchmarkWarmCall calls actors that are in memory, in a mixed order. What a call of many
// costs more than one of a few is what it fetches from memory that is in no cache.
func BenchmarkWarmCall(b *testing.B) {
	for _, actors := range []int{1000, 300_000} {
		b.Run("actors="+strconv.Itoa(actors), func(b *testing.B) { benchmarkWarm(b, actors) })
	}
}

func benchmarkWarm(b *testing.B, actors int) {
	b.Helper()
	caller := startProbes(b)
	add := func(n int, in int64) {
		id := fmt.Sprintf("stored-%07d", n)
		if _, err := behaviourv1francis.NewProbeActorProxy(caller, id).Add(context.Background(), &behaviourv1.AddRequest{In: in}); err != nil {
			b.Fatal(err)
		}
	}
	for n := range actors {
		add(n, 1)
	}
	runtime.GC()
	const prime = 15_485_863 // mixes the order, and leaves nobody out
	n := 0
	for b.Loop() {
		add(n*prime%actors, 0)
		n++
	}
}

func benchmarkChannel(b *testing.B) {
	ping, pong := make(chan int), make(chan int)
	defer close(ping)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	for b.Loop() {
		ping <- 1
		<-pong
	}
}

func benchmarkAdd(ctx context.Context, b *testing.B, in int64) {
	b.Helper()
	proxy := behaviourv1francis.NewProbeActorProxy(startProbes(b), "id1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := proxy.Add(ctx, &behaviourv1.AddRequest{In: in}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkRead(b *testing.B) {
	proxy := behaviourv1francis.NewProbeActorProxy(startProbes(b), "id1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := proxy.Read(context.Background(), &behaviourv1.ReadRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

func startProbes(b *testing.B) sdk.Caller {
	b.Helper()
	host := francistest.Start(b)
	probes := &behaviour.Probes{Service: host.Service()}
	if err := behaviourv1francis.RegisterProbeActor(host, probes.New); err != nil {
		b.Fatal(err)
	}
	return host.Service()
}

// A turn that changes nothing allocates little more than its messages: request and
// reply, and a copy of each.
func TestCallAllocates(t *testing.T) {
	host := francistest.Start(t)
	probes := &behaviour.Probes{Service: host.Service()}
	if err := behaviourv1francis.RegisterProbeActor(host, probes.New); err != nil {
		t.Fatal(err)
	}
	proxy := behaviourv1francis.NewProbeActorProxy(host.Service(), "id1")
	const most = 4 + 3
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := proxy.Add(context.Background(), &behaviourv1.AddRequest{}); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > most {
		t.Errorf("a call allocates %v times, want at most %d", allocations, most)
	}
}
