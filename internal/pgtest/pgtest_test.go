package pgtest

import (
	"net"
	"path"
	"strings"
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
	s.Backup(t)
	later := s.Database(t)
	other := s.Copy(t)
	if other.Address() == address {
		t.Errorf("a copy listens on %s too", address)
	}
	s.Stop(t, Immediate)
	s.Restore(t)
	s.Launch(t)
	if s.Address() != address {
		t.Errorf("what was put back listens on %s instead of %s", s.Address(), address)
	}
	if err := ping(t, s, later); err == nil {
		t.Error("what was put back has a database that was made later")
	}
	if err := ping(t, other, later); err != nil {
		t.Errorf("the copy: %v", err)
	}
	s.Stop(t, Fast)
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("it answers although it was stopped")
	}
}

// ping connects to the database of a connection string, on a server.
func ping(t *testing.T, s *Server, database string) error {
	t.Helper()
	return s.command("psql", "-d", s.URL(path.Base(trimQuery(database))), "-c", "SELECT 1").Run()
}

func trimQuery(url string) string { return strings.SplitN(url, "?", 2)[0] }
