// Package boottime is a clock that never jumps and that goes on while the machine is
// suspended. A lease must be counted by it: Go's monotonic clock stands still in a
// suspend on Linux (go.dev/issue/24595), so a worker that wakes up would believe in a
// lease that has long passed to another one.
package boottime

import "time"

// Clock is the time since some moment before the process began. It may be called
// concurrently.
type Clock func() time.Duration

// start is where the monotonic clock counts from, where there is no better one.
var start = time.Now()

// Monotonic is the clock of package time, which also testing/synctest replaces.
func Monotonic() time.Duration { return time.Since(start) }
