package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/francis-actors/francis/runtime/config"
)

// newLogger logs to out as the configuration says.
func newLogger(cfg config.Log, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.SlogLevel()}
	switch terminal := isTerminal(out); {
	case cfg.Format == config.FormatJSON, cfg.Format == config.FormatAuto && !terminal:
		return slog.New(slog.NewJSONHandler(out, options))
	case terminal:
		return slog.New(tint.NewTextHandler(out, &tint.Options{Level: options.Level, TimeFormat: time.TimeOnly, NoColor: !coloured(out)}))
	default:
		return slog.New(slog.NewTextHandler(out, options))
	}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// coloured reports whether colours can be seen and are wanted (no-color.org).
func coloured(out io.Writer) bool { return isTerminal(out) && os.Getenv("NO_COLOR") == "" }
