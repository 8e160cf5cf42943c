//go:build !linux

package boottime

import "time"

// SinceBoot is the monotonic clock: on Windows it goes on in a suspend; on macOS and
// the BSDs nothing that Go offers does.
func SinceBoot() time.Duration { return Monotonic() }
