package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/local"
	"github.com/francis-actors/francis/sdk/remote"
)

const roleWorker = "worker"

// workerOrders say which cluster a worker joins.
type workerOrders struct {
	Runtimes []string `json:"runtimes"`
}

// newWorker is a worker that has not joined yet.
func newWorker(orders workerOrders) (*remote.Host, error) {
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	return remote.NewHost(
		remote.WithAddress("127.0.0.1:0"), remote.WithRuntimeAddresses(orders.Runtimes...),
		remote.WithHostBootstrapPSK([]byte(hostKey)), remote.WithPinnedCA(authority.Bundle().PEM()),
		remote.WithLogger(newLog()),
	)
}

// newLog is a log of what went wrong.
func newLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// runner is a host of any kind.
type runner interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}
}

// join runs a host; it returns when the host is ready.
func join(ctx context.Context, host runner) (leave func() error, err error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- host.Run(running) }()
	select {
	case <-host.Ready():
		return func() error {
			stop()
			return <-ended
		}, nil
	case err := <-ended:
		stop()
		return nil, err
	case <-ctx.Done():
		stop()
		return nil, errors.Join(ctx.Err(), <-ended)
	}
}

// joinToCall joins a cluster as a worker that hosts nothing.
func joinToCall(ctx context.Context, runtimes []string) (caller sdk.Caller, leave func() error, err error) {
	host, err := newWorker(workerOrders{runtimes})
	if err != nil {
		return nil, nil, err
	}
	leave, err = join(ctx, host)
	return host.Service(), leave, err
}

// startWorker is a worker that hosts the counters.
func startWorker(ctx context.Context, text []byte) (ready string, stop func() error, err error) {
	var orders workerOrders
	if err := json.Unmarshal(text, &orders); err != nil {
		return "", nil, err
	}
	host, err := newWorker(orders)
	if err != nil {
		return "", nil, err
	}
	if err := myactorv1francis.RegisterMyActor(host, newCounter, sdk.WithIdleTimeout(time.Hour)); err != nil {
		return "", nil, err
	}
	stop, err = join(ctx, host)
	return "ready", stop, err
}

// measurement measures what a caller does, together with other processes.
type measurement func(caller sdk.Caller, children []process) (result, error)

// topology is which processes take part.
type topology func(ctx context.Context, at place, measure measurement) (result, error)

// clusterSize is how many processes a cluster has.
type clusterSize struct{ runtimes, workers int }

// acrossWorkers measures from a worker in this process, which hosts nothing, what one in
// another process does, with the runtime in a third.
func (l *lab) acrossWorkers(ctx context.Context, at place, measure measurement) (result, error) {
	return l.measureCluster(ctx, clusterSize{1, 1}, at, measure)
}

// measureCluster measures from a worker in this process, which hosts nothing, what others do
// once the actors have spread over them, each in a process as the runtimes are.
func (l *lab) measureCluster(ctx context.Context, size clusterSize, at place, measure measurement) (res result, err error) {
	var children []process
	stop := func(c *child) { err = errors.Join(err, c.stop()) }
	var runtimes []string
	for range size.runtimes {
		control, address, err := l.startRuntime(ctx, at)
		if err != nil {
			return result{}, err
		}
		defer stop(control)
		runtimes, children = append(runtimes, address), append(children, control)
	}
	var workers []*child
	for n := range size.workers {
		first := n % len(runtimes)
		worker, _, err := l.start(ctx, roleWorker, workerOrders{slices.Concat(runtimes[first:], runtimes[:first])})
		if err != nil {
			return result{}, err
		}
		defer stop(worker)
		workers, children = append(workers, worker), append(children, worker)
	}
	caller, leave, err := joinToCall(ctx, runtimes)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	if err := settle(ctx, caller, workers); err != nil {
		return result{}, err
	}
	helpers, err := at.helpers(ctx)
	if err != nil {
		return result{}, err
	}
	return measure(caller, append(children, helpers...))
}

// embedded measures a host with its runtime in this process.
func embedded(ctx context.Context, at place, measure measurement) (res result, err error) {
	host, err := local.NewHost(at.option(), local.WithLogger(newLog()))
	if err != nil {
		return result{}, err
	}
	if err := myactorv1francis.RegisterMyActor(host, newCounter, sdk.WithIdleTimeout(time.Hour)); err != nil {
		return result{}, err
	}
	leave, err := join(ctx, host)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	helpers, err := at.helpers(ctx)
	if err != nil {
		return result{}, err
	}
	return measure(host.Service(), helpers)
}

// startRuntime starts the real runtime; address is where it serves.
func (l *lab) startRuntime(ctx context.Context, at place) (c *child, address string, err error) {
	binary, err := l.runtime(ctx)
	if err != nil {
		return nil, "", err
	}
	bind, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	config := string(l.newPath("config.yaml"))
	text := "bind: " + strconv.Quote(bind) + "\ncluster: " + cluster + "\nruntimePSKs: [" + strconv.Quote(runtimeKey) + "]\n" +
		"bootstrap: {method: psk, hostPSK: " + strconv.Quote(hostKey) + "}\n" +
		"provider: {type: " + at.provider() + ", connectionString: " + strconv.Quote(string(at)) + "}\nlog: {format: json}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, binary, "-config", config) //nolint:gosec // the binary that was built here
	c = &child{cmd: cmd, silent: true}
	if c.input, err = cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	logs, err := cmd.StderrPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	address, err = serving(logs)
	if err != nil {
		return nil, "", errors.Join(err, c.stop())
	}
	return c, address, nil
}

// freeAddress is an address where nobody listens. Another process may take it before
// the runtime does, which then says so.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// serving reads the log of a runtime up to its address, and drops the rest of it.
func serving(logs io.Reader) (string, error) {
	lines := bufio.NewScanner(logs)
	var seen bytes.Buffer
	for lines.Scan() {
		var entry struct {
			Address string `json:"address"`
		}
		seen.Write(append(lines.Bytes(), '\n'))
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Address != "" {
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			return entry.Address, nil
		}
	}
	return "", fmt.Errorf("the runtime did not start:\n%s", seen.String())
}

// runtime is the runtime's binary, which is built once.
func (l *lab) runtime(ctx context.Context) (string, error) {
	if l.binary != "" {
		return l.binary, nil
	}
	path := filepath.Join(l.dir, "runtime.exe")                                                               // the suffix that Windows wants hurts nobody else
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/francis-actors/francis/runtime") //nolint:gosec // the path is ours
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the runtime: %w\n%s", err, out)
	}
	l.binary = path
	return path, nil
}
