package limit

import (
	"testing"
	"time"
)

func TestCheckDurations(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	checks := map[string]struct {
		check func(time.Duration) error
		least time.Duration
		most  time.Duration
		text  string
	}{
		"idle timeout": {CheckIdleTimeout, time.Millisecond, 365 * day, "idle_timeout is -1s; it must be between 1ms and 8760h0m0s"},
		"timeout":      {CheckTimeout, time.Millisecond, day, "timeout is -1s; it must be between 1ms and 24h0m0s"},
	}
	for name, test := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, d := range []time.Duration{test.least, test.least + 1, time.Second, test.most - 1, test.most} {
				if err := test.check(d); err != nil {
					t.Errorf("%v is refused: %v", d, err)
				}
			}
			for _, d := range []time.Duration{-1 << 63, -time.Second, -1, 0, test.least - 1, test.most + 1, 1<<63 - 1} {
				if err := test.check(d); err == nil {
					t.Errorf("%v is accepted", d)
				}
			}
			if err := test.check(-time.Second); err.Error() != test.text {
				t.Errorf("error %q\nwant  %q", err, test.text)
			}
		})
	}
}

func TestCheckMaxPending(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		1:         "",
		1024:      "",
		1_000_000: "",
		0:         "max_pending is 0; it must be between 1 and 1000000",
		-1:        "max_pending is -1; it must be between 1 and 1000000",
		1_000_001: "max_pending is 1000001; it must be between 1 and 1000000",
	} {
		switch err := CheckMaxPending(n); {
		case err == nil && want != "":
			t.Errorf("%d is accepted", n)
		case err != nil && err.Error() != want:
			t.Errorf("error %q\nwant  %q", err, want)
		}
	}
}

// The defaults are settings like any other.
func TestDefaultsAreWithinRange(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"IdleTimeout": CheckIdleTimeout(IdleTimeout),
		"CallTimeout": CheckTimeout(CallTimeout),
		"MaxPending":  CheckMaxPending(MaxPending),
	} {
		if err != nil {
			t.Errorf("the default %s is refused: %v", name, err)
		}
	}
}
