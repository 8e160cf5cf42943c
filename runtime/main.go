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
	cmd := newCommand(stdout, stderr)
	help := &outlet{Writer: stdout}
	cmd.Writer = help
	err := errors.Join(cmd.Run(ctx, args), help.err)
	if err != nil {
		fmt.Fprintln(stderr, explain(err))
	}
	return exitCode(err)
}

// outlet remembers that something could not be written: the library that writes what --help
// says does not tell.
type outlet struct {
	io.Writer
	err error
}

func (o *outlet) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
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
