package boottime

import (
	"testing"
	"testing/synctest"
	"time"
)

// Time passes for a moment in a bubble, and while the machine sleeps.
func TestMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := Now()
		time.Sleep(time.Hour)
		if got := m.Since(); got != time.Hour {
			t.Errorf("%v after an hour", got)
		}
		m.boot -= 3 * time.Hour
		if got := m.Since(); got < 3*time.Hour || got > 4*time.Hour {
			t.Errorf("%v after three hours of sleep", got)
		}
	})
}
