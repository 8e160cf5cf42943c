package deadline

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkSetStop is what a call with a deadline pays, beside the floor: a timer
// for each. Others wait in the queue meanwhile, or have timers of their own.
func BenchmarkSetStop(b *testing.B) {
	for _, others := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("floor=AfterFunc/others=%d", others), func(b *testing.B) {
			benchmark(b, others, func() func() {
				return func() { time.AfterFunc(time.Minute, func() {}).Stop() }
			})
		})
		b.Run(fmt.Sprintf("queue/others=%d", others), func(b *testing.B) {
			queue := NewQueue()
			for i := range others {
				queue.Set(&Entry{}, nobody{}, time.Hour+time.Duration(i))
			}
			benchmark(b, 0, func() func() {
				e := new(Entry) // a part of what a call allocates anyway
				return func() {
					queue.Set(e, nobody{}, queue.Now()+time.Minute)
					queue.Stop(e)
				}
			})
		})
	}
}

// benchmark runs what each of several goroutines starts, alone and beside others.
func benchmark(b *testing.B, timers int, start func() func()) {
	b.Helper()
	for range timers {
		defer time.AfterFunc(time.Hour, func() {}).Stop()
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		one := start()
		for b.Loop() {
			one()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			one := start()
			for pb.Next() {
				one()
			}
		})
	})
}

type nobody struct{}

func (nobody) Wake() {}
