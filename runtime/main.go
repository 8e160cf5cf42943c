// Command runtime is the control plane of a Francis cluster: it owns the data and
// says which worker hosts which actor. Without a subcommand it serves:
//
//	runtime -config config.yaml
//
// It ends with one of these codes:
//
//	0    it did what it was asked to, or was asked to stop and did
//	1    it failed, or the runtime is not healthy
//	2    the command line or the configuration is wrong; nothing was opened
//	130  a second signal ended it at once
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/dev"
)

// The codes with which the command ends.
const (
	exitOK      = 0
	exitFailed  = 1
	exitInvalid = 2
	exitKilled  = 130
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr)) }

// run does what the arguments say and returns the code to end with.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := newCommand(stdout, stderr).Run(ctx, args)
	if err != nil {
		fmt.Fprintln(stderr, explain(err))
	}
	return exitCode(err)
}

// usageError means that the command line is wrong.
type usageError struct {
	command string
	what    string
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%s: %s; see: %s --help", e.command, e.what, e.command)
}

// explain is an error as people see it. The problems of a configuration stand alone,
// one in each line, so that editors find them.
func explain(err error) string {
	if errors.As(err, new(*usageError)) || errors.As(err, new(config.Problems)) {
		return err.Error()
	}
	return "runtime: " + err.Error()
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(*usageError)), errors.As(err, new(config.Problems)), errors.As(err, new(*dev.InvalidError)):
		return exitInvalid
	case errors.Is(err, dev.ErrKilled):
		return exitKilled
	}
	return exitFailed
}
