package dev

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
)

// Worker is what one worker is told, through its environment.
type Worker struct {
	// Name tells the workers apart: FRANCIS_WORKER_NAME.
	Name string
	// Address is where other workers reach it: FRANCIS_WORKER_ADDRESS.
	Address string
	// HTTPAddress is where it shall serve HTTP: FRANCIS_HTTP_ADDRESS.
	HTTPAddress string

	env []string
}

// newPlan decides what each worker is told.
func newPlan(cfg Config, home *home) ([]Worker, error) {
	authority, err := home.config.Authority()
	if err != nil {
		return nil, err
	}
	shared := append(os.Environ(),
		"FRANCIS_RUNTIME_ADDRESSES="+home.config.DialAddress(),
		"FRANCIS_HOST_PSK="+home.hostPSK,
		"FRANCIS_CA_PEM="+string(authority.Bundle().PEM()),
	)
	ports, err := newPorts(cfg.HTTPAddress)
	if err != nil {
		return nil, err
	}
	defer ports.close()
	plan := make([]Worker, cfg.Workers)
	for i := range plan {
		if plan[i], err = ports.worker(i + 1); err != nil {
			return nil, err
		}
		plan[i].env = slices.Concat(shared, plan[i].variables())
	}
	return plan, nil
}

func (w Worker) variables() []string {
	return []string{
		"FRANCIS_WORKER_NAME=" + w.Name,
		"FRANCIS_WORKER_ADDRESS=" + w.Address,
		"FRANCIS_HTTP_ADDRESS=" + w.HTTPAddress,
	}
}

// ports finds ports that are free. It holds all that it found until close, so that
// none is found twice.
type ports struct {
	host string
	next int
	held []net.Listener
}

func newPorts(httpAddress string) (*ports, error) {
	host, port, err := net.SplitHostPort(httpAddress)
	if err != nil {
		return nil, &InvalidError{fmt.Errorf("-http %q is no address; write host:port, such as %q", httpAddress, defaultHTTPAddress)}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, &InvalidError{fmt.Errorf("-http %q has the port %q; it must be a number from 1 to 65535", httpAddress, port)}
	}
	return &ports{host: host, next: int(number)}, nil
}

func (p *ports) close() {
	for _, listener := range p.held {
		listener.Close()
	}
}

func (p *ports) worker(number int) (w Worker, err error) {
	w.Name = fmt.Sprintf("worker-%d", number)
	if w.Address, err = p.hold("127.0.0.1", 0); err != nil {
		return w, fmt.Errorf("find a port for %s: %w", w.Name, err)
	}
	w.HTTPAddress, err = p.http()
	return w, err
}

func (p *ports) hold(host string, port int) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return "", err
	}
	p.held = append(p.held, listener)
	return listener.Addr().String(), nil
}

const (
	// tries is how many taken ports in a row are skipped.
	tries   = 200
	maxPort = 65535
)

// http finds the next port for HTTP.
func (p *ports) http() (address string, err error) {
	for range tries {
		if p.next > maxPort {
			return "", fmt.Errorf("no free port for HTTP up to %d; choose another start with -http", maxPort)
		}
		address, err = p.hold(p.host, p.next)
		p.next++
		if err == nil {
			return address, nil
		}
	}
	return "", fmt.Errorf("no free port for HTTP before %d: %w; choose another start with -http", p.next, err)
}
