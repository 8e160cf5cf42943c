package deadline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		timeout time.Duration
		goesOn  bool
		took    time.Duration
	}{
		"the time passes":       {time.Hour, true, time.Minute},
		"the context ends":      {time.Second, false, time.Second},
		"the context has ended": {0, false, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				start := time.Now()
				if got := Sleep(ctx, time.Minute); got != test.goesOn || time.Since(start) != test.took {
					t.Errorf("Sleep returned %v after %v, want %v after %v", got, time.Since(start), test.goesOn, test.took)
				}
			})
		})
	}
}

func TestSleepUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(10 * time.Hour)
		if !SleepUntil(t.Context(), at) || !time.Now().Equal(at) {
			t.Errorf("it slept until %v, want %v", time.Now(), at)
		}
		if !SleepUntil(t.Context(), at) || !time.Now().Equal(at) {
			t.Error("it slept although the time is over")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if SleepUntil(ctx, at) || SleepUntil(ctx, at.Add(time.Hour)) || !time.Now().Equal(at) {
			t.Error("it went on although the context has ended")
		}
	})
}

// Who sleeps while the machine does wakes up when the time is over, though timers know
// nothing of what the machine slept.
func TestSleepUntilSeesASuspend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		left := func() time.Duration {
			left := 10*time.Hour - time.Since(began)
			if time.Since(began) >= time.Hour { // from when on the machine has slept half a day
				left -= 12 * time.Hour
			}
			return left
		}
		if !sleepWhile(t.Context(), left) || time.Since(began) > time.Hour+look {
			t.Errorf("it woke up %v after the suspend", time.Since(began)-time.Hour)
		}
	})
}
