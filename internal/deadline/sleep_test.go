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
