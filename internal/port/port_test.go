package port

import (
	"net"
	"testing"
)

// Whoever knows the address may listen there, leave and come back.
func TestReservedPortIsForWhoNamesIt(t *testing.T) {
	t.Parallel()
	address := Reserve(t)
	if other := Reserve(t); other == address {
		t.Errorf("%s is reserved twice", address)
	}
	for range 3 {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		listener.Close()
	}
}
