package local

import (
	"context"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
)

// BenchmarkHotActor adds to one actor from several callers at a time. A round is a record
// and the turns that it carries; with one caller it is hardly more than the commit. Command
// bench has the figures beside their floors.
func BenchmarkHotActor(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) { benchmarkHotActor(b, callers) })
	}
}

func benchmarkHotActor(b *testing.B, callers int) {
	hot := myactorv1francis.NewMyActorProxy(startHot(b), "id1")
	var calls sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for n := range callers {
		calls.Go(func() {
			for range (b.N + n) / callers {
				if _, err := hot.Increment(context.Background(), &myactorv1.IncrementRequest{In: 1}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	calls.Wait()
	b.StopTimer()
	res, err := hot.Get(context.Background(), &myactorv1.GetRequest{})
	if err != nil {
		b.Fatal(err)
	}
	records := float64(res.GetOut())
	b.ReportMetric(float64(b.N)/records, "turns/record")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/records, "µs/record")
}

// BenchmarkManyActors adds to 1,000 actors in turn, from several callers at a time.
func BenchmarkManyActors(b *testing.B) {
	for _, callers := range []int{64, 256} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) { benchmarkManyActors(b, callers) })
	}
}

func benchmarkManyActors(b *testing.B, callers int) {
	service := startHot(b)
	many := make([]myactorv1francis.MyActorProxy, 1000)
	for n := range many {
		many[n] = myactorv1francis.NewMyActorProxy(service, "actor-"+strconv.Itoa(n))
		if _, err := many[n].Get(context.Background(), &myactorv1.GetRequest{}); err != nil {
			b.Fatal(err)
		}
	}
	var calls sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for n := range callers {
		calls.Go(func() {
			for i := n; i < b.N; i += callers {
				if _, err := many[i%len(many)].Increment(context.Background(), &myactorv1.IncrementRequest{In: 1}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	calls.Wait()
}

// startHot is the service of a host on SQLite.
func startHot(b *testing.B) sdk.Caller {
	b.Helper()
	h, err := NewHost(WithLogger(quiet), WithSQLite(filepath.Join(b.TempDir(), "data.db")))
	if err != nil {
		b.Fatal(err)
	}
	if err := myactorv1francis.RegisterMyActor(h, newHot); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	<-h.Ready()
	return h.Service()
}

// hot is a counter that tells how many records it took instead of what it has counted.
type hot struct{ counter }

func newHot(context.Context, *myactorv1francis.MyActorActivation) (myactorv1francis.MyActor, error) {
	return hot{}, nil
}

func (hot) Get(_ context.Context, view myactorv1francis.MyActorView, _ *myactorv1.GetRequest) (*myactorv1.GetResponse, error) {
	return &myactorv1.GetResponse{Out: proto.Int32(int32(view.Version()))}, nil
}
