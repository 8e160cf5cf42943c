//go:build !linux

package port

import "net"

// reserve finds a port that is free now.
func reserve() (address string, free func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return listener.Addr().String(), func() {}, listener.Close()
}
