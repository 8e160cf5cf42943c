package port

import (
	"net"
	"testing"
)

// While nobody listens on a reserved port, no connection and no listener that takes any port
// gets it. By chance alone, they would get some two hundred.
func TestReservedPortIsNotGivenAway(t *testing.T) {
	t.Parallel()
	reserved := map[string]bool{}
	for range 500 {
		reserved[Reserve(t)] = true
	}
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for range 5_000 {
		conn, err := net.Dial("tcp", target.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{conn.LocalAddr().String(), listener.Addr().String()} {
			if reserved[address] {
				t.Errorf("%s is given away", address)
			}
		}
		conn.Close()
		listener.Close()
	}
}
