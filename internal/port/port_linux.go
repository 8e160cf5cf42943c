package port

import (
	"net"
	"strconv"
	"syscall"
)

// reserve binds a socket to a port and does not listen: who names the port and shares its
// address, as all who listen in Go and PostgreSQL do, may listen there.
func reserve() (address string, free func(), err error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	free = func() { _ = syscall.Close(socket) } // nothing was written
	err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var bound syscall.Sockaddr
	if err == nil {
		bound, err = syscall.Getsockname(socket)
	}
	if err != nil {
		free()
		return "", nil, err
	}
	port := bound.(*syscall.SockaddrInet4).Port //nolint:forcetypeassert // it is what was bound
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), free, nil
}
