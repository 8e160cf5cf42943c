package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/urfave/cli/v3"

	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/serve"
)

// serve runs a runtime until the first signal. The second one ends the process.
func (a *app) serve(ctx context.Context, cmd *cli.Command) error {
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	log := newLogger(cfg.Log, a.stderr)
	announce(ctx, log, cfg)
	stop, kill, release := interrupts(ctx)
	defer release()
	defer context.AfterFunc(stop, func() { log.Info("stopping; a second signal ends at once") })()
	defer context.AfterFunc(kill, func() { os.Exit(exitKilled) })()
	runtime, err := serve.New(stop, cfg, log)
	switch {
	case err != nil && stop.Err() != nil:
		log.Info("stopped before the store was open")
		return nil
	case err != nil:
		return err
	default:
		return runtime.Run(stop)
	}
}

// announce shows what the runtime was told.
func announce(ctx context.Context, log *slog.Logger, cfg *config.Config) {
	if warnings := cfg.Warnings(); len(warnings) > 0 {
		log.LogAttrs(ctx, slog.LevelWarn, "weak secrets guard this cluster", warnings...)
	}
	log.Debug("configuration", "config", cfg)
}
