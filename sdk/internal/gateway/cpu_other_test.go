//go:build !unix

package gateway_test

import "time"

// cpuTime is not known here; the bounds on processor time hold by themselves.
func cpuTime() time.Duration { return 0 }
