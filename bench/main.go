// Command bench measures Francis beside the floors that nothing on the same machine
// can beat, in one run, and prints a table in Markdown. docs/performance.md explains
// its rows.
//
//	go run ./bench -run 'across workers' -for 2s -repeat 3
//
// It starts itself again for the other processes of a row, and the real runtime. It
// ends with 1 when a row failed, which says so in the table; speed is never a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// streams are the standard streams of the process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// flags are the command line.
type flags struct {
	run        string
	span       time.Duration
	repeat     int
	json       bool
	write      string
	cpuprofile string
	postgres   string
	role       string
}

func parse(args []string, errs io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(errs)
	set.StringVar(&f.run, "run", "", "measure only the rows whose names match this regular expression, and their floors")
	set.DurationVar(&f.span, "for", 2*time.Second, "how long each measurement takes")
	set.IntVar(&f.repeat, "repeat", 3, "how often each row is measured; the median counts")
	set.BoolVar(&f.json, "json", false, "print JSON instead of the table")
	set.StringVar(&f.write, "write", "", "replace the tables in performance.md and scaling.md of this folder, for example docs")
	set.StringVar(&f.cpuprofile, "cpuprofile", "", "write the CPU profiles of the processes to files that begin with this")
	set.StringVar(&f.postgres, "postgres", "", "the URL of a PostgreSQL server where databases may be made; without it, the rows with PostgreSQL are skipped")
	set.StringVar(&f.role, "role", "", "what this process does in a row; bench starts itself with it")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if f.span <= 0 || f.repeat < 1 {
		return f, fmt.Errorf("-for is %v and -repeat is %d; both must be more than 0", f.span, f.repeat)
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("there is no argument %q; choose rows with -run", set.Arg(0))
	}
	return f, nil
}

// run does what the arguments say.
func run(ctx context.Context, args []string, std streams) (err error) {
	f, err := parse(args, std.err)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	stop, err := profile(f.cpuprofile, f.role)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if f.role != "" {
		return play(ctx, f.role, std)
	}
	match, err := regexp.Compile(f.run)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	l, err := newLab(labConfig{span: f.span, repeat: f.repeat, stored: million, cpuprofile: f.cpuprofile, postgres: f.postgres, progress: std.err})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	t := l.measure(ctx, match)
	return errors.Join(t.report(f, std.out), t.failed())
}
