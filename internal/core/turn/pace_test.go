package turn

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// each is how long a turn lasts, and asks how often somebody is refused.
		each, asks time.Duration
		waiting    int
		want       time.Duration
	}{
		"short turns":    {100 * time.Microsecond, time.Millisecond, 1000, 50 * time.Millisecond},
		"longer turns":   {2 * time.Millisecond, time.Millisecond, 1000, time.Second},
		"seldom asked":   {2 * time.Millisecond, time.Second, 1000, time.Second},
		"very long ones": {10 * time.Second, 10 * time.Millisecond, 8, 5 * time.Second},
		"long, few":      {200 * time.Millisecond, 10 * time.Millisecond, 4, 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p Pace
			if got := p.Advise(time.Hour, test.waiting); got != leastPause {
				t.Errorf("the first one is told %v", got)
			}
			left, got := time.Hour, time.Duration(0)
			for now := time.Hour + test.asks; now < time.Hour+9*time.Second; now += test.asks {
				for ; left+test.each <= now; left += test.each {
					p.Leave()
				}
				got = p.Advise(now, test.waiting)
			}
			if got < test.want*4/5 || got > test.want*6/5 {
				t.Errorf("the advice is %v, want about %v", got, test.want)
			}
		})
	}
}
