package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/config"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:     "config",
		Usage:    "look at the configuration",
		Commands: []*cli.Command{a.configCheck()},
	}
}

func (a *app) configCheck() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "tell everything that is wrong with the configuration",
		Description: `It reads the file and the secrets that it refers to. Nothing else is opened.

Examples:
   runtime config check -config config.yaml`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			file, err := config.Find(cmd.String("config"))
			if err != nil {
				return err
			}
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return a.showCheck(file, cfg)
		},
	}
}

func (a *app) showCheck(file string, cfg *config.Config) error {
	for _, warning := range cfg.Warnings() {
		fmt.Fprintf(a.stderr, "warning: %s: %s\n", warning.Key, warning.Value)
	}
	_, err := fmt.Fprintf(a.stdout, "%s is good.\n", file)
	return err
}

// probeTime is how long a runtime may take to answer.
const probeTime = 5 * time.Second

func (a *app) healthcheck() *cli.Command {
	return &cli.Command{
		Name:  "healthcheck",
		Usage: "ask the runtime of the configuration whether it answers",
		Description: `It dials the address that the configuration binds and checks that a runtime with
the same keys answers. It ends with 0 when one does, and with 1 when none does.

Examples:
   runtime healthcheck -config config.yaml`,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if err := probe(ctx, cfg); err != nil {
				return fmt.Errorf("no healthy runtime at %s: %w", cfg.DialAddress(), err)
			}
			_, err = fmt.Fprintf(a.stdout, "The runtime at %s answers.\n", cfg.DialAddress())
			return err
		},
	}
}

// probe makes a handshake with the runtime, which shows a certificate of the cluster.
func probe(ctx context.Context, cfg *config.Config) error {
	authority, err := cfg.Authority()
	if err != nil {
		return err
	}
	trust, err := pki.Pinned(authority.Bundle().PEM())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: trust.DialRuntime()}
	conn, err := dialer.DialContext(ctx, "tcp", cfg.DialAddress())
	if err != nil {
		return err
	}
	return conn.Close()
}
