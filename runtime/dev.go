package main

import (
	"context"
	"log/slog"

	"github.com/urfave/cli/v3"

	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/dev"
	"github.com/francis-actors/francis/runtime/serve"
)

func (a *app) dev() *cli.Command {
	return &cli.Command{
		Name:      "dev",
		Usage:     "run a cluster on this machine: a runtime and copies of a worker command",
		ArgsUsage: "-- COMMAND [ARGUMENTS]",
		Description: `The runtime has keys and data of its own. Each worker finds in its environment what
remote.FromEnv() reads: FRANCIS_RUNTIME_ADDRESSES, FRANCIS_HOST_PSK, FRANCIS_CA_PEM,
FRANCIS_WORKER_ADDRESS and FRANCIS_WORKER_NAME, and in FRANCIS_HTTP_ADDRESS where it
shall serve HTTP. A worker that crashes starts again. Ctrl-C ends everything, a second
one at once.

Examples:
   runtime dev -- go run ./worker
   runtime dev -workers 3 -data ./cluster -- ./worker -verbose`,
		// What follows the command belongs to it, also without the two dashes.
		StopOnNthArg: new(1),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "workers", Value: 2, Usage: "run `N` workers"},
			&cli.StringFlag{Name: "data", Usage: "keep keys and data in `FOLDER`, instead of one that is removed at the end"},
			&cli.StringFlag{Name: "http", Value: "127.0.0.1:8081", Usage: "let the first worker serve HTTP at `ADDRESS`, and the others at the next free ports"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "log the runtime at `LEVEL`: debug, info, warn or error"},
		},
		Action: a.runDev,
	}
}

func (a *app) runDev(ctx context.Context, cmd *cli.Command) error {
	stop, kill, release := interrupts(ctx)
	defer release()
	return dev.Run(stop, kill, dev.Config{
		Command:     cmd.Args().Slice(),
		Workers:     cmd.Int("workers"),
		Data:        cmd.String("data"),
		HTTPAddress: cmd.String("http"),
		LogLevel:    cmd.String("log-level"),
		Out:         a.stdout,
		Colour:      coloured(a.stdout),
		Start: func(ctx context.Context, cfg *config.Config, log *slog.Logger) (dev.Runtime, error) {
			return serve.New(ctx, cfg, log)
		},
	})
}
