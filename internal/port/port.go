// Package port keeps TCP ports for the processes that tests start, kill and start again.
package port

import "testing"

// Reserve returns an address on loopback whose port is kept for a process of the test until
// the test ends: on Linux the system gives it to no connection and to nobody who listens on
// any port, also while that process is away. Elsewhere it is merely free now.
func Reserve(t testing.TB) string {
	t.Helper()
	address, free, err := reserve()
	if err != nil {
		t.Fatalf("reserve a port: %v", err)
	}
	t.Cleanup(free)
	return address
}
