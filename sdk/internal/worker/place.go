package worker

import (
	"fmt"
	"net"
	"strconv"
)

// Place is where a worker listens for other workers, and where they reach it.
type Place struct {
	// Address is "host:port"; port 0 takes a free one. Bind is the same where that differs,
	// and else empty.
	Address, Bind string
}

// Check reports why nobody could reach a worker there.
func (p Place) Check() error {
	if _, err := hostOf(p.Listening()); err != nil {
		return err
	}
	return CheckAddress(p.Address)
}

// CheckAddress reports why nobody could dial an address.
func CheckAddress(address string) error {
	host, err := hostOf(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("the address %q names no machine; give the one at which others reach it, and use WithBind to listen on all interfaces", address)
	}
	return nil
}

// Listening is where the worker listens.
func (p Place) Listening() string {
	if p.Bind == "" {
		return p.Address
	}
	return p.Bind
}

// Listen opens the place, and returns the address that others are told: where it leaves the
// port open, with the one that was taken.
func (p Place) Listen() (listener net.Listener, announced string, err error) {
	listener, err = net.Listen("tcp", p.Listening())
	if err != nil {
		return nil, "", fmt.Errorf("listen for other workers: %w; choose another address, or one to listen at with WithBind", err)
	}
	name, port, _ := net.SplitHostPort(p.Address)
	if port == "0" {
		_, port, _ = net.SplitHostPort(listener.Addr().String())
	}
	return listener, net.JoinHostPort(name, port), nil
}

// hostOf is the host of "host:port", which may be empty.
func hostOf(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%w; write \"host:port\"", err) // it names the address
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("address %q: the port is no number from 0 to 65535; write \"host:port\"", address)
	}
	return host, nil
}
