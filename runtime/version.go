package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

func (a *app) version() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the release of this binary",
		Description: "Examples:\n   runtime version",
		Action: func(context.Context, *cli.Command) error {
			_, err := fmt.Fprintf(a.stdout, "runtime %s %s %s/%s\n", release(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// release is what the build recorded: the version of the module, and the commit when
// it was built from a working copy.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && version == "(devel)" {
			version += " " + setting.Value
		}
	}
	return version
}
