package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/francis-actors/francis/bench/internal/load"
)

// child is another process of a row: this program in a role, or the runtime. A role
// reads its orders as one line of JSON, prints a line when it is ready, answers every
// further line with what it has done so far, after a collection of its garbage where the
// line says so, and ends when its input does.
type child struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	lines *bufio.Reader
	// silent is true for the runtime, which counts no allocations for us.
	silent bool
}

// start starts this program in a role and waits until it is ready; ready is what it
// said.
func (l *lab) start(ctx context.Context, role string, orders any) (c *child, ready string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	args := []string{"-role", role}
	if l.cfg.cpuprofile != "" {
		args = append(args, "-cpuprofile", l.cfg.cpuprofile)
	}
	cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // this program, with arguments of its own
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	c = &child{cmd: cmd}
	if c.input, err = cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	c.lines = bufio.NewReader(output)
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	err = json.NewEncoder(c.input).Encode(orders)
	if err == nil {
		ready, err = c.lines.ReadString('\n')
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the process %s did not start: %w", role, err), c.stop())
	}
	return c, strings.TrimSpace(ready), nil
}

// childEnv tells the test binary that it is started in a role.
const childEnv = "FRANCIS_BENCH_CHILD"

func (c *child) cpu() time.Duration { return load.CPUOf(c.cmd.Process.Pid) }

// used is what a role has done so far.
type used struct {
	Mallocs     uint64 `json:"mallocs"`
	Activations int    `json:"activations"`
}

// orderCollect is the line that makes a role collect its garbage.
const orderCollect = "collect"

// used is what the child has done so far.
func (c *child) used() (u used, err error) { return c.ask("") }

// collect makes the child collect its garbage, so that what it did before does not count.
func (c *child) collect() error {
	_, err := c.ask(orderCollect)
	return err
}

// ask sends a line to the child, which answers.
func (c *child) ask(line string) (u used, err error) {
	if c.silent {
		return used{}, nil
	}
	if _, err := fmt.Fprintln(c.input, line); err != nil {
		return used{}, err
	}
	said, err := c.lines.ReadString('\n')
	if err != nil {
		return used{}, fmt.Errorf("a process of the row ended: %w", err)
	}
	return u, json.Unmarshal([]byte(said), &u)
}

// stop ends a child and waits for it.
func (c *child) stop() error {
	if c.silent && c.cmd.Process.Signal(os.Interrupt) != nil {
		_ = c.cmd.Process.Kill() // where there are no interrupts
	}
	return errors.Join(c.input.Close(), c.cmd.Wait())
}

// answer is the life of a role that is ready.
func answer(std streams, lines *bufio.Reader) error {
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil //nolint:nilerr // the end of the input is the order to stop
		}
		if strings.TrimSpace(line) == orderCollect {
			runtime.GC()
		}
		if err := json.NewEncoder(std.out).Encode(used{load.Own().Mallocs, int(activations.Load())}); err != nil {
			return err
		}
	}
}

// play is this process in a role.
func play(ctx context.Context, role string, std streams) error {
	lines := bufio.NewReader(std.in)
	orders, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no orders: %w", err)
	}
	part, known := map[string]func(context.Context, []byte) (string, func() error, error){
		roleEcho: startEcho, roleWorker: startWorker, roleIdle: startIdle,
		roleHTTP: startHTTP, roleCrowd: startCrowd,
	}[role]
	if !known {
		return fmt.Errorf("there is no role %q", role)
	}
	ready, stop, err := part(ctx, orders)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, ready)
	return errors.Join(err, answer(std, lines), stop())
}

// profile writes a CPU profile to PREFIX.ROLE.pprof until it is stopped; an empty
// prefix writes none.
func profile(prefix, role string) (stop func() error, err error) {
	if prefix == "" {
		return func() error { return nil }, nil
	}
	if role == "" {
		role = "bench"
	}
	file, err := os.Create(prefix + "." + role + ".pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
