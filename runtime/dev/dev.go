// Package dev runs a whole cluster on one machine for somebody who writes actors: a
// runtime with keys of its own, and some copies of a worker command. Each copy is
// told through environment variables (see [Worker]) where the runtime is and
// where it shall serve, runs in a process group of its own, and starts again
// when it crashes. When all of them serve, the calls that they answer are printed as
// curl commands.
//
// The runtime binary calls it; it imports runtime/config, runtime/store and
// internal packages.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lmittmann/tint"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/config"
)

// ErrKilled means that a second signal ended everything at once.
var ErrKilled = errors.New("killed before everything had ended")

// Runtime is the runtime that workers dial. It listens already.
type Runtime interface {
	// Run answers workers until ctx ends.
	Run(ctx context.Context) error
	// Workers returns the workers that have announced what they serve.
	Workers(ctx context.Context) ([]*runtimev1.Worker, error)
	// Types returns the actor types that workers have announced.
	Types(ctx context.Context) ([]*runtimev1.ActorType, error)
}

// Config says what to run.
type Config struct {
	// Command is what a worker is, and its arguments.
	Command []string
	// Workers is how many copies of it run, from 1 to 64.
	Workers int
	// Data is the folder that keeps the keys and the data; empty for one that is
	// removed at the end.
	Data string
	// HTTPAddress is where the first worker shall serve HTTP, "host:port"; the others
	// take the next ports that are free. Default: "127.0.0.1:8081".
	HTTPAddress string
	// Grace is how long a worker may take to stop before it is killed. Default: 15
	// seconds.
	Grace time.Duration
	// Out receives everything that is to be read.
	Out io.Writer
	// Colour colours the names in front of the lines.
	Colour bool
	// LogLevel is what the runtime logs.
	LogLevel string
	// Start makes the runtime.
	Start func(context.Context, *config.Config, *slog.Logger) (Runtime, error)
}

const (
	defaultHTTPAddress = "127.0.0.1:8081"
	defaultGrace       = 15 * time.Second
)

func (c Config) withDefaults() Config {
	if c.HTTPAddress == "" {
		c.HTTPAddress = defaultHTTPAddress
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	return c
}

// maxWorkers is how many workers one machine is good for.
const maxWorkers = 64

func (c Config) validate() error {
	if len(c.Command) == 0 {
		return errors.New("no worker command; write it after two dashes: runtime dev -- go run ./worker")
	}
	if c.Workers < 1 || c.Workers > maxWorkers {
		return fmt.Errorf("-workers is %d; it must be between 1 and %d", c.Workers, maxWorkers)
	}
	if !slices.Contains(config.LogLevels, c.LogLevel) {
		return fmt.Errorf("-log-level is %q; it must be one of %s", c.LogLevel, strings.Join(config.LogLevels, ", "))
	}
	if _, err := exec.LookPath(c.Command[0]); err != nil {
		return fmt.Errorf("the worker command cannot be run: %w", err)
	}
	return nil
}

// InvalidError means that a Config asks for something that cannot be.
type InvalidError struct{ err error }

func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *InvalidError) Unwrap() error { return e.err }

// Run runs the cluster until stop ends, or until the runtime fails. Then the workers
// end, and after them the runtime. When kill ends, everything that is left is killed
// at once.
func Run(stop, kill context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return &InvalidError{err}
	}
	adopt()
	home, err := openHome(cfg)
	if err != nil {
		return err
	}
	defer home.close()
	plan, err := newPlan(cfg, home)
	if err != nil {
		return err
	}
	screen := newScreen(cfg, plan)
	runtime, err := cfg.Start(stop, home.config, slog.New(runtimeHandler(home.config.Log, cfg.Colour, screen.lines(0))))
	if err != nil {
		return fmt.Errorf("start the runtime: %w", err)
	}
	c := &cluster{cfg: cfg, home: home, plan: plan, screen: screen, runtime: runtime}
	return c.run(stop, kill)
}

// cluster is a runtime and its workers.
type cluster struct {
	cfg     Config
	home    *home
	plan    []Worker
	screen  *screen
	runtime Runtime
}

func (c *cluster) run(stop, kill context.Context) error {
	serving, stopRuntime := context.WithCancel(context.WithoutCancel(stop))
	defer stopRuntime()
	stop, stopWorkers := context.WithCancel(stop)
	defer stopWorkers()
	ended := make(chan error, 1)
	go func() {
		ended <- c.runtime.Run(serving)
		stopWorkers()
	}()
	c.work(stop, kill)
	stopRuntime()
	select {
	case err := <-ended:
		if kill.Err() == nil {
			return err
		}
	case <-kill.Done():
	}
	return ErrKilled
}

// work runs the workers until stop ends and all of them are gone.
func (c *cluster) work(stop, kill context.Context) {
	var working sync.WaitGroup
	for i, planned := range c.plan {
		k := newKeeper(c.cfg, planned, c.screen.lines(i+1))
		working.Go(func() { k.keep(stop, kill) })
	}
	working.Go(func() { c.welcome(stop) })
	context.AfterFunc(stop, func() {
		c.screen.say("stopping the workers, then the runtime; press Ctrl-C again to kill them")
	})
	working.Wait()
}

func runtimeHandler(log config.Log, colour bool, out io.Writer) slog.Handler {
	return tint.NewTextHandler(out, &tint.Options{Level: log.SlogLevel(), NoColor: !colour, TimeFormat: "15:04:05.000"})
}
