//go:build unix

package pgtest

import (
	"syscall"
	"testing"
)

// Freeze stops the processes of the server where they are, until thaw is called, which has
// to be before the server is stopped. A session that begins in this moment may go on.
func (s *Server) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	sessions := s.Sessions(t)
	s.Signal(t, syscall.SIGSTOP) // first, so that it starts no more of them
	for _, pid := range sessions {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
	}
	return func() {
		for _, pid := range sessions {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
		s.Signal(t, syscall.SIGCONT)
	}
}
