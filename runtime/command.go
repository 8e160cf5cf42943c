package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v3"

	"github.com/francis-actors/francis/runtime/config"
)

// app is what the subcommands share.
type app struct{ stdout, stderr io.Writer }

// newCommand makes the whole command line.
func newCommand(stdout, stderr io.Writer) *cli.Command {
	a := &app{stdout, stderr}
	root := a.root()
	root.Commands = []*cli.Command{
		a.printCA(), a.genKey(), a.healthcheck(), a.configCommand(), a.backup(), a.restore(), a.dev(), a.version(),
	}
	root.Writer, root.ErrWriter = stdout, stderr
	// Our caller prints errors and ends the process.
	root.ExitErrHandler = func(context.Context, *cli.Command, error) {}
	tidy(root)
	return root
}

func (a *app) root() *cli.Command {
	return &cli.Command{
		Name:    "runtime",
		Usage:   "the control plane of a Francis cluster",
		Version: release(),
		Description: `Without a command it serves: it owns the data and says which worker hosts which
actor. Flags may stand before and after the command, with one dash or two.

Examples:
   runtime -config config.yaml
   runtime print-ca -config config.yaml > ca.pem
   runtime backup -config config.yaml -f today.backup
   runtime dev -- go run ./worker

It ends with 0 when all went well, 1 when something failed, 2 when the command
line or the configuration is wrong, and 130 when a second signal ended it.`,
		Flags: []cli.Flag{&cli.StringFlag{
			Name: "config",
			Usage: "read the configuration from `FILE` (else $" + config.Variable + `, else config.yaml, config.yml or
	config.json in ., ~/.francis or /etc/francis)`,
		}},
		Action: a.serve,
	}
}

// tidy gives a command and its subcommands what all of them have.
func tidy(cmd *cli.Command) {
	cmd.Suggest = true
	cmd.HideHelpCommand = true
	cmd.OnUsageError = func(_ context.Context, cmd *cli.Command, err error, _ bool) error {
		return &usageError{cmd.FullName(), err.Error()}
	}
	cmd.Action = withoutArguments(cmd, cmd.Action)
	for _, sub := range cmd.Commands {
		tidy(sub)
	}
}

// withoutArguments refuses arguments where none are expected: they are mistyped
// commands.
func withoutArguments(cmd *cli.Command, action cli.ActionFunc) cli.ActionFunc {
	if cmd.ArgsUsage != "" {
		return action
	}
	return func(ctx context.Context, cmd *cli.Command) error {
		switch arg := cmd.Args().First(); {
		case arg != "":
			return unknownCommand(cmd, arg)
		case action == nil:
			return &usageError{cmd.FullName(), "name a command"}
		}
		return action(ctx, cmd)
	}
}

func unknownCommand(cmd *cli.Command, arg string) error {
	if len(cmd.Commands) == 0 {
		return &usageError{cmd.FullName(), fmt.Sprintf("there is no argument %q here", arg)}
	}
	what := fmt.Sprintf("there is no command %q", arg)
	if guess := cli.SuggestCommand(cmd.Commands, arg); guess != "" {
		what += fmt.Sprintf("; did you mean %q?", guess)
	}
	return &usageError{cmd.FullName(), what}
}

// load finds and reads the configuration.
func load(cmd *cli.Command) (*config.Config, error) {
	file, err := config.Find(cmd.String("config"))
	if err != nil {
		return nil, err
	}
	return config.Load(file)
}
