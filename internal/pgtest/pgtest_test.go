package pgtest

import (
	"net"
	"testing"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := Start(t)
	if a, b := s.Database(t), s.Database(t); a == b {
		t.Errorf("two databases have the name %s", a)
	}
	address := s.Address()
	for _, how := range []struct {
		name string
		stop func()
	}{
		{"fast", func() { s.Restart(t, Fast) }},
		{"immediate", func() { s.Restart(t, Immediate) }},
	} {
		how.stop()
		s.Database(t)
		if s.Address() != address {
			t.Errorf("after a restart (%s) it listens on %s instead of %s", how.name, s.Address(), address)
		}
	}
	s.Stop(t, Fast)
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("it answers although it was stopped")
	}
}
