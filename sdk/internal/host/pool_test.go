package host

import (
	"sync"
	"testing"
	"testing/synctest"
)

type work func()

func (w work) execute() job {
	w()
	return nil
}

// Work that never ends delays no other work.
func TestPoolNeverWaitsForWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool()
		release := make(chan struct{})
		var done sync.WaitGroup
		for n := range 1000 {
			done.Add(1)
			p.run(work(func() {
				if n%3 == 0 {
					done.Done()
					<-release
					return
				}
				done.Done()
			}))
		}
		done.Wait() // a deadlock, if one of them waited
		close(release)
		p.release()
		p.wait()
	})
}

// Work of work is done too, on whichever goroutines.
func TestPoolTakesWorkOfWork(t *testing.T) {
	t.Parallel()
	p := newPool()
	var done sync.WaitGroup
	done.Add(1 << 10)
	var split func(n int) work
	split = func(n int) work {
		return func() {
			if n == 0 {
				done.Done()
				return
			}
			p.run(split(n - 1))
			p.run(split(n - 1))
		}
	}
	p.run(split(10))
	done.Wait()
	p.release()
	p.wait()
}

func TestPoolKeepsFewGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool()
		release := make(chan struct{})
		for range 4 * maxIdle {
			p.run(work(func() { <-release }))
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if p.idle > maxIdle {
			t.Errorf("%d goroutines are kept", p.idle)
		}
		p.release()
		p.wait()
		if p.idle != 0 {
			t.Errorf("%d goroutines are counted after the end", p.idle)
		}
	})
}

func TestFIFO(t *testing.T) {
	t.Parallel()
	var f fifo[int]
	next, want := 0, 0
	for round := range 100 {
		for range round % 7 {
			f.push(next)
			next++
		}
		for range round % 5 {
			got, more := f.pop()
			if want == next {
				if got != 0 || more {
					t.Fatalf("an empty queue gave %d, %v", got, more)
				}
				continue
			}
			if got != want || more != (want+1 < next) {
				t.Fatalf("got %d, %v; want %d", got, more, want)
			}
			want++
		}
	}
	if cap(f.items) > 512 {
		t.Errorf("the queue holds %d places", cap(f.items))
	}
}

func BenchmarkPool(b *testing.B) {
	p := newPool()
	var done sync.WaitGroup
	j := work(func() { done.Done() })
	b.ReportAllocs()
	for b.Loop() {
		done.Add(64)
		for range 64 {
			p.run(j)
		}
		done.Wait()
	}
	p.release()
	p.wait()
}
