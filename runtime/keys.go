package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/francis-actors/francis/internal/pki"
)

func (a *app) printCA() *cli.Command {
	return &cli.Command{
		Name:  "print-ca",
		Usage: "print the certificate of the cluster's authority, for workers to pin",
		Description: `The certificates go to standard output in PEM, their pins (SHA-256 of the public
key) to standard error. They follow from the runtime keys: no data is opened.

Examples:
   runtime print-ca -config config.yaml > ca.pem
   runtime -config config.yaml print-ca 2> /dev/null`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			authority, err := cfg.Authority()
			if err != nil {
				return err
			}
			return a.showBundle(authority.Bundle())
		},
	}
}

func (a *app) showBundle(bundle *pki.Bundle) error {
	var pins strings.Builder
	for _, pin := range bundle.Pins() {
		fmt.Fprintf(&pins, "pin: sha256:%v\n", pin)
	}
	if _, err := a.stdout.Write(bundle.PEM()); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.stderr, pins.String())
	return err
}

func (a *app) genKey() *cli.Command {
	return &cli.Command{
		Name:  "gen-key",
		Usage: "print a fresh key for runtimePSKs or bootstrap.hostPSK",
		Description: `Each key is 32 random bytes. The runtime key and the host key must differ.

Examples:
   runtime gen-key
   (umask 077; runtime gen-key > runtime.key)     and in the configuration: "file:runtime.key"
   export RUNTIME_KEY=$(runtime gen-key)          and in the configuration: "env:RUNTIME_KEY"`,
		Action: func(context.Context, *cli.Command) error {
			_, err := fmt.Fprintln(a.stdout, pki.NewKey())
			return err
		},
	}
}
