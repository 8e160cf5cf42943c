package limit

import (
	"math"
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
		"state ttl":    {CheckStateTTL, time.Second, 3650 * day, "state_ttl is -1s; it must be between 1s and 87600h0m0s"},
		"idle timeout": {CheckIdleTimeout, time.Millisecond, 365 * day, "idle_timeout is -1s; it must be between 1ms and 8760h0m0s"},
		"backoff":      {func(d time.Duration) error { return CheckBackoff("max_backoff", d) }, time.Millisecond, day, "max_backoff is -1s; it must be between 1ms and 24h0m0s"},
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

func TestCheckAttempts(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		1:     "",
		1_000: "",
		0:     "max_attempts is 0; it must be between 1 and 1000",
		-1:    "max_attempts is -1; it must be between 1 and 1000",
		1_001: "max_attempts is 1001; it must be between 1 and 1000",
	} {
		if err := CheckAttempts(n); text(err) != want {
			t.Errorf("error %q\nwant  %q", text(err), want)
		}
	}
}

func TestCheckMultiplier(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		1:            "",
		1.5:          "",
		100:          "",
		0.99:         "multiplier is 0.99; it must be between 1 and 100",
		-2:           "multiplier is -2; it must be between 1 and 100",
		100.5:        "multiplier is 100.5; it must be between 1 and 100",
		math.Inf(1):  "multiplier is +Inf; it must be between 1 and 100",
		math.Inf(-1): "multiplier is -Inf; it must be between 1 and 100",
	} {
		if err := CheckMultiplier(f); text(err) != want {
			t.Errorf("error %q\nwant  %q", text(err), want)
		}
	}
	if err := CheckMultiplier(math.NaN()); text(err) != "multiplier is NaN; it must be between 1 and 100" {
		t.Errorf("error %q", text(err))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The defaults are settings like any other.
func TestDefaultsAreWithinRange(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"IdleTimeout": CheckIdleTimeout(IdleTimeout),
		"CallTimeout": CheckTimeout(CallTimeout),
		"MaxPending":  CheckMaxPending(MaxPending),
		"Attempts":    CheckAttempts(Attempts),
		"Multiplier":  CheckMultiplier(BackoffMultiplier),
		"Initial":     CheckBackoff("initial_backoff", InitialBackoff),
		"Max":         CheckBackoff("max_backoff", LongestBackoff),
	} {
		if err != nil {
			t.Errorf("the default %s is refused: %v", name, err)
		}
	}
}
