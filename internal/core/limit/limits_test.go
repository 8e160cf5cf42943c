package limit

import (
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limits Limits
		want   string
	}{
		"defaults":         {Limits{}, ""},
		"the least":        {Limits{1024, 1024, 1, 1, time.Millisecond}, ""},
		"message too low":  {Limits{Message: 1023}, "the limit Message is 1023; it must be between 1024 and 4194304"},
		"message too high": {Limits{Message: 4<<20 + 1}, "the limit Message is 4194305; it must be between 1024 and 4194304"},
		"state too high":   {Limits{State: 1<<20 + 1}, "the limit State is 1048577; it must be between 1024 and 1048576"},
		"metadata below 1": {Limits{Metadata: -1}, "the limit Metadata is -1; it must be between 1 and 4096"},
		"chain too deep":   {Limits{ChainDepth: 65}, "the limit ChainDepth is 65; it must be between 1 and 64"},
		"absurd timeout":   {Limits{CallTimeout: 25 * time.Hour}, "timeout is 25h0m0s; it must be between 1ms and 24h0m0s"},
		"two at once":      {Limits{Metadata: -1, ChainDepth: -1}, "the limit Metadata is -1; it must be between 1 and 4096\nthe limit ChainDepth is -1; it must be between 1 and 64"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := test.limits.WithDefaults().Check(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}
